package proxy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/proxyglass/proxyglass/sniff"
)

// Bounds on the exchanges of one connection that wait for their answers.
const (
	maxPipelined      = 1024     // requests
	maxPipelinedBytes = 16 << 20 // bytes kept of them
	maxGarbage        = 64 << 10 // bytes before a status line that is still looked for
)

// http1Protocol observes HTTP/1 (RFC 9112): each request and its answer, and
// what the connection is switched to.
type http1Protocol struct{}

func (http1Protocol) Detector() sniff.Detector { return detectorFor(sniff.HTTP1) }

func (http1Protocol) Observe(ctx context.Context, f *Flow) Observer {
	h := &http1{flow: f}
	if f.base.TLS == nil {
		f.base.Proto = "http"
	}
	f.connect = nil // something was recognised inside
	return Observer{
		Up:   func(src *sniff.Reader) error { return h.up(ctx, src) },
		Down: func(src *sniff.Reader) error { return h.down(ctx, src) },
		Done: h.done,
	}
}

var (
	errGivenUp  = errors.New("proxy: HTTP/1 not followed further")
	errTooMany  = errors.New("proxy: too many requests without an answer")
	errNoStatus = fmt.Errorf("%w: no status line", sniff.ErrHTTP1)
)

// http1 is one connection that speaks HTTP/1.
type http1 struct {
	flow *Flow

	mu       sync.Mutex
	waiting  []*exchange   // without a final answer, in order
	early    *exchange     // answered before its request was complete
	kept     int64         // bytes kept of those waiting
	answered chan struct{} // closed when nothing waits; nil while nobody asks
	downDone bool
	switched *switched // what is spoken now instead

	in, out int64    // bytes followed in each direction, as they were passed on
	odd     []string // anomalies that belong to no exchange
	broken  string   // why the connection is not followed further
	garbage bool     // the server said something that answers nothing
}

// switched is what a connection was switched to by a 101 or a CONNECT.
type switched struct {
	exchange *exchange
	up, down func(*sniff.Reader) error
	done     func(sniff.Traffic)
}

// up follows the requests.
func (h *http1) up(ctx context.Context, src *sniff.Reader) error {
	for {
		b, err := src.Next()
		if sw := h.now(); sw != nil {
			if sw.up == nil {
				return nil
			}
			return sw.up(src)
		}
		if err != nil {
			return err
		}
		if n := emptyLines(b); n > 0 { // RFC 9112 section 2.2
			src.Advance(n)
			h.in += int64(n)
			continue
		}
		if err := h.request(ctx, src); err != nil {
			return err
		}
	}
}

func (h *http1) now() *switched {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.switched
}

func emptyLines(b []byte) int {
	n := 0
	for n < len(b) && (b[n] == '\r' || b[n] == '\n') {
		n++
	}
	return n
}

// request follows one request from its first byte to its last.
func (h *http1) request(ctx context.Context, src *sniff.Reader) error {
	start := time.Now()
	fwd := h.flow.session.forward
	b, err := readHead(src, fwd != nil)
	if err != nil {
		return h.giveUp("request", err)
	}
	head, err := sniff.ParseHTTP1Request(string(b))
	if err != nil {
		return h.giveUp("request", err)
	}
	framing, err := head.RequestFraming()
	if err != nil {
		return h.giveUp("request", err)
	}
	var replaced []byte
	if fwd != nil {
		var same bool
		if replaced, same = fwd.rewrite(&head, len(b)); !same {
			h.wait()
			h.flow.session.again = true
			return sniff.Stop
		}
	}
	x := h.newExchange(&head, start)
	x.in = int64(len(b))
	if !h.push(x) {
		return h.giveUp("request", errTooMany)
	}
	if replaced != nil {
		src.Replace(len(b), replaced)
		h.in += int64(len(replaced))
	} else {
		src.Advance(len(b))
		h.in += x.in
	}
	body := bodyReader{message: &x.request, limit: h.maxBody(), wire: &x.in}
	if framing != sniff.NoBody {
		before := x.in
		err = body.read(src, framing, head.Length)
		h.in += x.in - before
		x.odd |= body.odd
		x.timings.RequestEnd = time.Since(start)
	}
	if errors.Is(err, sniff.ErrHTTP1) {
		h.giveUp("request", err)
	}
	if err == nil {
		h.requestDone(x)
	}
	return err
}

// readHead returns the next head, whole, unconsumed. Unless it is to be held
// it goes on to the other side as it comes.
func readHead(src *sniff.Reader, hold bool) ([]byte, error) {
	b, err := src.Next()
	searched := 0
	for {
		if n := sniff.HTTP1HeadEnd(b, searched); n > 0 {
			return b[:n], nil
		}
		if err != nil {
			return nil, err
		}
		searched = len(b)
		if !hold {
			if err := src.Flush(); err != nil {
				return nil, err
			}
		}
		b, err = src.More(maxHTTP1Head)
	}
}

// down follows the answers.
func (h *http1) down(ctx context.Context, src *sniff.Reader) error {
	defer h.downEnded()
	for {
		b, err := src.Next()
		if err != nil {
			return err
		}
		x := h.front()
		if x == nil || !bytes.HasPrefix(b, statusStart) {
			if err := h.skipGarbage(src, b, x); err != nil {
				return err
			}
			continue
		}
		if err := h.response(ctx, src, x); err != nil {
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
		x.out += int64(n)
		if x.junk += n; x.junk > maxGarbage {
			return h.giveUp("response", errNoStatus)
		}
		x.note("garbage")
	} else {
		h.mu.Lock()
		h.garbage = true
		h.mu.Unlock()
	}
	src.Advance(n)
	h.out += int64(n)
	return nil
}

// response follows one answer, interim (1xx) or final.
func (h *http1) response(ctx context.Context, src *sniff.Reader, x *exchange) error {
	first := time.Since(x.Time)
	b, err := readHead(src, false)
	if err != nil {
		return h.giveUp("response", err)
	}
	head, err := sniff.ParseHTTP1Response(string(b))
	if err != nil {
		return h.giveUp("response", err)
	}
	src.Advance(len(b))
	x.out += int64(len(b))
	h.out += int64(len(b))
	x.odd |= head.Anomalies
	if head.Status < 200 && head.Status != 101 {
		return nil
	}
	x.http.StatusCode = head.Status
	x.http.Response = &x.response
	x.response.Header = headerOf(&head)
	x.timings.ResponseFirstByte, x.timings.ResponseEnd = first, first

	if head.Status == 101 || x.http.Method == "CONNECT" && head.Status < 300 {
		h.switchTo(ctx, x, &head)
		return nil
	}
	body := bodyReader{message: &x.response, limit: h.maxBody(), wire: &x.out}
	if framing := head.ResponseFraming(x.http.Method); framing != sniff.NoBody {
		before := x.out
		err = body.read(src, framing, head.Length)
		h.out += x.out - before
		x.odd |= body.odd
		x.timings.ResponseEnd = time.Since(x.Time)
		switch {
		case errors.Is(err, sniff.ErrHTTP1):
			return h.giveUp("response", err)
		case err != nil && framing == sniff.UntilClose && !src.Cut() && err == io.EOF:
			h.responseDone(x, nil)
			return err
		case err != nil:
			return err
		}
	}
	h.responseDone(x, src.Held())
	return nil
}

// giveUp ends the observation of a connection that cannot be followed any more,
// and whose bytes go on; an err that is only the end of the stream it returns.
func (h *http1) giveUp(part string, err error) error {
	if !errors.Is(err, sniff.ErrHTTP1) && !errors.Is(err, sniff.ErrTooLong) && !errors.Is(err, errTooMany) {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.broken == "" {
		h.broken = part + ": " + err.Error()
		h.odd = append(h.odd, "malformed-"+part)
	}
	h.flow.busyUntilEnd()
	return errGivenUp
}

// maxBody is how much is kept of a body.
func (h *http1) maxBody() int {
	if h.flow.pipeline.NoSniff {
		return 0
	}
	return limit(h.flow.pipeline.Capture.MaxBody)
}
