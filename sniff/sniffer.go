package sniff

import (
	"context"
	"net"
	"time"
)

// A Sniffer tells what a client speaks by its first bytes. The zero value is
// ready to use. A Sniffer is not changed by its use and may serve any number of
// connections at once.
type Sniffer struct {
	// Detectors are asked in order; the first Yes wins. Nil: [Detectors].
	Detectors []Detector
	// MaxBytes is how much of the head is looked at before the protocol is
	// taken as unknown, in bytes. Zero: 16 KiB.
	MaxBytes int
	// Timeout bounds the time from the first byte to the verdict. Zero: 3 s.
	Timeout time.Duration
}

// Sniff waits for the client of c to speak and wraps c: the verdict is the
// Conn's Protocol, Unknown when there is none within MaxBytes and Timeout or
// the stream ended before. All bytes stay to be read, and so does the error
// that ended the stream. Sniff returns an error only when ctx ends, which it
// does not survive waiting for a silent client: servers that speak first need
// [Relay] instead.
//
// It uses c's read deadline, and clears it.
func (s *Sniffer) Sniff(ctx context.Context, c net.Conn) (*Conn, error) {
	conn := NewConn(c)
	interrupted := make(chan struct{})
	unhook := context.AfterFunc(ctx, func() {
		conn.SetReadDeadline(longAgo)
		close(interrupted)
	})
	s.detect(ctx, conn)
	if !unhook() {
		<-interrupted
	}
	conn.SetReadDeadline(time.Time{})
	return conn, context.Cause(ctx) // not unhook's word: ctx tells of its end before it calls
}

func (s *Sniffer) detect(ctx context.Context, c *Conn) {
	ds, limit, timeout := s.Detectors, s.MaxBytes, s.Timeout
	if ds == nil {
		ds = Detectors()
	}
	if limit == 0 {
		limit = 16 << 10
	}
	if timeout == 0 {
		timeout = 3 * time.Second
	}
	for n := 1; n <= limit; n++ {
		head, err := c.Peek(n)
		if n == 1 && err == nil {
			c.SetReadDeadline(time.Now().Add(timeout))
			if ctx.Err() != nil { // its own deadline may just have been overwritten
				return
			}
		}
		if k := c.Buffered(); err == nil && k > n {
			n = min(k, limit)
			head, _ = c.Peek(n)
		}
		p, v := Detect(ds, head)
		if c.proto = p; v != More || err != nil {
			return
		}
	}
}
