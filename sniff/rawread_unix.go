//go:build unix

package sniff

import (
	"io"
	"net"
	"os"
	"syscall"
)

// rawReader reads a socket without waiting, or waits without holding a buffer:
// two things that net.Conn cannot be asked for and an idle connection needs.
// One goroutine at a time uses it.
type rawReader struct {
	conn syscall.Conn // nil: not a socket
	rc   syscall.RawConn
	step func(fd uintptr) bool // made once, so that a read allocates nothing

	p    []byte
	lend lender
	n    int
	err  error
}

// lender lends a buffer to read into once there is something to read.
type lender interface {
	borrow() []byte
	giveBack()
}

func (r *rawReader) init(c net.Conn) {
	switch c := c.(type) {
	case *net.TCPConn:
		r.conn = c
	case *net.UnixConn:
		if c.LocalAddr().Network() == "unix" { // a stream: elsewhere an empty read is no end
			r.conn = c
		}
	}
}

func (r *rawReader) can() bool { return r.conn != nil }

// try reads into p what the kernel has, or returns errWouldBlock.
func (r *rawReader) try(p []byte) (int, error) { return r.read(p, nil) }

// wait waits for something to read, and borrows the buffer only then.
func (r *rawReader) wait(l lender) (int, error) { return r.read(nil, l) }

func (r *rawReader) read(p []byte, l lender) (int, error) {
	if r.rc == nil {
		rc, err := r.conn.SyscallConn()
		if err != nil {
			return 0, err
		}
		r.rc, r.step = rc, r.readOnce
	}
	r.p, r.lend = p, l
	err := r.rc.Read(r.step)
	n, rerr := r.n, r.err
	r.p, r.lend, r.n, r.err = nil, nil, 0, nil
	if err != nil {
		return 0, err
	}
	return n, rerr
}

// readOnce is called with the socket; false means: call again when readable.
func (r *rawReader) readOnce(fd uintptr) bool {
	p := r.p
	if r.lend != nil {
		p = r.lend.borrow()
	}
	n, err := ignoringEINTR(int(fd), p)
	switch {
	case err == syscall.EAGAIN && r.lend != nil:
		r.lend.giveBack()
		return false
	case err == syscall.EAGAIN:
		r.err = errWouldBlock
	case err != nil:
		r.err = r.opError(err)
	case n == 0 && len(p) > 0:
		r.err = io.EOF
	default:
		r.n = n
	}
	return true
}

func ignoringEINTR(fd int, p []byte) (int, error) {
	for {
		n, err := syscall.Read(fd, p)
		if err != syscall.EINTR {
			return max(n, 0), err
		}
	}
}

// opError gives err the form that net's own Read gives it.
func (r *rawReader) opError(err error) error {
	c := r.conn.(net.Conn)
	return &net.OpError{
		Op: "read", Net: c.LocalAddr().Network(), Source: c.LocalAddr(), Addr: c.RemoteAddr(),
		Err: os.NewSyscallError("read", err),
	}
}
