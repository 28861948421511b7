package sniff

import (
	"errors"
	"io"
	"runtime/debug"
	"sync/atomic"
	"time"
)

// direction is one half of a relay.
type direction struct {
	relay   *relay
	r       Reader
	parser  Parser
	perr    error // what the parser returned
	end     error // how the stream ended
	stopped bool
	isOver  atomic.Bool
	failed  bool // src is lost, and with it what the other direction writes to it
	drain   drainTimer
}

func (d *direction) init(rl *relay, src, dst *Conn, p Parser) {
	d.relay, d.parser = rl, p
	d.r.src, d.r.dst, d.r.below = src, dst, src.underTLS()
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
		d.perr = d.parserError(err)
		d.r.Release()
	default:
		d.perr = d.parserError(err)
		d.r.SetDeadline(time.Time{})
		if _, err = d.r.Skip(-1); isTimeout(err) && !d.r.isInterrupted() {
			d.r.rerr = err // a deadline that the caller had set
		}
	}
	d.finish()
	d.r.src.putBack(d.r.kept(), d.r.rerr)
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
	switch {
	case err == nil, errors.Is(err, io.EOF), errors.Is(err, errInterrupted), isTimeout(err),
		d.r.werr != nil && errors.Is(err, d.r.werr),
		d.r.rerr != nil && errors.Is(err, d.r.rerr):
		return nil
	}
	return err
}

// finish passes the end of the stream on.
func (d *direction) finish() {
	defer d.over()
	r := &d.r
	switch {
	case d.stopped, r.isInterrupted():
	case r.werr != nil:
		// dst takes no more. What it still had to say is read by the opposite
		// direction, which then meets the end of dst and passes that on.
		d.end = r.werr
		d.drain.start(d.opposite())
	case r.rerr == io.EOF, r.below != nil && r.below.eof.Load():
		d.end = d.passEnd()
	default:
		d.end = r.rerr
		d.fail()
	}
}

// over tells the relay that this direction has nothing more to deliver. With
// both so, nobody need wait for what may follow: that is what it returns.
func (d *direction) over() (both bool) {
	if !d.isOver.Swap(true) {
		if d.relay.over.Add(1) == 2 {
			d.opposite().r.interrupt()
		}
	}
	return d.relay.over.Load() == 2
}

// restore takes back what was set on the connections to interrupt them.
func (d *direction) restore() {
	d.drain.stop()
	if d.r.isInterrupted() || !d.r.deadline.IsZero() {
		d.r.src.SetReadDeadline(time.Time{})
	}
	if d.failed {
		d.r.src.SetWriteDeadline(time.Time{})
	}
	if d.relay.cancelled.Load() {
		d.r.dst.SetWriteDeadline(time.Time{})
	}
}

func (d *direction) result() Direction {
	return Direction{Bytes: d.r.released.Load(), Parser: d.perr, End: d.end}
}
