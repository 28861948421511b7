package proxy

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/proxyglass/proxyglass/record"
	"github.com/proxyglass/proxyglass/sniff"
)

// exchange is a request and its answer, and the record that is made of them. It
// is one piece of memory, written in part by each direction; whoever completes
// it hands it over.
type exchange struct {
	record.Record
	http              record.HTTP
	request, response record.Message
	timings           record.Timings

	in, out  int64                // bytes on the wire
	odd      sniff.HTTP1Anomalies // of heads and chunks
	requests bool                 // the request is complete
	answered bool                 // the final answer is complete
	junk     int                  // bytes before the answer that are none
	notes    []string             // further anomalies
}

func (x *exchange) note(what string) {
	if !slices.Contains(x.notes, what) {
		x.notes = append(x.notes, what)
	}
}

// newExchange begins an exchange with its request's head.
func (h *http1) newExchange(head *sniff.HTTP1Head, start time.Time) *exchange {
	f := h.flow
	x := &exchange{Record: f.base}
	x.Time, x.HTTP, x.Timings = start, &x.http, &x.timings
	x.timings = f.session.timings(start)
	x.http = record.HTTP{
		Host: head.Host, Method: head.Method, Proto: head.Proto, Scheme: f.scheme, URI: head.Target,
		Request: &x.request,
	}
	x.request.Header = headerOf(head)
	if fwd := f.session.forward; fwd != nil {
		x.http.Scheme = "http"
		x.request.Header = withoutCredentials(x.request.Header)
	}
	x.odd = head.Anomalies
	return x
}

// headerOf lists a head's fields, without Host.
func headerOf(head *sniff.HTTP1Head) record.Header {
	n := head.NumFields
	if n == 0 {
		return nil
	}
	fields := make(record.Header, 0, n)
	for name, value := range head.Fields() {
		if head.Host != "" && len(name) == 4 && strings.EqualFold(name, "host") {
			continue
		}
		fields = append(fields, record.Field{Name: name, Value: value})
	}
	return fields
}

// push makes x the last of those that wait for an answer.
func (h *http1) push(x *exchange) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.waiting) >= maxPipelined || len(h.waiting) > 0 && h.kept > maxPipelinedBytes {
		return false
	}
	if h.garbage {
		h.garbage = false
		x.note("garbage")
	}
	h.waiting = append(h.waiting, x)
	h.kept += x.in
	h.flow.session.busy.Add(1)
	return true
}

// front is the exchange that the next answer is for, nil if there is none.
func (h *http1) front() *exchange {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.waiting) == 0 {
		return nil
	}
	return h.waiting[0]
}

func (h *http1) requestDone(x *exchange) {
	h.mu.Lock()
	defer h.mu.Unlock()
	x.requests = true
	h.kept += int64(len(x.request.Body))
	if h.early == x {
		h.early = nil
		h.emit(x, "")
	}
}

// responseDone takes x from those that wait. behind is what the server has
// already sent after the answer.
func (h *http1) responseDone(x *exchange, behind []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	x.answered = true
	h.pop(x)
	if len(behind) > 0 && len(h.waiting) == 0 && h.early == nil {
		x.note("garbage")
	}
	if x.requests {
		h.emit(x, "")
	} else {
		h.early = x
	}
}

// pop removes x, the first of those that wait. It is called with mu held.
func (h *http1) pop(x *exchange) {
	h.kept -= x.in // roughly: never below what is kept
	if h.waiting = slices.Delete(h.waiting, 0, 1); len(h.waiting) == 0 {
		h.kept = 0
		h.wake()
	}
}

// wait waits until nothing waits for an answer any more, or no answer can come.
// It is the one place where a parser waits for the other direction: what comes
// next goes to another server, and must not overtake.
func (h *http1) wait() {
	h.mu.Lock()
	if len(h.waiting) == 0 || h.downDone || h.broken != "" {
		h.mu.Unlock()
		return
	}
	ch := make(chan struct{})
	h.answered = ch
	h.mu.Unlock()
	<-ch
}

func (h *http1) wake() {
	if h.answered != nil {
		close(h.answered)
		h.answered = nil
	}
}

func (h *http1) downEnded() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.downDone = true
	h.wake()
}

// emit completes x's record and hands it over. It is called with mu held, or
// when both directions have ended.
func (h *http1) emit(x *exchange, why string) {
	x.InputBytes, x.OutputBytes = x.in, x.out
	x.Duration = max(x.timings.RequestEnd, x.timings.ResponseEnd)
	if why != "" {
		x.Err = or(x.Err, why)
		x.Duration = time.Since(x.Time)
	}
	x.Anomalies = x.odd.Names(x.notes)
	h.flow.session.busy.Add(-1)
	h.flow.Emit(&x.Record)
}

// done records what was left unfinished when the connection ended.
func (h *http1) done(t sniff.Traffic) {
	if sw := h.switched; sw != nil {
		if sw.done != nil {
			u := t
			u.Up.Bytes -= h.in
			u.Down.Bytes -= h.out
			sw.done(u)
		}
		if x := sw.exchange; x != nil {
			x.in += t.Up.Bytes - h.in
			x.out += t.Down.Bytes - h.out
			x.timings.ResponseEnd = time.Since(x.Time)
			h.emit(x, endError(t))
		}
	}
	why := or(endError(t), "the connection ended before the exchange was complete")
	if h.broken != "" {
		why = h.broken
	}
	if h.early != nil {
		h.early.note("early-answer")
		h.emit(h.early, why)
	}
	for _, x := range h.waiting {
		x.notes = append(x.notes, h.odd...)
		h.emit(x, why)
	}
	if h.garbage {
		h.odd = append(h.odd, "garbage")
	}
	if len(h.odd) > 0 && len(h.waiting) == 0 {
		h.flow.base.Anomalies = h.odd
		h.flow.recordWhole(t, h.broken)
	}
}

// switchTo notes that the connection speaks something else from here on.
func (h *http1) switchTo(ctx context.Context, x *exchange, head *sniff.HTTP1Head) {
	var sw *switched
	if x.http.Method == "CONNECT" && head.Status != 101 {
		sw = h.tunnel(ctx, x)
	} else {
		sw = h.upgrade(x, head)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	x.answered = true
	h.pop(x)
	h.switched = sw
	if sw.exchange == nil {
		h.flow.session.busy.Add(-1)
	}
}

// upgrade follows a 101 (RFC 9110 section 7.8).
func (h *http1) upgrade(x *exchange, head *sniff.HTTP1Head) *switched {
	sw := &switched{exchange: x}
	if strings.EqualFold(head.Upgrade, "websocket") {
		w := newWebSocket(h.flow, x)
		sw.up, sw.down, sw.done = w.up, w.down, w.done
	}
	return sw
}

// tunnel follows a 2xx to a CONNECT (RFC 9110 section 9.3.6): what is behind it
// is a flow of its own, in the same relay.
func (h *http1) tunnel(ctx context.Context, x *exchange) *switched {
	f := h.flow
	in := &Flow{
		pipeline: f.pipeline, session: f.session, layer: f.layer,
		client: f.client, server: f.server,
		base: f.base, target: f.target, scheme: f.scheme, connect: &x.http,
		skipIn: h.in, skipOut: h.out,
	}
	in.base.Time, in.base.Host = x.Time, x.http.URI
	in.base.Route = f.base.Route + "," + x.http.URI
	in.target.Host, in.target.Port = targetOf("tcp", x.http.URI, "").Host, targetOf("tcp", x.http.URI, "").Port
	return &switched{
		up:   func(src *sniff.Reader) error { return in.up(ctx, src) },
		down: in.down,
		done: func(t sniff.Traffic) {
			t.Up.Bytes += in.skipIn // finish takes them off again
			t.Down.Bytes += in.skipOut
			in.finish(t)
		},
	}
}
