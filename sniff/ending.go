package sniff

import (
	"errors"
	"net"
	"syscall"
	"time"
)

// passEnd gives dst the end that src has come to, and waits, on TLS, for the
// transport's own end behind a close_notify.
func (d *direction) passEnd() error {
	r := &d.r
	switch {
	case d.wasReset():
		d.passFailure()
		return syscall.ECONNRESET
	case r.below == nil: // a plain stream
		d.halfClose(r.dst)
		return nil
	case r.below.eof.Load(): // TLS, ended by its transport
		d.halfClose(r.dst.stream())
		return ErrCut
	}
	d.halfClose(r.dst) // TLS, close_notify
	if !d.over() && d.waitForEOF() && r.dst.stream() != r.dst {
		d.halfClose(r.dst.stream())
	}
	return nil
}

// echoTime bounds the wait for a write to tell what it has met.
const echoTime = time.Second

// wasReset tells whether the end of src's stream is a reset. A connection tells
// of it once: if that was to a write of the other direction, the read sees an
// end of stream, and may see it before the write has come back to say so.
func (d *direction) wasReset() bool {
	src := d.r.src
	ended := d.r.below == nil || d.r.below.eof.Load()
	if t, ok := src.transport().(*net.TCPConn); ok && ended && mayBeEcho(t) {
		for end := time.Now().Add(echoTime); time.Now().Before(end); time.Sleep(50 * time.Microsecond) {
			if src.wasReset() || d.opposite().isOver.Load() {
				break
			}
		}
	}
	return src.wasReset()
}

// waitForEOF reads what follows a close_notify, which RFC 8446 section 6.1
// tells us to ignore, up to the end of the transport's stream. It waits no
// longer than the opposite direction has something to deliver.
func (d *direction) waitForEOF() bool {
	for !d.r.below.eof.Load() {
		if _, err := d.r.below.Read(d.r.small[:]); err != nil && !d.r.below.eof.Load() {
			return false
		}
	}
	return true
}

// halfClose half-closes c, a layer of dst, or closes it where it cannot be
// half-closed. The opposite direction takes that for the end of its stream.
func (d *direction) halfClose(c net.Conn) {
	err := errors.ErrUnsupported
	if w, ok := c.(closeWriter); ok {
		err = w.CloseWrite()
	}
	var op *net.OpError
	if err == nil || errors.As(err, &op) { // an OpError: the stream was gone already
		return
	}
	d.opposite().r.srcClosed.Store(true)
	c.Close()
}

// fail ends the relay because src can no longer be read.
func (d *direction) fail() {
	d.failed = true
	d.opposite().r.interrupt()
	d.r.src.SetWriteDeadline(longAgo) // the opposite direction may be stuck there
	d.passFailure()
}

// passFailure ends dst as src has ended: by a reset if it was one, else by
// cutting it off, so that nobody takes the stream for complete.
func (d *direction) passFailure() {
	dst := d.r.dst.transport()
	if t, ok := dst.(*net.TCPConn); ok && d.r.src.wasReset() {
		flushed(t, d.relay.cancelled.Load) // what was sent before the reset arrives before it
		t.SetLinger(0)
	}
	dst.Close()
}
