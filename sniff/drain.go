package sniff

import (
	"sync"
	"time"
)

// drainTime bounds how long a direction is read whose opposite has failed to
// write, from the last byte that it moved: on TCP both end together, other
// connections may not know.
const drainTime = 10 * time.Second

// A drainTimer interrupts a direction that moves nothing for drainTime.
type drainTimer struct {
	mu    sync.Mutex
	timer *time.Timer // nil: not started, or stopped
	seen  int64
}

func (t *drainTimer) start(d *direction) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.seen = d.r.released.Load()
	t.timer = time.AfterFunc(drainTime, func() { t.look(d) })
}

func (t *drainTimer) look(d *direction) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.timer == nil {
		return
	}
	if n := d.r.released.Load(); n != t.seen {
		t.seen = n
		t.timer.Reset(drainTime)
		return
	}
	d.r.interrupt()
}

func (t *drainTimer) stop() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.timer != nil {
		t.timer.Stop()
		t.timer = nil
	}
}
