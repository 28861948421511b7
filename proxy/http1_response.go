package proxy

import (
	"bytes"
	"context"
	"errors"
	"io"
	"time"

	"github.com/proxyglass/proxyglass/sniff"
)

// down follows the answers.
func (h *http1) down(ctx context.Context, src *sniff.Reader) error {
	defer h.downEnded()
	h.greeted(h.flow.early)
	for {
		b, err := src.Next()
		if err != nil {
			return err
		}
		x, method := h.front()
		if x == nil && h.unasked() {
			return sniff.Stop
		}
		if x == nil || !bytes.HasPrefix(b, statusStart) {
			err = h.skipGarbage(src, b, x)
		} else {
			err = h.response(ctx, src, x, method)
		}
		if err == errGivenUp {
			_, err = src.Skip(-1)
		}
		if err != nil {
			return err
		}
		if sw := h.now(); sw != nil {
			if sw.down == nil {
				return nil
			}
			return sw.down(src)
		}
	}
}

// greeted takes in n bytes that the server said before all that is followed.
func (h *http1) greeted(n int64) {
	if n == 0 {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.out += n
	if len(h.waiting) == 0 {
		h.stray += n
		return
	}
	h.waiting[0].out += n
	h.waiting[0].note("garbage")
}

var statusStart = []byte("HTTP/1.")

// skipGarbage passes over bytes that are no answer, up to the next that may be.
func (h *http1) skipGarbage(src *sniff.Reader, b []byte, x *exchange) error {
	if x != nil && len(b) < len(statusStart) && bytes.HasPrefix(statusStart, b) {
		if err := src.Flush(); err != nil {
			return err
		}
		_, err := src.More(maxHTTP1Head)
		return err
	}
	n := len(b)
	if x != nil {
		if i := bytes.Index(b, statusStart); i >= 0 {
			n = i
		}
		h.mu.Lock() // the request may be given up meanwhile
		x.note("garbage")
		h.mu.Unlock()
		if x.junk += n; x.junk > maxGarbage {
			return h.giveUpResponse(x, errNoStatus)
		}
		x.out += int64(n)
	} else {
		h.mu.Lock()
		h.stray += int64(n)
		h.mu.Unlock()
	}
	src.Advance(n)
	h.out += int64(n)
	return nil
}

// unasked reports that what the server says is no answer to any request, and
// must be kept back: a client of a forward proxy may ask another server next,
// and would take it for that one's answer (RFC 9112 section 6.3). Before the
// first request is through, what comes can only be meant for that.
func (h *http1) unasked() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.strayed = h.flow.session.forward != nil && h.begun && len(h.waiting) == 0
	return h.strayed
}

// response follows one answer, interim (1xx) or final.
func (h *http1) response(ctx context.Context, src *sniff.Reader, x *exchange, method string) error {
	first := time.Since(x.Time)
	b, err := readHead(src, false, nil)
	if err != nil {
		return h.giveUpResponse(x, err)
	}
	head := heads.Get().(*sniff.HTTP1Head)
	defer heads.Put(head)
	if err := head.ParseResponse(string(b)); err != nil {
		return h.giveUpResponse(x, err)
	}
	src.Advance(len(b))
	x.out += int64(len(b))
	h.out += int64(len(b))
	x.oddOut |= head.Anomalies
	if head.Interim() && head.Status != 101 {
		return nil
	}
	x.http.StatusCode = head.Status
	x.http.Response = &x.response
	x.response.Header = headerOf(head)
	x.timings.ResponseFirstByte, x.timings.ResponseEnd = first, first

	if h.switches(x, method, head.Status) {
		h.switchTo(ctx, x, head)
		return nil
	}
	body := bodyReader{message: &x.response, limit: h.maxBody(), wire: &x.out}
	if framing := head.ResponseFraming(method); framing != sniff.NoBody {
		before := x.out
		err = body.read(src, framing, head.Length)
		h.out += x.out - before
		x.oddOut |= body.odd
		x.timings.ResponseEnd = time.Since(x.Time)
		switch {
		case errors.Is(err, sniff.ErrHTTP1):
			return h.giveUpResponse(x, err)
		case err != nil && framing == sniff.UntilClose && !src.Cut() && err == io.EOF:
			h.responseDone(x, nil)
			return err
		case err != nil:
			return err
		}
	}
	behind := src.Held()
	h.answer(x)
	if len(behind) == 0 {
		src.Release() // what counts as answered has been answered; an error comes again with the next read
	}
	h.responseDone(x, behind)
	return nil
}
