package proxy

import (
	"context"
	"errors"
	"fmt"
	"sync"

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
	begun    bool          // there has been a request
	strayed  bool          // the server said what must not reach the client: see unasked
	noted    bool          // which stands in the last exchange's record
	lost     bool          // the answers could not be followed
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
	h.lost = true
	return errGivenUp
}

// maxBody is how much is kept of a body.
func (h *http1) maxBody() int {
	if h.flow.pipeline.NoSniff {
		return 0
	}
	return limit(h.flow.pipeline.Capture.MaxBody)
}
