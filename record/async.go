package record

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// What [Async.Record] answers when it drops a record.
var (
	ErrQueueFull = errors.New("record: queue is full")
	ErrTooLarge  = errors.New("record: record is larger than the whole queue")
	ErrClosed    = errors.New("record: recorder is closed")
)

var errNoNext = errors.New("record: Async has no Next")

// Defaults of an [Async].
const (
	DefaultMaxRecords = 65_536
	DefaultMaxBytes   = 64 << 20 // 64 MiB
	DefaultLinger     = 10 * time.Millisecond
	DefaultMaxBatch   = 512
)

// Async is a [Recorder] that puts a bounded queue between the traffic and a slow
// recorder. Record never blocks: it takes a lock for a moment and keeps the
// pointer. One goroutine, started by the first record, hands the records to Next
// in order, in batches when Next is a [BatchRecorder]. What finds no room is
// dropped, the newest first, and counted; an error or a panic of Next is counted
// too. Nothing is retried.
//
// The fields must not be changed once Record has been called. All methods are
// safe for concurrent use. An Async must not be copied, and needs a Close.
type Async struct {
	Next       Recorder      // takes the records; must not be nil
	MaxRecords int           // bound on the records held, those that Next is working on included; zero or less: DefaultMaxRecords
	MaxBytes   int64         // the same in bytes, by Record.Size; zero or less: DefaultMaxBytes
	MaxBatch   int           // most records in one call of RecordBatch; zero or less: DefaultMaxBatch
	Linger     time.Duration // how long the first record of a batch waits for company, unless the queue gets half full; zero: DefaultLinger, negative: not at all
	Logger     *slog.Logger  // is told of drops and failures, by a summary at most every 10 s; nil: quiet

	mu      sync.Mutex
	queue   ring
	stats   Stats
	report  report
	started bool
	closed  bool // no intake any more
	expired bool // a Close has given up: nothing more goes to Next

	idle   bool // the worker waits for a first record
	linger bool // the worker waits for company
	wake   chan struct{}
	done   chan struct{} // closed when the worker has ended
	cancel context.CancelFunc
}

// Record puts r into the queue. It answers [ErrQueueFull], [ErrTooLarge] or
// [ErrClosed] when r was dropped. The context is not used: a record outlives the
// traffic it describes, and Next gets a context of the queue's own, which ends
// when that of a Close does.
func (a *Async) Record(_ context.Context, r *Record) error {
	if r == nil {
		return errNilRecord
	}
	size := int64(r.Size())
	a.mu.Lock()
	defer a.mu.Unlock()
	a.stats.Offered++
	held := a.stats.Queued + a.stats.InFlight
	switch {
	case a.closed:
		a.stats.Dropped.Closed++
		return ErrClosed
	case size > a.maxBytes():
		a.stats.Dropped.TooLarge++
		a.reportLocked()
		return ErrTooLarge
	case held >= a.maxRecords() || a.stats.Bytes+size > a.maxBytes():
		a.stats.Dropped.QueueFull++
		a.reportLocked()
		return ErrQueueFull
	}
	if !a.started {
		a.start()
	}
	a.queue.push(queued{r, size})
	a.stats.Queued++
	a.stats.Bytes += size
	if a.idle || a.linger && a.halfFull() {
		a.wakeLocked()
	}
	return nil
}

// Close stops the intake, waits until everything queued has gone to Next, and
// ends the goroutine. What is offered from now on is dropped and counted.
//
// When ctx ends first, what is still queued is dropped and counted, the context
// of Next is cancelled, and Close returns an error that wraps ctx's and says how
// many records were left, without waiting for a Next that hangs; the goroutine
// ends when that call of Next does. Close does not close Next. It may be called
// again, and then waits again.
func (a *Async) Close(ctx context.Context) error {
	a.mu.Lock()
	a.closed = true
	started := a.started
	a.wakeLocked()
	a.mu.Unlock()
	defer a.lastReport()
	if !started {
		return nil
	}
	select {
	case <-a.done:
		return nil
	case <-ctx.Done():
		return a.expire(ctx.Err())
	}
}

// expire gives up what is left, and says what that was.
func (a *Async) expire(cause error) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.expired = true
	a.cancel()
	left := a.stats.Queued + a.stats.InFlight
	a.stats.Dropped.Unflushed += uint64(a.stats.Queued)
	a.stats.Queued = 0
	a.stats.Bytes -= a.queue.bytes()
	a.queue = ring{}
	if left == 0 {
		return nil
	}
	return fmt.Errorf("record: %d records not delivered at close: %w", left, cause)
}

// Stats returns a consistent snapshot of the counters.
func (a *Async) Stats() Stats {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.stats
}

func (a *Async) start() {
	a.started = true
	a.wake = make(chan struct{}, 1)
	a.done = make(chan struct{})
	var ctx context.Context
	ctx, a.cancel = context.WithCancel(context.Background())
	go a.work(ctx)
}

// wakeLocked ends the worker's wait, if it waits. The channel has room for one
// token and the flags say whether one is due, so this never blocks.
func (a *Async) wakeLocked() {
	if a.idle || a.linger {
		a.idle, a.linger = false, false
		a.wake <- struct{}{}
	}
}

func (a *Async) halfFull() bool {
	return 2*(a.stats.Queued+a.stats.InFlight) >= a.maxRecords() || 2*a.stats.Bytes >= a.maxBytes()
}

func (a *Async) maxRecords() int {
	if a.MaxRecords <= 0 {
		return DefaultMaxRecords
	}
	return a.MaxRecords
}

func (a *Async) maxBytes() int64 {
	if a.MaxBytes <= 0 {
		return DefaultMaxBytes
	}
	return a.MaxBytes
}
