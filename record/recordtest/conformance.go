package recordtest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/proxyglass/proxyglass/record"
)

// Suite says how [TestRecorder] gets at a recorder.
type Suite struct {
	Open    func(t *testing.T) record.Recorder                     // a new, working recorder; cleans up by t.Cleanup; must be set
	Broken  func(t *testing.T) record.Recorder                     // one whose sink fails or is gone; nil: that is not checked
	Read    func(t *testing.T, r record.Recorder) []*record.Record // what r has recorded, once all its calls have returned; nil: that is not checked
	Timeout time.Duration                                          // the longest that any call may take; zero: 10 s
}

// TestRecorder checks a recorder against the contract of [record.Recorder], and
// of [record.BatchRecorder] if it is one: that it takes records of every shape,
// from many goroutines at once and without changing them, that it fails with an
// error and not with a panic, and that it returns when its context has ended.
// Run it with -race.
func TestRecorder(t *testing.T, s Suite) {
	if s.Timeout == 0 {
		s.Timeout = 10 * time.Second
	}
	t.Run("shapes", func(t *testing.T) { s.check(t, s.Open(t), checkShapes) })
	t.Run("concurrent", func(t *testing.T) { s.check(t, s.Open(t), checkConcurrent) })
	t.Run("batch", func(t *testing.T) { s.check(t, s.Open(t), checkBatch) })
	t.Run("cancelled", func(t *testing.T) { s.check(t, s.Open(t), checkCancelled) })
	if s.Broken != nil {
		t.Run("broken", func(t *testing.T) { s.check(t, s.Broken(t), checkBroken) })
	}
	if s.Read != nil {
		t.Run("read", func(t *testing.T) {
			r := s.Open(t)
			s.check(t, r, checkShapes)
			if err := compare(s.Read(t, r), Samples()); err != nil {
				t.Error(err)
			}
		})
	}
}

type check func(ctx context.Context, r record.Recorder) error

// check runs f and fails the test when it takes too long, which a recorder that
// heeds nothing can cause.
func (s Suite) check(t *testing.T, r record.Recorder, f check) {
	t.Helper()
	if err := limited(t.Context(), s.Timeout, r, f); err != nil {
		t.Error(err)
	}
}

func limited(ctx context.Context, timeout time.Duration, r record.Recorder, f check) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- f(ctx, r) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	select { // a recorder that heeds its context returns about now
	case err := <-done:
		return errors.Join(fmt.Errorf("not done within %v", timeout), err)
	case <-time.After(timeout):
		return fmt.Errorf("still blocked %v after its context had ended", timeout)
	}
}

func checkShapes(ctx context.Context, r record.Recorder) error {
	pristine := Samples()
	for i, sample := range Samples() {
		if err := call(ctx, r, sample); err != nil {
			return fmt.Errorf("sample %d was refused: %w", i, err)
		}
		if !reflect.DeepEqual(sample, pristine[i]) {
			return fmt.Errorf("sample %d was changed: records are immutable", i)
		}
	}
	return nil
}

func checkConcurrent(ctx context.Context, r record.Recorder) error {
	const goroutines, rounds = 8, 10
	shared, pristine := Samples(), Samples()
	errs := make([]error, goroutines)
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Go(func() {
			for i := range rounds * len(shared) {
				if err := call(ctx, r, shared[i%len(shared)]); err != nil {
					errs[g] = err
					return
				}
			}
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("concurrent calls: %w", err)
	}
	if !reflect.DeepEqual(shared, pristine) {
		return errors.New("a record was changed: records are immutable")
	}
	return nil
}

func checkBatch(ctx context.Context, r record.Recorder) error {
	b, ok := r.(record.BatchRecorder)
	if !ok {
		return nil
	}
	if n, err := callBatch(ctx, b, nil); n != 0 || err != nil {
		return fmt.Errorf("empty batch: %d, %v; want 0, nil", n, err)
	}
	batch := Samples()
	n, err := callBatch(ctx, b, batch)
	if n != len(batch) || err != nil {
		return fmt.Errorf("batch of %d: %d, %v", len(batch), n, err)
	}
	if !reflect.DeepEqual(batch, Samples()) {
		return errors.New("a record or the batch itself was changed")
	}
	for i := range batch {
		batch[i] = nil // the slice is ours again: a recorder that kept it will stumble
	}
	return call(ctx, r, Samples()[0])
}

// checkCancelled wants a return; nil is as good as an error then.
func checkCancelled(ctx context.Context, r record.Recorder) error {
	ctx, cancel := context.WithCancel(ctx)
	cancel()
	if err := call(ctx, r, Samples()[0]); errors.Is(err, errPanicked) {
		return err
	}
	if b, ok := r.(record.BatchRecorder); ok {
		n, err := callBatch(ctx, b, Samples())
		return contract(n, len(Samples()), err)
	}
	return nil
}

func checkBroken(ctx context.Context, r record.Recorder) error {
	err := call(ctx, r, Samples()[0])
	if err == nil {
		return errors.New("a broken recorder answered nil")
	}
	if errors.Is(err, errPanicked) {
		return err
	}
	if b, ok := r.(record.BatchRecorder); ok {
		n, err := callBatch(ctx, b, Samples())
		if n != 0 || err == nil {
			return fmt.Errorf("a broken recorder answered a batch with %d, %v", n, err)
		}
		return contract(n, len(Samples()), err)
	}
	return nil
}

func contract(n, length int, err error) error {
	if errors.Is(err, errPanicked) {
		return err
	}
	if n < 0 || n > length || (n == length) != (err == nil) {
		return fmt.Errorf("batch of %d answered %d, %v: all done if and only if no error", length, n, err)
	}
	return nil
}

var errPanicked = errors.New("recorder panicked")

func call(ctx context.Context, r record.Recorder, rec *record.Record) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v", errPanicked, p)
		}
	}()
	return r.Record(ctx, rec)
}

func callBatch(ctx context.Context, b record.BatchRecorder, rs []*record.Record) (n int, err error) {
	defer func() {
		if p := recover(); p != nil {
			n, err = 0, fmt.Errorf("%w: %v", errPanicked, p)
		}
	}()
	return b.RecordBatch(ctx, rs)
}

// compare wants the same records, in whatever order. They are compared as JSON,
// read back once, since that is what a sink can be expected to keep.
func compare(got, want []*record.Record) error {
	missing := map[string]int{}
	for _, r := range want {
		missing[canonical(r)]++
	}
	for _, r := range got {
		text := canonical(r)
		if missing[text]--; missing[text] < 0 {
			return fmt.Errorf("read back, but never recorded or changed: %.200s", text)
		}
	}
	if len(got) != len(want) {
		return fmt.Errorf("%d of %d records could be read back", len(got), len(want))
	}
	return nil
}

func canonical(r *record.Record) string {
	var again record.Record
	if err := again.UnmarshalJSON(r.AppendJSON(nil)); err != nil {
		return err.Error()
	}
	return string(again.AppendJSON(nil))
}
