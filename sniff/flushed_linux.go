package sniff

import (
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// flushTime bounds the wait for a peer that does not take what was sent to it.
const flushTime = time.Second

// flushed waits until the peer's kernel has acknowledged all that was written
// to t: a reset would throw away what is still under way.
func flushed(t *net.TCPConn) {
	rc, err := t.SyscallConn()
	if err != nil {
		return
	}
	pause := 100 * time.Microsecond
	for end := time.Now().Add(flushTime); time.Now().Before(end); time.Sleep(pause) {
		left := 0
		rc.Control(func(fd uintptr) { left, err = unix.IoctlGetInt(int(fd), unix.SIOCOUTQ) })
		if err != nil || left == 0 {
			return
		}
		pause = min(2*pause, 20*time.Millisecond)
	}
}
