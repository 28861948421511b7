package sniff

import (
	"net"

	"golang.org/x/sys/unix"
)

// canSplice says that net.TCPConn.ReadFrom moves bytes in the kernel.
const canSplice = true

// tcpClose is TCP_CLOSE of Linux's include/net/tcp_states.h.
const tcpClose = 7

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
