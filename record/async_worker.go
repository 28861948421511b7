package record

import (
	"context"
	"time"
)

// work hands records to Next until the queue is closed and empty.
func (a *Async) work(ctx context.Context) {
	defer close(a.done)
	defer a.cancel()
	timer := time.NewTimer(0)
	defer timer.Stop()
	batch := make([]queued, 0, a.batchSize())
	records := make([]*Record, 0, cap(batch))
	for {
		batch = a.take(batch[:0], timer)
		if len(batch) == 0 {
			return
		}
		records = records[:0]
		for _, q := range batch {
			records = append(records, q.r)
		}
		n, err := a.deliver(ctx, records)
		a.settle(batch, n, err)
		clear(batch) // the collector may have them
		clear(records[:cap(records)])
	}
}

// batchSize is how many records one call of Next takes.
func (a *Async) batchSize() int {
	if _, ok := a.Next.(BatchRecorder); !ok {
		return 1
	}
	if a.MaxBatch <= 0 {
		return DefaultMaxBatch
	}
	return min(a.MaxBatch, a.maxRecords())
}

// take waits for records and moves up to cap(batch) of them from the queue to
// batch. It returns an empty batch at the end.
func (a *Async) take(batch []queued, timer *time.Timer) []queued {
	lingered := cap(batch) == 1 || a.Linger < 0
	a.mu.Lock()
	defer a.mu.Unlock()
	for {
		switch n := a.queue.len(); {
		case a.expired, n == 0 && a.closed:
			return batch
		case n == 0:
			a.idle = true
			a.waitLocked(nil)
		case !lingered && !a.closed && n < cap(batch) && !a.halfFull():
			lingered = true
			a.linger = true
			timer.Reset(a.lingerTime())
			a.waitLocked(timer.C)
		default:
			batch = a.queue.pop(batch)
			a.stats.Queued -= len(batch)
			a.stats.InFlight += len(batch)
			return batch
		}
	}
}

// waitLocked gives up the lock until wakeLocked is called or the timer fires.
func (a *Async) waitLocked(timer <-chan time.Time) {
	a.mu.Unlock()
	select {
	case <-a.wake:
		a.mu.Lock()
	case <-timer:
		a.mu.Lock()
		if !a.linger {
			<-a.wake // woken just then
		}
		a.linger = false
	}
}

func (a *Async) lingerTime() time.Duration {
	if a.Linger == 0 {
		return DefaultLinger
	}
	return a.Linger
}

// deliver calls Next and returns how many of the records it took. A panic is an
// error.
func (a *Async) deliver(ctx context.Context, rs []*Record) (n int, err error) {
	defer func() {
		if p := recover(); p != nil {
			n, err = 0, panicError(p)
		}
	}()
	switch next := a.Next.(type) {
	case nil:
		return 0, errNoNext
	case BatchRecorder:
		n, err = next.RecordBatch(ctx, rs)
		if err == nil {
			return len(rs), nil
		}
		return max(0, min(n, len(rs))), err
	default:
		if err := next.Record(ctx, rs[0]); err != nil {
			return 0, err
		}
		return 1, nil
	}
}

// settle counts what became of a batch.
func (a *Async) settle(batch []queued, delivered int, err error) {
	var size int64
	for _, q := range batch {
		size += q.size
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.stats.InFlight -= len(batch)
	a.stats.Bytes -= size
	a.stats.Delivered += uint64(delivered)
	a.stats.Failed += uint64(len(batch) - delivered)
	if err != nil {
		a.stats.LastErr = err
		a.reportLocked()
	}
}
