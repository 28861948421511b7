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
	broken   *exchange // whose request could not be followed; it has all that came behind
	stray    int64     // bytes of the server that answer nothing, of no exchange yet

	in, out int64 // bytes followed in each direction, as they were passed on
	blank   int64 // of in: empty lines before the next request
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
			h.blank += int64(n)
			continue
		}
		if err := h.request(src); err != nil {
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

// heads lends memory to parse a head in: too much for the stack of a goroutine
// of which there are as many as connections.
var heads = sync.Pool{New: func() any { return new(sniff.HTTP1Head) }}

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
		b, err = waitHead(src, fwd)
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

// waitHead waits for the rest of a head. One that is to be rewritten is held
// until it is whole.
func waitHead(src *sniff.Reader, fwd *forward) ([]byte, error) {
	if fwd != nil {
		src.SetDeadline(time.Now().Add(fwd.patience))
		defer src.SetDeadline(time.Time{})
	}
	return readHead(src, fwd != nil)
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
	answered := h.early == x
	h.mu.Unlock()
	bodied := length > 0 && int64(len(b)) >= length && (int64(len(b)) == length || isRequest(b[length:]))
	if !answered || bodied || !isRequest(b) {
		x.expects = false
		return false, nil
	}
	h.requestDone(x)
	return true, nil
}

// isRequest reports that b begins with a whole request line.
func isRequest(b []byte) bool { return detectorFor(sniff.HTTP1).Detect(b) == sniff.Yes }

// leave ends the relay before a request that is not for this origin, or cannot
// be understood: the front-end looks at it again. What the client said is kept
// from the origin; it may hold credentials.
func (h *http1) leave(src *sniff.Reader) error {
	if err := src.Release(); err != nil { // the requests before
		return err
	}
	h.flow.session.again = h.wait()
	return sniff.Stop
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
	h.greeted(h.flow.early)
	for {
		b, err := src.Next()
		if err != nil {
			return err
		}
		x, method := h.front()
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
		x.note("garbage")
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

// response follows one answer, interim (1xx) or final.
func (h *http1) response(ctx context.Context, src *sniff.Reader, x *exchange, method string) error {
	first := time.Since(x.Time)
	b, err := readHead(src, false)
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
	if len(behind) == 0 {
		src.Release() // what counts as answered has been answered; an error comes again with the next read
	}
	h.responseDone(x, behind)
	return nil
}

// giveUpRequest ends the observation of requests; their bytes go on, and count
// for x.
func (h *http1) giveUpRequest(x *exchange, err error) error {
	what := "malformed-request"
	switch {
	case errors.Is(err, sniff.ErrTooLong):
		what = "head-too-long"
	case errors.Is(err, errTooMany):
		what = "too-many-requests"
	}
	h.flow.busyUntilEnd()
	h.push(x)
	h.mu.Lock()
	defer h.mu.Unlock()
	x.note(what)
	x.broken = "request: " + err.Error()
	h.broken = x
	return errGivenUp
}

// giveUpResponse is giveUpRequest for answers, if err is more than the end of
// the stream.
func (h *http1) giveUpResponse(x *exchange, err error) error {
	what := "malformed-response"
	switch {
	case errors.Is(err, sniff.ErrTooLong):
		what = "head-too-long"
	case !errors.Is(err, sniff.ErrHTTP1):
		return err
	}
	h.flow.busyUntilEnd()
	h.mu.Lock()
	defer h.mu.Unlock()
	x.note(what)
	x.broken = or(x.broken, "response: "+err.Error())
	return errGivenUp
}

// maxBody is how much is kept of a body.
func (h *http1) maxBody() int {
	if h.flow.pipeline.NoSniff {
		return 0
	}
	return limit(h.flow.pipeline.Capture.MaxBody)
}
