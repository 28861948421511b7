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

	in, out       int64                // bytes on the wire
	oddIn, oddOut sniff.HTTP1Anomalies // of heads and chunks, by direction
	pushed        bool                 // it is among those that wait, or was
	requests      bool                 // the request is complete
	answered      bool                 // the final answer is, though perhaps not yet passed on
	upgrades      bool                 // and asks for another protocol
	expects       bool                 // the body has not begun, and waits for a 100
	kept          int64                // its part of http1.kept
	junk          int                  // bytes before the answer that are none
	notes         []string             // further anomalies
	broken        string               // why it could not be followed to its end
}

func (x *exchange) note(what string) {
	if !slices.Contains(x.notes, what) {
		x.notes = append(x.notes, what)
	}
}

// newExchange begins an exchange with its request's first byte.
func (h *http1) newExchange(start time.Time) *exchange {
	f := h.flow
	x := &exchange{Record: f.base}
	x.Time, x.HTTP, x.Timings = start, &x.http, &x.timings
	x.timings = f.session.timings(start)
	x.http.Scheme = f.scheme
	x.http.Request = &x.request
	x.in, h.blank = h.blank, 0
	return x
}

// describe fills in the request's head, of n bytes.
func (h *http1) describe(x *exchange, head *sniff.HTTP1Head, n int64) {
	fields := headerOf(head)
	scheme := x.http.Scheme
	if h.flow.session.forward != nil {
		scheme, fields = "http", withoutCredentials(fields)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	x.in += n
	x.http.Host, x.http.Method, x.http.Proto = head.Host, head.Method, head.Proto
	x.http.Scheme, x.http.URI = scheme, head.Target
	x.request.Header = fields
	x.upgrades = head.Upgrade != ""
	x.oddIn = head.Anomalies
	x.timings.RequestEnd = time.Since(x.Time)
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

// tooMany reports that no further exchange may wait.
func (h *http1) tooMany() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.waiting) >= maxPipelined || len(h.waiting) > 0 && h.kept > maxPipelinedBytes
}

// push makes x the last of those that wait for an answer, once.
func (h *http1) push(x *exchange) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if x.pushed {
		return
	}
	x.pushed, h.begun = true, true
	h.flow.connect = nil // something was recognised inside
	if h.stray > 0 {
		x.out, h.stray = h.stray, 0
		x.note("garbage")
	}
	h.waiting = append(h.waiting, x)
	if !h.flow.session.entering.Swap(false) {
		h.flow.session.busy.Add(1)
	}
}

// front is the exchange that the next answer is for, nil if there is none, with
// its method as far as that is known.
func (h *http1) front() (x *exchange, method string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.waiting) == 0 {
		return nil, ""
	}
	return h.waiting[0], h.waiting[0].http.Method
}

func (h *http1) requestDone(x *exchange) {
	h.mu.Lock()
	defer h.mu.Unlock()
	x.requests = true
	if h.early != x {
		x.kept = x.in - x.request.ContentLength + int64(len(x.request.Body))
		h.kept += x.kept
	} else {
		h.early = nil
		h.emit(x, "")
	}
}

// answer notes that x has its whole answer, before the client can act on it.
func (h *http1) answer(x *exchange) {
	h.mu.Lock()
	defer h.mu.Unlock()
	x.answered = true
}

// responseDone takes x from those that wait. behind is what the server has
// already sent after the answer.
func (h *http1) responseDone(x *exchange, behind []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.pop(x)
	if h.noted = len(behind) > 0 && len(h.waiting) == 0 && h.broken == nil; h.noted {
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
	h.kept -= x.kept
	if h.waiting = slices.Delete(h.waiting, 0, 1); len(h.waiting) == 0 {
		h.wake()
	}
}

// wait waits until nothing waits for an answer any more, or no answer can come:
// it then returns false, and the client has been told of the end. It is the one
// place where a parser waits for the other direction: what comes next goes to
// another server, and must not overtake. Where the answers can no longer be
// followed it waits for patience, since nothing tells when they are complete.
func (h *http1) wait(patience time.Duration) bool {
	h.mu.Lock()
	var ch chan struct{}
	if len(h.waiting) > 0 && !h.downDone {
		ch = make(chan struct{})
		h.answered = ch
	}
	h.mu.Unlock()
	for ch != nil {
		select {
		case <-ch:
			ch = nil
		case <-time.After(patience):
			if h.isLost() {
				return false
			}
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return !h.downDone
}

func (h *http1) isLost() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.lost
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
	if why = or(x.broken, why); why != "" {
		x.Err = or(x.Err, why)
		x.Duration = time.Since(x.Time)
	}
	x.Anomalies = (x.oddIn | x.oddOut).Names(x.notes)
	h.flow.session.busy.Add(-1)
	h.flow.Emit(&x.Record)
}

// done records what was left unfinished when the connection ended.
func (h *http1) done(t sniff.Traffic) {
	h.flow.session.enter()
	if x := h.broken; x == nil || len(h.waiting) == 0 || h.waiting[0] != x || x.http.StatusCode != 0 {
		h.flow.session.bad = "" // an answer of ours would be taken for another's
	}
	if h.strayed { // the client can go on, if all was answered: on another connection
		h.flow.session.again = len(h.waiting) == 0 && h.early == nil
	}
	end := endError(t)
	rest := t // what passed without being followed
	rest.Up.Bytes, rest.Down.Bytes = max(0, t.Up.Bytes-h.in), max(0, t.Down.Bytes-h.out)
	if sw := h.switched; sw != nil {
		if sw.done != nil {
			sw.done(rest)
		}
		if x := sw.exchange; x != nil {
			x.in += rest.Up.Bytes
			x.out += rest.Down.Bytes
			x.timings.ResponseEnd = time.Since(x.Time)
			h.emit(x, end)
		}
		rest.Up.Bytes, rest.Down.Bytes = 0, 0
	}
	h.unfinished(&rest, or(end, "the connection ended before the exchange was complete"))
	if rest.Up.Bytes > 0 || rest.Down.Bytes > 0 || h.stray > 0 {
		rest.Down.Bytes += h.stray
		h.flow.base.Anomalies = []string{"garbage"}
		h.flow.recordWhole(rest, "")
	} else if h.strayed && !h.noted {
		h.flow.base.Anomalies = []string{"garbage"}
		h.flow.recordWhole(rest, "the server said what nobody had asked for; the client was not told")
	}
}

// unfinished records the exchanges that were not complete, and takes for them
// what is theirs of rest.
func (h *http1) unfinished(rest *sniff.Traffic, why string) {
	left := h.waiting
	if h.early != nil {
		left = append([]*exchange{h.early}, left...)
	}
	for i, x := range left {
		if i == 0 && x != h.early || x == h.broken {
			x.out += rest.Down.Bytes + h.stray
			rest.Down.Bytes, h.stray = 0, 0
		}
		if i == len(left)-1 && !x.requests {
			x.in += rest.Up.Bytes
			rest.Up.Bytes = 0
		}
		switch {
		case x == h.early && x.expects && x.broken == "": // its body was not wanted, and was not sent
			h.emit(x, "")
			continue
		case x == h.early && x.broken == "":
			x.note("early-answer")
		}
		h.emit(x, why)
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
	h.pop(x)
	h.switched = sw
	if sw.exchange == nil {
		h.flow.session.busy.Add(-1)
	}
}

// switches reports whether the connection speaks something else behind an answer.
// A 101 that nobody has asked for (RFC 9110 section 15.2.2) switches nothing.
func (h *http1) switches(x *exchange, method string, status int) bool {
	if status == 101 {
		h.mu.Lock()
		defer h.mu.Unlock()
		return x.upgrades
	}
	return method == "CONNECT" && status >= 200 && status < 300
}

// upgrade follows a 101 (RFC 9110 section 7.8).
func (h *http1) upgrade(x *exchange, head *sniff.HTTP1Head) *switched {
	sw := &switched{exchange: x}
	if strings.EqualFold(head.Upgrade, "websocket") && !h.flow.pipeline.NoSniff {
		w := newWebSocket(h.flow, x)
		sw.up, sw.down, sw.done = w.up, w.down, w.done
	}
	return sw
}

// tunnel follows a 2xx to a CONNECT (RFC 9110 section 9.3.6): what is behind it
// is a flow of its own, in the same relay.
func (h *http1) tunnel(ctx context.Context, x *exchange) *switched {
	f := h.flow
	if f.depth == maxDepth {
		return &switched{exchange: x}
	}
	in := &Flow{
		pipeline: f.pipeline, session: f.session, layer: f.layer, depth: f.depth + 1,
		client: f.client, server: f.server,
		base: f.base, target: f.target, scheme: f.scheme, connect: &x.http,
	}
	in.base.Time, in.base.Host = x.Time, x.http.URI
	in.base.Route = f.base.Route + "," + x.http.URI
	in.target.Host, in.target.Port = targetOf("tcp", x.http.URI, "").Host, targetOf("tcp", x.http.URI, "").Port
	return &switched{
		up:   func(src *sniff.Reader) error { return in.up(ctx, src) },
		down: in.down,
		done: in.finish,
	}
}
