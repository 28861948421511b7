package record

import (
	"context"
	"errors"
)

// Func is a function as a [Recorder].
type Func func(ctx context.Context, r *Record) error

// Record calls f.
func (f Func) Record(ctx context.Context, r *Record) error { return f(ctx, r) }

// Discard returns a [Recorder] that drops every record and succeeds.
func Discard() Recorder { return discard{} }

type discard struct{}

func (discard) Record(context.Context, *Record) error { return nil }

func (discard) RecordBatch(_ context.Context, rs []*Record) (int, error) { return len(rs), nil }

// Multi returns a [Recorder] that gives every record to each of the recorders in
// turn, whatever the others answer, and joins their errors. A recorder that
// blocks holds up those after it: put an [Async] before each that may.
//
// In a batch a record counts as done when all have it; since a recorder says
// how many records it refused and not which, that is taken from the worst of
// them.
func Multi(recorders ...Recorder) Recorder {
	return multi(append([]Recorder(nil), recorders...))
}

type multi []Recorder

func (m multi) Record(ctx context.Context, r *Record) error {
	var errs []error
	for _, next := range m {
		if err := recordOne(ctx, next, r); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func (m multi) RecordBatch(ctx context.Context, rs []*Record) (int, error) {
	done := len(rs)
	var errs []error
	for _, next := range m {
		n, err := recordAll(ctx, next, rs)
		if err != nil {
			errs = append(errs, err)
			done = min(done, n)
		}
	}
	return done, errors.Join(errs...)
}

// Filter is a [Recorder] that passes on the records that Keep approves. The
// others count as recorded.
type Filter struct {
	Keep func(*Record) bool // must be safe for concurrent use and not change the record; nil: keeps all
	Next Recorder           // takes what is kept; nil: drops it
}

// Record passes r on to Next if Keep says so.
func (f Filter) Record(ctx context.Context, r *Record) error {
	if f.Next == nil || f.Keep != nil && !f.Keep(r) {
		return nil
	}
	return f.Next.Record(ctx, r)
}

// RecordBatch passes on those of the records that Keep approves.
func (f Filter) RecordBatch(ctx context.Context, rs []*Record) (int, error) {
	if f.Next == nil {
		return len(rs), nil
	}
	kept := rs
	if f.Keep != nil {
		kept = make([]*Record, 0, len(rs))
		for _, r := range rs {
			if f.Keep(r) {
				kept = append(kept, r)
			}
		}
	}
	if len(kept) == 0 {
		return len(rs), nil
	}
	n, err := recordAll(ctx, f.Next, kept)
	return n + len(rs) - len(kept), err
}
