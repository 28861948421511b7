package record

import (
	"context"
	"errors"
	"fmt"
)

// Recorder takes records: a sink, or something that stands before one.
//
// Record keeps or delivers r and returns nil, or says why it did not. It is
// called from many goroutines at once. r is not nil; r and everything it points
// to is immutable, for the caller, for the Recorder and also after the return,
// so a Recorder may keep it. Record reports a failure as an error and does not
// panic; it returns soon after ctx ends. It may block: whoever must not wait
// (the path of the traffic) puts an [Async] before it.
type Recorder interface {
	Record(ctx context.Context, r *Record) error
}

// BatchRecorder is what a [Recorder] implements when several records at once
// are cheaper for it than one at a time. [Async] hands over batches to those.
//
// RecordBatch treats rs as that many calls of Record, in order, and returns how
// many of them succeeded. n is len(rs) if and only if err is nil; err says why
// the others failed. A record that failed has not to be offered again, and
// RecordBatch does not stop at the first failure unless the next would fail in
// the same way. rs is the caller's again after the return; the records in it
// may be kept.
type BatchRecorder interface {
	RecordBatch(ctx context.Context, rs []*Record) (n int, err error)
}

var errNilRecord = errors.New("record: nil record")

// recordAll gives rs to next, as a batch when next takes those. One by one, a
// panic costs the record that caused it and not those behind it. The error is
// the first.
func recordAll(ctx context.Context, next Recorder, rs []*Record) (n int, err error) {
	if b, ok := next.(BatchRecorder); ok {
		return b.RecordBatch(ctx, rs)
	}
	for _, r := range rs {
		failed := ctx.Err()
		if failed == nil {
			failed = recordOne(ctx, next, r)
		}
		if failed == nil {
			n++
		} else if err == nil {
			err = failed
		}
	}
	return n, err
}

func recordOne(ctx context.Context, next Recorder, r *Record) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = panicError(p)
		}
	}()
	return next.Record(ctx, r)
}

func panicError(p any) error { return fmt.Errorf("record: recorder panicked: %v", p) }
