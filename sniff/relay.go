package sniff

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
)

// A Parser looks on while one direction of a connection passes. r is a
// [*Reader]; what the parser has read from it is held back and goes to the
// other side when the parser asks for more, or returns.
//
// A parser blocks only in r. It shares what it learns with the parser of the
// other direction under a mutex, and takes "not there" as unknown: a server may
// answer early. Whatever a peer says in answer to some bytes, the parser of
// those bytes has already seen them. It caps what it allocates, and hands
// results over without waiting.
//
// When it returns, or panics, what it holds is released and the rest of the
// direction is copied without looking; its error is in [Direction.Parser] and
// changes nothing on the wire. One error is different: [Stop].
//
// Once the stream has ended, the reading methods return io.EOF; a parser
// returns that as it is, or nil.
type Parser func(r io.Reader) error

// Stop is returned by a [Parser] to end the relay at a boundary. What the
// parser has consumed is released; what it holds beyond is read again from the
// Conn it came from. The other direction is interrupted (its parser's reads
// fail), keeps in the same way what it had not consumed, and Relay returns. It
// needs a *Conn on both sides: a plain net.Conn cannot take bytes back.
var Stop = errors.New("sniff: stop the relay")

// A PanicError is a parser's panic, contained.
type PanicError struct {
	Value any
	Stack []byte
}

func (e *PanicError) Error() string { return fmt.Sprintf("sniff: parser panicked: %v", e.Value) }

// Traffic is what a relay moved, and how it ended.
type Traffic struct {
	Up   Direction // client to server
	Down Direction // server to client
}

// Direction is one direction's part of [Traffic].
type Direction struct {
	Bytes  int64 // written to the other side
	Parser error // what the parser returned, or its *PanicError; nil for none and for io.EOF
	End    error // how the stream ended: nil in order (FIN, close_notify) or stopped
}

// ErrCut is the [Direction.End] of a TLS stream that ended without a
// close_notify (RFC 8446 section 6.1): it may lack its tail.
var ErrCut = errors.New("sniff: stream cut: no close_notify")

// drainTime bounds how long a direction is read on whose opposite has failed to
// write: on TCP both end together, other connections may not know.
const drainTime = 10 * time.Second

// Relay moves bytes between client and server until both directions have
// ended, with a [Parser] looking on in each; a nil parser looks at nothing.
//
// The bytes written are the bytes read, in their order. An end passes on as it
// came: FIN as FIN, close_notify as close_notify, a cut TLS stream as a cut, a
// reset as a reset; where the other side cannot be half-closed it is closed.
// Back-pressure is the connections' own. Relay does not close them otherwise.
//
// Whether a TLS stream was cut can only be seen where the TLS connection was
// made over a *Conn: elsewhere every end counts as a close_notify.
//
// When ctx ends, both directions are interrupted and Relay returns ctx's error.
// Other errors tell how a direction ended that did not end in order; nil means
// that both did, or that a parser returned [Stop]. Traffic is always set. No
// goroutine outlives the call.
func Relay(ctx context.Context, client, server net.Conn, up, down Parser) (Traffic, error) {
	c, s := NewConn(client), NewConn(server)
	rl := &relay{}
	rl.up.init(rl, c, s, up)
	rl.down.init(rl, s, c, down)
	unhook := context.AfterFunc(ctx, rl.cancel)

	var wg sync.WaitGroup
	wg.Go(rl.down.run)
	rl.up.run()
	wg.Wait()

	unhook()
	rl.end()
	rl.up.restore()
	rl.down.restore()
	t := Traffic{Up: rl.up.result(), Down: rl.down.result()}
	if rl.cancelled.Load() {
		return t, ctx.Err()
	}
	return t, errors.Join(t.Up.End, t.Down.End)
}

type relay struct {
	up, down  direction
	cancelled atomic.Bool
	notified  atomic.Int32 // directions that have passed on a close_notify

	mu    sync.Mutex // held while timers or ctx act on the connections
	done  bool
	drain *time.Timer
}

// end makes sure that nothing acts on the connections any more.
func (rl *relay) end() {
	rl.mu.Lock()
	defer rl.mu.Unlock()
	rl.done = true
	if rl.drain != nil {
		rl.drain.Stop()
	}
}

// limitDrain interrupts d if it is still reading after drainTime.
func (rl *relay) limitDrain(d *direction) {
	rl.mu.Lock()
	defer rl.mu.Unlock()
	rl.drain = time.AfterFunc(drainTime, func() {
		rl.mu.Lock()
		defer rl.mu.Unlock()
		if !rl.done {
			d.r.interrupt()
		}
	})
}

// cancel ends both directions, also those that wait for a slow reader.
func (rl *relay) cancel() {
	rl.mu.Lock()
	defer rl.mu.Unlock()
	if rl.done {
		return
	}
	rl.cancelled.Store(true)
	for _, d := range []*direction{&rl.up, &rl.down} {
		d.r.interrupt()
		d.r.dst.SetWriteDeadline(longAgo)
	}
}

// direction is one half of a relay.
type direction struct {
	relay   *relay
	r       Reader
	parser  Parser
	perr    error // what the parser returned
	end     error // how the stream ended
	stopped bool
}

func (d *direction) init(rl *relay, src, dst *Conn, p Parser) {
	d.relay, d.parser = rl, p
	d.r.src, d.r.dst = src, dst
	if b := src.bottom(); b != src {
		d.r.below = b
	}
}

func (d *direction) opposite() *direction {
	if d == &d.relay.up {
		return &d.relay.down
	}
	return &d.relay.up
}

func (d *direction) run() {
	defer d.r.giveBack()
	err := d.parse()
	switch {
	case errors.Is(err, Stop):
		d.stopped = true
		d.r.Release()
		d.opposite().r.interrupt()
	case d.r.isInterrupted():
		d.r.Release()
	default:
		d.perr = d.parserError(err)
		d.r.SetDeadline(time.Time{})
		_, err = d.r.Skip(-1)
	}
	d.r.src.putBack(d.r.kept())
	d.finish(err)
}

// parse runs the parser and contains its panic.
func (d *direction) parse() (err error) {
	if d.parser == nil {
		return nil
	}
	defer func() {
		if v := recover(); v != nil {
			err = &PanicError{Value: v, Stack: debug.Stack()}
		}
	}()
	return d.parser(&d.r)
}

// parserError leaves out what only tells that the stream is over.
func (d *direction) parserError(err error) error {
	if err == nil || errors.Is(err, io.EOF) || isTimeout(err) {
		return nil
	}
	if d.r.werr != nil && errors.Is(err, d.r.werr) || d.r.rerr != nil && errors.Is(err, d.r.rerr) {
		return nil
	}
	return err
}

// finish passes the end of the stream on.
func (d *direction) finish(err error) {
	r := &d.r
	switch {
	case r.werr != nil && d.relay.cancelled.Load(), errors.Is(err, errInterrupted), d.stopped, r.isInterrupted():
		return
	case r.werr != nil:
		// dst takes no more. What it still had to say is read by the opposite
		// direction, which then meets the end of dst and passes that on.
		d.end = r.werr
		d.relay.limitDrain(d.opposite())
	case r.rerr == io.EOF:
		d.end = d.passEnd()
	default:
		d.end = r.rerr
		r.passFailure()
		d.opposite().r.interrupt()
	}
}

// restore takes back the deadlines that an interruption has set.
func (d *direction) restore() {
	if d.r.isInterrupted() || !d.r.deadline.IsZero() {
		d.r.src.SetReadDeadline(time.Time{})
	}
	if d.relay.cancelled.Load() {
		d.r.dst.SetWriteDeadline(time.Time{})
	}
}

func (d *direction) result() Direction {
	return Direction{Bytes: d.r.released.Load(), Parser: d.perr, End: d.end}
}
