// Package leaktest fails a test that leaves a goroutine or a socket behind.
package leaktest

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// patience is how long what ends by itself may take to do so.
const patience = 5 * time.Second

// Check notes what there is, and when the test ends (after all that was
// registered with t.Cleanup later) fails it if there is more. It is not for
// tests that run in parallel with others.
func Check(t testing.TB) {
	t.Helper()
	before := Take()
	t.Cleanup(func() {
		if t.Failed() {
			return // what a failed test leaves behind would hide why it failed
		}
		before.Compare(t)
	})
}

// A Snapshot is what was there at some time.
type Snapshot struct {
	goroutines map[string]string // by number
	sockets    map[string]bool
}

// Take notes what there is now.
func Take() Snapshot { return Snapshot{goroutines(), sockets()} }

// Compare fails t if there is now, and does not end soon, what was not there before.
func (before Snapshot) Compare(t testing.TB) {
	t.Helper()
	var extra []string
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if extra = before.extra(); len(extra) == 0 {
			return
		}
	}
	t.Errorf("left behind:\n%s", strings.Join(extra, "\n\n"))
}

func (before Snapshot) extra() (extra []string) {
	for id, stack := range goroutines() {
		if _, ok := before.goroutines[id]; !ok {
			extra = append(extra, stack)
		}
	}
	for s := range sockets() {
		if !before.sockets[s] {
			extra = append(extra, s)
		}
	}
	return extra
}

// goroutines returns the stacks of all goroutines but this one, by number.
func goroutines() map[string]string {
	buf := make([]byte, 1<<20)
	for {
		n := runtime.Stack(buf, true)
		if n < len(buf) {
			buf = buf[:n]
			break
		}
		buf = make([]byte, 2*len(buf))
	}
	all := make(map[string]string)
	for i, stack := range strings.Split(string(buf), "\n\n") {
		// "goroutine 7 [running]:"; the first is the one that asks.
		if id, _, ok := strings.Cut(strings.TrimPrefix(stack, "goroutine "), " "); ok && i > 0 {
			all[id] = stack
		}
	}
	return all
}

// sockets returns the process's open sockets, where the system tells. Pipes are
// left out: net keeps those of splice(2) in a pool.
func sockets() map[string]bool {
	all := make(map[string]bool)
	names, _ := filepath.Glob("/proc/self/fd/*")
	for _, name := range names {
		if to, err := os.Readlink(name); err == nil && strings.HasPrefix(to, "socket:") {
			all[to] = true
		}
	}
	return all
}
