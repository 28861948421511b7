package sniff

import (
	"errors"
	"syscall"
	"time"
)

// errWouldBlock is what a Read returns that may not wait. It is a temporary
// time-out, which crypto/tls does not take for the end of the connection.
var errWouldBlock error = wouldBlockError{}

type wouldBlockError struct{}

func (wouldBlockError) Error() string   { return "sniff: nothing to read yet" }
func (wouldBlockError) Timeout() bool   { return true }
func (wouldBlockError) Temporary() bool { return true }

func isWouldBlock(err error) bool { return errors.Is(err, errWouldBlock) }

// isTimeout tells a deadline that has passed, after which reading may go on.
// ETIMEDOUT calls itself a time-out too, but is the end of its connection.
func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.As(err, &t) && t.Timeout() && !errors.Is(err, syscall.ETIMEDOUT)
}

func isReset(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNABORTED)
}

// longAgo is a deadline that has passed, to interrupt a Read.
var longAgo = time.Unix(1, 0)
