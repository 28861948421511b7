package sniff

import (
	"net"

	"golang.org/x/sys/unix"
)

// canSplice says that net.TCPConn.ReadFrom moves bytes in the kernel.
const canSplice = true

// tcpClose is TCP_CLOSE of Linux's include/net/tcp_states.h.
const tcpClose = 7

// mayBeEcho tells whether an end of stream read from t may be no FIN, but what a
// reader sees of a reset whose error a write has been told. A reset behind a FIN
// leaves EPIPE for a write to find; if there is nothing to find, a write has it.
func mayBeEcho(t *net.TCPConn) bool {
	if !isGone(t) {
		return false
	}
	rc, err := t.SyscallConn()
	if err != nil {
		return false
	}
	pending := 0
	rc.Control(func(fd uintptr) { pending, err = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ERROR) })
	return err == nil && pending == 0
}

// isGone tells whether the connection of t is over in both directions: reset,
// timed out, or closed by us.
func isGone(t *net.TCPConn) bool {
	rc, err := t.SyscallConn()
	if err != nil {
		return true
	}
	gone := true
	rc.Control(func(fd uintptr) {
		info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
		gone = err != nil || info.State == tcpClose
	})
	return gone
}
