package record

import (
	"log/slog"
	"time"
)

// Stats are the counters of an [Async]. In every snapshot
//
//	Offered == Delivered + Failed + Dropped.Total() + Queued + InFlight
//
// The zero value is that of an Async to which nothing was offered.
type Stats struct {
	Offered   uint64 // calls of Record
	Delivered uint64 // taken by Next without an error
	Failed    uint64 // refused by Next with an error or a panic
	Dropped   Drops  // never given to Next
	Queued    int    // waiting for Next
	InFlight  int    // given to Next, which has not returned yet
	Bytes     int64  // size of what is queued and in flight, by Record.Size
	LastErr   error  // the last error of Next; nil when there was none
}

// Drops counts the records that an [Async] dropped, by reason.
type Drops struct {
	QueueFull uint64 // no room in the queue, in records or bytes
	TooLarge  uint64 // larger than the whole queue
	Closed    uint64 // offered after Close
	Unflushed uint64 // still queued when the context of Close ended
}

// Total is the sum over all reasons.
func (d Drops) Total() uint64 { return d.QueueFull + d.TooLarge + d.Closed + d.Unflushed }

// reportEvery is the least time between two summaries in the log.
const reportEvery = 10 * time.Second

// report is what an Async has told its logger.
type report struct {
	timer   *time.Timer // the next summary; nil: none is due
	last    time.Time
	dropped uint64
	failed  uint64
}

// reportLocked makes sure that a summary is logged soon, on a goroutine of its
// own, since a logger may block and Next may hang.
func (a *Async) reportLocked() {
	if a.Logger == nil || a.report.timer != nil || a.expired {
		return
	}
	wait := max(0, reportEvery-time.Since(a.report.last))
	a.report.timer = time.AfterFunc(wait, a.logLosses)
}

// lastReport logs at once what no summary has said yet.
func (a *Async) lastReport() {
	a.mu.Lock()
	if a.report.timer != nil {
		a.report.timer.Stop()
	}
	a.mu.Unlock()
	if a.Logger != nil {
		a.logLosses()
	}
}

func (a *Async) logLosses() {
	a.mu.Lock()
	s := a.stats
	dropped := s.Dropped.Total() - a.report.dropped
	failed := s.Failed - a.report.failed
	a.report = report{last: time.Now(), dropped: s.Dropped.Total(), failed: s.Failed}
	a.mu.Unlock()
	if dropped+failed == 0 {
		return
	}
	attrs := []any{slog.Uint64("dropped", dropped), slog.Uint64("failed", failed), slog.Int("queued", s.Queued+s.InFlight)}
	if s.LastErr != nil {
		attrs = append(attrs, slog.Any("lastError", s.LastErr))
	}
	a.Logger.Warn("record: records were lost", attrs...)
}
