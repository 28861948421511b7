package sniff

import (
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// flushTime bounds the wait for a peer that takes nothing of what was sent to it.
const flushTime = 5 * time.Second

// flushed waits until the peer's kernel has acknowledged all that was written
// to t: a reset would throw away what is still under way. It gives up when that
// comes no nearer for flushTime, or giveUp says so.
func flushed(t *net.TCPConn, giveUp func() bool) {
	rc, err := t.SyscallConn()
	if err != nil {
		return
	}
	pause, last := 100*time.Microsecond, -1
	for end := time.Now().Add(flushTime); time.Now().Before(end) && !giveUp(); time.Sleep(pause) {
		left := 0
		cerr := rc.Control(func(fd uintptr) { left, err = unix.IoctlGetInt(int(fd), unix.SIOCOUTQ) })
		if cerr != nil || err != nil || left == 0 {
			return
		}
		if left != last {
			last, end = left, time.Now().Add(flushTime)
		}
		pause = min(2*pause, 20*time.Millisecond)
	}
}
