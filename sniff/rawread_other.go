//go:build !unix

package sniff

import "net"

// rawReader needs a platform where a read can be tried; elsewhere every read
// waits, and idle connections hold a small buffer.
type rawReader struct{}

type lender interface {
	borrow() []byte
	giveBack()
}

func (*rawReader) init(net.Conn)            {}
func (*rawReader) can() bool                { return false }
func (*rawReader) try([]byte) (int, error)  { return 0, errWouldBlock }
func (*rawReader) wait(lender) (int, error) { return 0, errWouldBlock }
