package mitm

import (
	"bytes"
	"encoding/binary"
	"net"
)

// peeker is a connection whose first bytes were looked at before.
type peeker interface {
	Peek(n int) ([]byte, error)
	Buffered() int
}

// maxHello is the most that is kept of a client's first bytes: crypto/tls takes
// a ClientHello of 64 KiB at most, here with room for record headers.
const maxHello = 128 << 10

// captureHello returns the connection to read the client's handshake from and
// a function that gives its ClientHello once that was read: nil if it is too
// long or in pieces too small. A connection that has it buffered already comes
// back as it is.
func captureHello(client net.Conn) (net.Conn, func() []byte) {
	if p, ok := client.(peeker); ok {
		if head, err := p.Peek(p.Buffered()); err == nil {
			if hello := helloRecords(head); hello != nil {
				hello = bytes.Clone(hello)
				return client, func() []byte { return hello }
			}
		}
	}
	c := &captureConn{Conn: client}
	return c, c.hello
}

// captureConn keeps a copy of what is read until hello is called.
type captureConn struct {
	net.Conn
	head []byte
	done bool
}

func (c *captureConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if !c.done && n > 0 {
		c.head = append(c.head, p[:n]...)
		if len(c.head) > maxHello {
			c.head, c.done = nil, true
		}
	}
	return n, err
}

// NetConn returns the connection below.
func (c *captureConn) NetConn() net.Conn { return c.Conn }

func (c *captureConn) hello() []byte {
	hello := bytes.Clone(helloRecords(c.head))
	c.head, c.done = nil, true
	return hello
}

// helloRecords returns the records at the head of b that hold the first
// handshake message (RFC 8446, sections 4 and 5.1), or nil if b ends before it
// does or is something else.
func helloRecords(b []byte) []byte {
	const (
		recordHeader    = 5
		recordHandshake = 22
		messageHeader   = 4
	)
	var message []byte // as much of its header as has come
	have, want := 0, messageHeader
	for at := 0; have < want; {
		if len(b)-at < recordHeader || b[at] != recordHandshake {
			return nil
		}
		n := int(binary.BigEndian.Uint16(b[at+3:]))
		at += recordHeader
		if n == 0 || len(b)-at < n {
			return nil
		}
		if len(message) < messageHeader {
			message = append(message, b[at:at+min(n, messageHeader-len(message))]...)
			if len(message) == messageHeader {
				want += int(message[1])<<16 | int(message[2])<<8 | int(message[3])
			}
		}
		have += n
		at += n
		if len(message) == messageHeader && have >= want {
			return b[:at]
		}
	}
	return nil
}
