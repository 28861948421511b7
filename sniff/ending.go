package sniff

import (
	"errors"
	"io"
	"net"
)

// passEnd gives dst the end that src has come to, and waits, on TLS, for the
// transport's own end behind a close_notify.
func (d *direction) passEnd() error {
	r := &d.r
	bottom := r.src.bottom()
	switch {
	case r.src.resetBelow(): // a write has met the reset, a read only its echo
		r.passFailure()
		return nil
	case bottom == r.src: // a plain stream
		r.closeWrite(r.dst)
		return nil
	case bottom.eof.Load(): // TLS, ended by its transport
		r.closeWrite(r.dst.bottom())
		return ErrCut
	}
	r.closeWrite(r.dst) // TLS, close_notify
	if d.relay.notified.Add(1) == 2 {
		d.opposite().r.interrupt() // both sides are done: nobody waits for a FIN
		return nil
	}
	if r.waitForFIN(bottom) && r.dst.bottom() != r.dst {
		r.closeWrite(r.dst.bottom())
	}
	return nil
}

func (c *Conn) resetBelow() bool { return c.reset.Load() || c.bottom().reset.Load() }

// waitForFIN reads what follows a close_notify, which RFC 8446 section 6.1
// tells us to ignore, up to the end of the transport's stream.
func (r *Reader) waitForFIN(bottom *Conn) bool {
	for {
		_, err := bottom.Read(r.small[:])
		if err == io.EOF {
			return true
		}
		if err != nil {
			return false
		}
	}
}

// closeWrite half-closes c, or closes it where it cannot be half-closed.
func (r *Reader) closeWrite(c *Conn) {
	if err := c.CloseWrite(); errors.Is(err, errors.ErrUnsupported) {
		c.Close()
	}
}

// passFailure ends dst as src has ended: by a reset if it was one, else by
// cutting it off, so that nobody takes the stream for complete.
func (r *Reader) passFailure() {
	dst := r.dst.bottom()
	if t, ok := dst.Conn.(*net.TCPConn); ok {
		if r.src.resetBelow() {
			flushed(t) // what was sent before the reset arrives before it
			t.SetLinger(0)
		}
		t.Close()
		return
	}
	dst.Close()
}
