package sniff

import "net"

// The layers of a connection: a *Conn over a TLS connection over a *Conn over
// a socket, say. What ends a stream is found by walking them downward. Bytes
// are never moved past a layer.

// layered is what tls.Conn and Conn have to show what lies below them.
type layered interface{ NetConn() net.Conn }

// secure is how a TLS connection is told from other layers: crypto/tls has it
// and what is built like it.
type secure interface{ Handshake() error }

type closeWriter interface{ CloseWrite() error }

// underTLS finds the *Conn that a TLS connection directly below c was made
// over; nil if c carries no TLS, or it was not made over a *Conn.
func (c *Conn) underTLS() *Conn {
	seen := false
	for n := c.Conn; n != nil; {
		if s, ok := n.(*Conn); ok && seen {
			return s
		}
		if _, ok := n.(secure); ok {
			if seen {
				return nil // TLS in TLS, with nothing between that would know
			}
			seen = true
		}
		l, ok := n.(layered)
		if !ok {
			return nil
		}
		n = l.NetConn()
	}
	return nil
}

// stream is what carries TLS on c, or c itself: a cut is seen on it, and passed
// on to it.
func (c *Conn) stream() net.Conn {
	if s := c.underTLS(); s != nil {
		return s
	}
	if _, ok := c.Conn.(secure); ok {
		return c.transport()
	}
	return c
}

// transport is the lowest layer of c.
func (c *Conn) transport() net.Conn {
	n := c.Conn
	for {
		l, ok := n.(layered)
		if !ok {
			return n
		}
		below := l.NetConn()
		if below == nil {
			return n
		}
		n = below
	}
}

// wasReset tells whether c, or what it stands on, has met a reset.
func (c *Conn) wasReset() bool {
	s := c.underTLS()
	return c.reset.Load() || s != nil && s.wasReset()
}
