package proxy

import (
	"context"
	"errors"
	"io"
	"maps"
	"net"
	"net/netip"
	"runtime/debug"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/proxyglass/proxyglass/bypass"
	"github.com/proxyglass/proxyglass/record"
	"github.com/proxyglass/proxyglass/sniff"
)

// A Flow is one layer of a connection under observation: the connection as it
// came, what was inside its TLS, or what passes behind a CONNECT in it.
type Flow struct {
	pipeline       *Pipeline
	session        *session
	layer          *layer
	client, server *sniff.Conn

	depth   int           // how many flows it is inside of
	base    record.Record // what all records of this flow share
	target  bypass.Target
	scheme  string       // of the HTTP inside: "https" behind TLS
	connect *record.HTTP // the CONNECT that led here, for a record of its own if nothing else comes

	mu       sync.Mutex // guards what the two directions agree on
	spoken   bool       // the client has said something
	settled  bool       // what is spoken is known, or given up
	observer *Observer  // nil: nobody looks

	early int64 // bytes that the server said before it was known what is spoken

	whole   atomic.Bool // counted as busy as a whole
	emitted atomic.Bool // there is a record of it
	foreign bool        // observed by a Protocol that is not one of ours
}

// maxDepth bounds how many CONNECTs and opened TLS connections inside one
// another are looked into: two ends that play together could go on for ever.
const maxDepth = 8

// layer is what all flows of one relay share.
type layer struct {
	next func(context.Context) (*Flow, error) // makes what comes behind the relay that a parser stopped
}

func (p *Pipeline) newFlow(client, server *sniff.Conn, s *session) *Flow {
	p.init()
	f := &Flow{pipeline: p, session: s, layer: &layer{}, client: client, server: server, connect: s.Connect}
	f.base = record.Record{
		Service: or(p.Service, "proxyglass"), Network: or(s.Network, "tcp"),
		Remote: s.Remote, Local: s.Local, ClientIP: s.ClientIP, ClientID: s.ClientID,
		Host: s.Host, Labels: p.Labels, SID: s.ID, Time: s.Start,
	}
	b := &f.base
	if b.Remote == "" {
		b.Remote = client.RemoteAddr().String()
	}
	if b.Local == "" {
		b.Local = client.LocalAddr().String()
	}
	b.Client = b.Remote
	if b.ClientIP == "" {
		b.ClientIP = hostOf(b.Remote)
	}
	if server != nil {
		b.Src, b.Dst = server.LocalAddr().String(), server.RemoteAddr().String()
	}
	b.Host = or(b.Host, b.Dst)
	b.Route = or(s.Route, b.Host)
	if s.Connect != nil {
		b.Proto = "http"
	}
	f.target = targetOf(b.Network, b.Host, b.Dst)
	return f
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// hostOf is addr without its port, or addr where it has none.
func hostOf(addr string) string {
	if host, _, err := net.SplitHostPort(addr); err == nil {
		return host
	}
	return addr
}

func targetOf(network, host, dialled string) bypass.Target {
	t := bypass.Target{Network: network, Host: hostOf(host)}
	if _, port, err := net.SplitHostPort(host); err == nil {
		n, _ := strconv.ParseUint(port, 10, 16)
		t.Port = uint16(n)
	}
	if ap, err := netip.ParseAddrPort(dialled); err == nil {
		t.Addr = ap.Addr().Unmap()
		if t.Port == 0 {
			t.Port = ap.Port()
		}
	}
	return t
}

// Record returns a record with all that is known of the flow, Time being start,
// to be completed and given to Emit. Its TLS section is shared with other
// records and not to be changed; its Labels are its own.
func (f *Flow) Record(start time.Time) *record.Record {
	r := f.base
	r.Time = start
	r.Labels = maps.Clone(r.Labels)
	return &r
}

// Emit hands r to the pipeline's recorder. It does not wait. r must not be
// changed any more.
func (f *Flow) Emit(r *record.Record) {
	r.Seq = f.session.seq.Add(1)
	f.emitted.Store(true)
	if q := f.pipeline.queue; q != nil {
		q.Record(context.Background(), r)
	}
}

// Client and Server are the two connections of this layer. A protocol's
// observer has no business reading or writing them.
func (f *Flow) Client() net.Conn { return f.client }

// Server is the connection to the origin. See Client.
func (f *Flow) Server() net.Conn { return f.server }

// serve relays until the end, layer by layer. It is a loop so that a connection
// that idles ten layers deep needs no deeper a stack, and no more of the outer
// layers, than another.
func (f *Flow) serve(ctx context.Context) error {
	for {
		next, err := f.relay(ctx)
		if next == nil {
			return err
		}
		f = next
	}
}

// relay serves one layer, and returns the next, if there is one.
func (f *Flow) relay(ctx context.Context) (*Flow, error) {
	var up, down sniff.Parser
	switch {
	case f.session.forward != nil:
		up, down = f.rewriting(ctx)
	case !f.pipeline.NoSniff:
		up = func(r io.Reader) error { return f.up(ctx, r.(*sniff.Reader)) }
		down = func(r io.Reader) error { return f.down(r.(*sniff.Reader)) }
	default:
		f.busyUntilEnd()
	}
	t, err := sniff.Relay(ctx, f.client, f.server, up, down)
	if err != nil && endError(t) == "" {
		t.Up.End = errCutOff
	}
	f.complain(t)
	f.finish(t)
	if f.layer.next != nil && ctx.Err() == nil {
		return f.layer.next(ctx)
	}
	return nil, err
}

// rewriting are the parsers of a client that takes us for its proxy. What they
// speak is known, whatever protocols there are; and when ours should panic,
// requests are not to go on as they are, with what they say to us alone.
func (f *Flow) rewriting(ctx context.Context) (up, down sniff.Parser) {
	o := http1Protocol{}.Observe(ctx, f)
	f.settled, f.observer = true, &o
	up = func(r io.Reader) (err error) {
		defer func() {
			if v := recover(); v != nil {
				f.panicked(v, debug.Stack())
				err = sniff.Stop
			}
		}()
		return o.Up(r.(*sniff.Reader))
	}
	return up, func(r io.Reader) error { return o.Down(r.(*sniff.Reader)) }
}

// errCutOff is the end of a relay whose context has ended.
var errCutOff = errors.New("cut off: the proxy stops")

// complain logs what only a fault of ours, or of a Protocol, can have caused.
func (f *Flow) complain(t sniff.Traffic) {
	for _, err := range []error{t.Up.Parser, t.Down.Parser} {
		var p *sniff.PanicError
		if errors.As(err, &p) {
			f.panicked(p.Value, p.Stack)
		}
	}
}

func (f *Flow) panicked(v any, stack []byte) {
	f.pipeline.logger().Error("a parser panicked; the connection went on unobserved",
		"sid", f.base.SID, "host", f.base.Host, "panic", v, "stack", string(stack))
}

// busyUntilEnd counts the flow as busy as long as it lasts: there is no telling
// when it is idle.
func (f *Flow) busyUntilEnd() {
	if !f.whole.Swap(true) {
		f.session.busy.Add(1)
	}
}

// finish completes the records of a flow that has ended.
func (f *Flow) finish(t sniff.Traffic) {
	if f.whole.Load() {
		f.session.busy.Add(-1)
	}
	if f.observer == nil {
		f.recordWhole(t, "")
		return
	}
	f.observerDone(t)
	if f.foreign && !f.emitted.Load() {
		f.recordWhole(t, "")
	}
}

// observerDone calls the observer's Done and contains its panic.
func (f *Flow) observerDone(t sniff.Traffic) {
	if f.observer.Done == nil {
		return
	}
	defer func() {
		if v := recover(); v != nil {
			f.panicked(v, debug.Stack())
		}
	}()
	f.observer.Done(t)
}

// recordWhole makes the one record of a flow in which nothing finer was seen.
func (f *Flow) recordWhole(t sniff.Traffic, why string) {
	r := f.Record(f.base.Time)
	r.HTTP = f.connect
	r.InputBytes, r.OutputBytes = t.Up.Bytes, t.Down.Bytes
	r.Duration = time.Since(r.Time)
	if timings := f.session.timings(r.Time); timings != (record.Timings{}) {
		r.Timings = &timings
	}
	r.Err = or(r.Err, or(why, endError(t)))
	f.Emit(r)
}

// endError says how a relay ended out of order, "" if it did not.
func endError(t sniff.Traffic) string {
	switch {
	case t.Up.End == errCutOff:
		return errCutOff.Error()
	case t.Down.End != nil:
		return "server to client: " + reason(t.Down.End)
	case t.Up.End != nil:
		return "client to server: " + reason(t.Up.End)
	}
	return ""
}

// reason is err without the addresses, which the record has.
func reason(err error) string {
	var number syscall.Errno
	if errors.As(err, &number) {
		return number.Error()
	}
	return err.Error()
}
