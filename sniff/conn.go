package sniff

import (
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
)

// Conn is a net.Conn of which one can look at bytes before reading them. What
// was peeked is read again; nothing is lost and nothing is altered.
//
// A Conn is also what [Relay] looks for below a TLS connection: it remembers
// how its stream ended, so that a close_notify can be told from a cut.
//
// Its methods may be called concurrently, as with any net.Conn; Peek counts as
// a Read. Make one with [NewConn] or [Sniffer.Sniff].
type Conn struct {
	net.Conn

	mu      sync.Mutex // guards unread and rerr
	unread  []byte     // read from Conn, not yet handed out
	rerr    error      // met while peeking, to be handed out after unread
	waiting atomic.Bool
	proto   Protocol
	tap     func([]byte)

	raw  rawReader    // reads without waiting, where the platform can
	mode atomic.Int32 // of readMode: how the bottom read behaves

	eof   atomic.Bool // the peer's end of stream was read
	reset atomic.Bool // the peer reset the connection
}

// readMode says what Read does when nothing is buffered.
type readMode = int32

const (
	readWait   readMode = iota // wait, as ever
	readTry                    // read what the kernel has, else errWouldBlock
	readRefuse                 // errWouldBlock at once, without a system call
)

// NewConn wraps c. A c that is a *Conn is returned as it is.
func NewConn(c net.Conn) *Conn {
	if s, ok := c.(*Conn); ok {
		return s
	}
	s := &Conn{Conn: c}
	s.raw.init(c)
	return s
}

// Protocol is what [Sniffer.Sniff] found, or Unknown.
func (c *Conn) Protocol() Protocol { return c.proto }

// NetConn returns the connection below, as tls.Conn.NetConn does. Bytes that
// are [Conn.Buffered] are not seen by reading from it.
func (c *Conn) NetConn() net.Conn { return c.Conn }

// Buffered is the number of bytes that Read returns without waiting.
func (c *Conn) Buffered() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.unread)
}

// Tap has f called with every chunk that is read from below, before anybody
// else sees it; nil ends that. f must not keep the slice. It must not be
// called while a Read is under way.
func (c *Conn) Tap(f func([]byte)) { c.tap = f }

// Read reads what was peeked, then from below.
func (c *Conn) Read(p []byte) (n int, err error) {
	if c.waiting.Load() {
		n, err = c.take(p)
	}
	if n == 0 && err == nil {
		n, err = c.readBelow(p)
	}
	c.noteEnd(err)
	return n, err
}

func (c *Conn) readBelow(p []byte) (n int, err error) {
	switch c.mode.Load() {
	case readRefuse:
		return 0, errWouldBlock
	case readTry:
		if !c.raw.can() {
			return 0, errWouldBlock
		}
		n, err = c.raw.try(p)
	default:
		n, err = c.Conn.Read(p)
	}
	c.tapped(p[:n])
	return n, err
}

// tapped shows Tap's function what was read from below.
func (c *Conn) tapped(b []byte) {
	if c.tap != nil && len(b) > 0 {
		c.tap(b)
	}
}

// noteEnd remembers how the stream ended, once a reader has been told.
func (c *Conn) noteEnd(err error) {
	switch {
	case err == nil:
	case err == io.EOF:
		c.eof.Store(true)
	case isReset(err):
		c.reset.Store(true)
	}
}

// Write writes to the connection below.
func (c *Conn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	// ECONNRESET alone: a reset behind a FIN makes a write fail by EPIPE, and
	// such a stream has ended in order. Whoever reads it meets that end.
	if err != nil && errors.Is(err, syscall.ECONNRESET) {
		c.reset.Store(true)
	}
	return n, err
}

func (c *Conn) take(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := copy(p, c.unread)
	if c.unread = c.unread[n:]; len(c.unread) > 0 {
		return n, nil
	}
	c.unread = nil
	var err error
	if n == 0 && len(p) > 0 {
		err, c.rerr = c.rerr, nil
	}
	c.waiting.Store(c.rerr != nil)
	return n, err
}

// putBack makes b the next bytes to be read, and err, if there is one, what a
// reader meets after all that is buffered. It keeps a copy.
func (c *Conn) putBack(b []byte, err error) {
	if len(b) == 0 && err == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(b) > 0 {
		c.unread = append(append(make([]byte, 0, len(b)+len(c.unread)), b...), c.unread...)
	}
	if err != nil {
		c.rerr = err
	}
	c.waiting.Store(true)
}

// Peek returns the next n bytes without consuming them, waiting for them where
// it must. With fewer than n it returns those and says why; the error is then
// met again by the Read that comes that far, unless it was a time-out. The
// slice is valid until the next Read or Peek. A negative n is taken as zero.
func (c *Conn) Peek(n int) ([]byte, error) {
	n = max(n, 0)
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.unread) < n {
		if c.rerr != nil {
			return c.unread, c.rerr
		}
		if err := c.peekMore(n); err != nil {
			return c.unread, err
		}
	}
	return c.unread[:n], nil
}

// peekMore adds at least a byte to unread, or returns why it could not.
func (c *Conn) peekMore(n int) error {
	have := len(c.unread)
	if cap(c.unread) < n {
		c.unread = append(make([]byte, 0, max(n, 2*have, 1024)), c.unread...)
	}
	if cap(c.unread) == have {
		c.unread = append(make([]byte, 0, 2*have), c.unread...)
	}
	m, err := c.readBelow(c.unread[have:cap(c.unread)])
	c.unread = c.unread[:have+m]
	if err != nil && !isTimeout(err) {
		c.rerr = err
	}
	c.waiting.Store(len(c.unread) > 0 || c.rerr != nil)
	if m > 0 {
		return nil
	}
	return err
}

// CloseWrite ends the stream in the writing direction: a FIN on TCP, a
// close_notify on TLS. Where the connection below has no such thing it returns
// [errors.ErrUnsupported].
func (c *Conn) CloseWrite() error {
	if w, ok := c.Conn.(closeWriter); ok {
		return w.CloseWrite()
	}
	return errors.ErrUnsupported
}

// WriteTo copies the stream to w until its end. Where both are TCP, and w may
// be a *Conn too, the kernel moves the bytes.
func (c *Conn) WriteTo(w io.Writer) (int64, error) {
	n, err := c.flushTo(w)
	if err != nil {
		c.noteEnd(err)
		if err == io.EOF {
			err = nil
		}
		return n, err
	}
	if d, ok := w.(*Conn); ok {
		w = d.Conn
	}
	var src io.Reader = struct{ io.Reader }{c}
	if t := c.tcp(); t != nil {
		src = t
	}
	m, err := io.Copy(w, src)
	if err == nil {
		c.noteEnd(io.EOF)
	}
	return n + m, err
}

// flushTo writes what is buffered to w, then returns what had ended the peeking.
func (c *Conn) flushTo(w io.Writer) (int64, error) {
	c.mu.Lock()
	b, rerr := c.unread, c.rerr
	c.unread, c.rerr = nil, nil
	c.waiting.Store(false)
	c.mu.Unlock()
	if len(b) == 0 {
		return 0, rerr
	}
	n, err := w.Write(b)
	if err != nil {
		c.putBack(b[n:], rerr)
		return int64(n), err
	}
	return int64(n), rerr
}

// tcp returns the TCP connection that c wraps directly, if nothing is buffered
// before it and nobody taps it.
func (c *Conn) tcp() *net.TCPConn {
	t, ok := c.Conn.(*net.TCPConn)
	if !ok || c.tap != nil || c.waiting.Load() {
		return nil
	}
	return t
}
