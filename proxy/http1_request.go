package proxy

import (
	"errors"
	"slices"
	"time"

	"github.com/proxyglass/proxyglass/sniff"
)

// request follows one request from its first byte to its last.
func (h *http1) request(src *sniff.Reader) error {
	x := h.newExchange(time.Now())
	fwd := h.flow.session.forward
	b, err := src.Held(), error(nil)
	if n := sniff.HTTP1HeadEnd(b, 0); n > 0 {
		b = b[:n]
	} else {
		if fwd == nil {
			h.push(x) // what has come goes on, and may be answered as it is
		}
		if b, err = h.waitHead(src, fwd); h.withdrawn(x) {
			return nil
		}
	}
	n := len(b)
	head := heads.Get().(*sniff.HTTP1Head)
	defer heads.Put(head)
	var framing sniff.HTTP1Framing
	if err == nil {
		err = head.ParseRequest(string(b))
	}
	if err == nil {
		framing, err = head.RequestFraming()
	}
	var replaced []byte
	if fwd != nil {
		same := false
		if err == nil {
			replaced, same = fwd.rewrite(head, n)
		}
		if !same || h.tooMany() {
			return h.leave(src)
		}
	}
	switch {
	case errors.Is(err, sniff.ErrHTTP1), errors.Is(err, sniff.ErrTooLong):
		return h.giveUpRequest(x, err)
	case err != nil:
		return err
	case !x.pushed && h.tooMany():
		return h.giveUpRequest(x, errTooMany)
	}
	h.describe(x, head, int64(n))
	h.push(x)
	if replaced != nil {
		src.Replace(n, replaced)
		h.in += int64(len(replaced))
	} else {
		src.Advance(n)
		h.in += int64(n)
	}
	if framing == sniff.NoBody {
		h.requestDone(x)
		return nil
	}
	return h.requestBody(src, x, head, framing)
}

// withdrawn takes x back that is no request: what came behind one that asks for
// an upgrade belongs to the new protocol, if that was granted meanwhile.
func (h *http1) withdrawn(x *exchange) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.switched == nil {
		return false
	}
	if i := slices.Index(h.waiting, x); i >= 0 {
		h.waiting = slices.Delete(h.waiting, i, i+1)
		h.flow.session.busy.Add(-1)
	}
	return true
}

// waitHead waits for the rest of a head, or until there will be none since the
// connection was switched. One that is to be rewritten is held until it is whole.
func (h *http1) waitHead(src *sniff.Reader, fwd *forward) ([]byte, error) {
	if fwd != nil {
		src.SetDeadline(time.Now().Add(fwd.patience))
		defer src.SetDeadline(time.Time{})
	}
	return readHead(src, fwd != nil, func() bool { return h.now() != nil })
}

// requestBody follows the body of a request whose head is through.
func (h *http1) requestBody(src *sniff.Reader, x *exchange, head *sniff.HTTP1Head, framing sniff.HTTP1Framing) error {
	x.expects = head.Expects100
	if skipped, err := h.bodySkipped(src, x, head.Length); skipped || err != nil {
		return err
	}
	body := bodyReader{message: &x.request, limit: h.maxBody(), wire: &x.in}
	before := x.in
	err := body.read(src, framing, head.Length)
	h.in += x.in - before
	x.oddIn |= body.odd
	x.timings.RequestEnd = time.Since(x.Time)
	switch {
	case err == nil:
		h.requestDone(x)
	case errors.Is(err, sniff.ErrHTTP1):
		if h.flow.session.forward != nil {
			h.flow.session.bad = err.Error()
			h.giveUpRequest(x, err)
			return sniff.Stop
		}
		return h.giveUpRequest(x, err)
	}
	return err
}

// bodySkipped reports that the client goes on to another request without
// sending the body that it had announced: one that asks by Expect whether it
// shall (RFC 9110 section 10.1.1) need not when the final answer comes instead.
func (h *http1) bodySkipped(src *sniff.Reader, x *exchange, length int64) (bool, error) {
	if !x.expects {
		return false, nil
	}
	b, err := src.Next()
	if err != nil {
		return false, err
	}
	h.mu.Lock()
	answered := x.answered
	h.mu.Unlock()
	verdict := sniff.No
	if answered {
		if b, err = h.wholeRequestLine(src, b, length); err != nil {
			return false, err
		}
		verdict = detectRequest(b)
	}
	bodied := length > 0 && int64(len(b)) >= length && (int64(len(b)) == length || detectRequest(b[length:]) == sniff.Yes)
	if bodied || verdict != sniff.Yes {
		x.expects = false
		return false, nil
	}
	h.requestDone(x)
	return true, nil
}

// wholeRequestLine waits until b, which is what the client has said, can be told
// from a request, or is all of a body of that length. What may become a request
// that is to be rewritten is held meanwhile.
func (h *http1) wholeRequestLine(src *sniff.Reader, b []byte, length int64) ([]byte, error) {
	fwd := h.flow.session.forward
	if fwd != nil {
		src.SetDeadline(time.Now().Add(fwd.patience))
		defer src.SetDeadline(time.Time{})
	}
	for detectRequest(b) == sniff.More && len(b) < maxDetect && !(length > 0 && int64(len(b)) >= length) {
		if fwd == nil {
			if err := src.Flush(); err != nil {
				return nil, err
			}
		}
		more, err := src.More(maxDetect)
		if err != nil && fwd != nil && isTimeout(err) {
			return more, nil // it is no request then, but a slow body
		}
		if err != nil {
			return nil, err
		}
		b = more
	}
	return b, nil
}

// detectRequest tells whether b begins with a request line.
func detectRequest(b []byte) sniff.Verdict { return detectorFor(sniff.HTTP1).Detect(b) }

// leave ends the relay before a request that is not for this origin, or cannot
// be understood: the front-end looks at it again. What the client said is kept
// from the origin; it may hold credentials.
func (h *http1) leave(src *sniff.Reader) error {
	if err := src.Release(); err != nil { // the requests before
		return err
	}
	h.flow.session.again = h.wait(h.flow.session.forward.patience)
	return sniff.Stop
}

// readHead returns the next head, whole, unconsumed. Unless it is to be held
// it goes on to the other side as it comes. It returns early when stop, if there
// is one, says so.
func readHead(src *sniff.Reader, hold bool, stop func() bool) ([]byte, error) {
	b, err := src.Next()
	searched := 0
	for {
		if n := sniff.HTTP1HeadEnd(b, searched); n > 0 {
			return b[:n], nil
		}
		if err != nil || stop != nil && stop() {
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
