package record_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/proxyglass/proxyglass/record"
	"github.com/proxyglass/proxyglass/record/recordtest"
)

func seq(n int) *record.Record { return &record.Record{Seq: uint64(n)} }

// balanced checks the law of the counters.
func balanced(t testing.TB, s record.Stats) record.Stats {
	t.Helper()
	assert.Equal(t, s.Offered, s.Delivered+s.Failed+s.Dropped.Total()+uint64(s.Queued+s.InFlight), "%+v", s)
	assert.GreaterOrEqual(t, s.Queued, 0)
	assert.GreaterOrEqual(t, s.InFlight, 0)
	if s.Queued+s.InFlight == 0 {
		assert.Zero(t, s.Bytes)
	}
	return s
}

func TestAsyncDeliversInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // also: no goroutine is left
		var c recordtest.Collector
		a := &record.Async{Next: &c}
		for i := range 1000 {
			require.NoError(t, a.Record(t.Context(), seq(i+1)))
		}
		require.NoError(t, a.Close(t.Context()))
		require.Len(t, c.Records(), 1000)
		for i, r := range c.Records() {
			assert.EqualValues(t, i+1, r.Seq)
		}
		assert.Equal(t, record.Stats{Offered: 1000, Delivered: 1000}, a.Stats())

		assert.ErrorIs(t, a.Record(t.Context(), seq(1)), record.ErrClosed)
		assert.EqualValues(t, 1, balanced(t, a.Stats()).Dropped.Closed)
		assert.NoError(t, a.Close(t.Context()), "again")
	})
}

func TestAsyncNeverStarted(t *testing.T) {
	a := &record.Async{}
	assert.Error(t, a.Record(t.Context(), nil))
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	require.NoError(t, a.Close(ended))
	assert.ErrorIs(t, a.Record(t.Context(), seq(1)), record.ErrClosed)
	balanced(t, a.Stats())
}

func TestAsyncWithoutNext(t *testing.T) {
	a := &record.Async{}
	require.NoError(t, a.Record(t.Context(), seq(1)))
	require.NoError(t, a.Close(t.Context()))
	s := balanced(t, a.Stats())
	assert.EqualValues(t, 1, s.Failed)
	assert.ErrorContains(t, s.LastErr, "no Next")
}

func TestAsyncBounds(t *testing.T) {
	size := int64(seq(1).Size())
	tests := []struct {
		name     string
		async    record.Async
		accepted int
		last     error
	}{
		{"records", record.Async{MaxRecords: 10}, 10, record.ErrQueueFull},
		{"bytes", record.Async{MaxBytes: 5 * size}, 5, record.ErrQueueFull},
		{"bytes and a bit", record.Async{MaxBytes: 5*size + size/2}, 5, record.ErrQueueFull},
		{"too large", record.Async{MaxBytes: size - 1}, 0, record.ErrTooLarge},
	}
	for i := range tests {
		tt := &tests[i]
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var stuck recordtest.Stuck
				a := &tt.async
				a.Next = &stuck
				var err error
				for range 20 { // what Next works on counts as held
					err = a.Record(t.Context(), seq(1))
					synctest.Wait()
				}
				assert.ErrorIs(t, err, tt.last)
				s := balanced(t, a.Stats())
				assert.EqualValues(t, 20-tt.accepted, s.Dropped.Total())
				assert.Equal(t, tt.accepted, s.Queued+s.InFlight)
				stuck.Release()
				require.NoError(t, a.Close(t.Context()))
				assert.EqualValues(t, tt.accepted, balanced(t, a.Stats()).Delivered)
			})
		})
	}
}

func TestAsyncCountsFailuresAndPanics(t *testing.T) {
	gone := errors.New("gone")
	calls := 0
	a := &record.Async{Next: record.Func(func(context.Context, *record.Record) error {
		switch calls++; calls % 3 {
		case 0:
			return gone
		case 1:
			panic("chaos")
		}
		return nil
	})}
	for i := range 30 {
		require.NoError(t, a.Record(t.Context(), seq(i)))
	}
	require.NoError(t, a.Close(t.Context()))
	s := balanced(t, a.Stats())
	assert.EqualValues(t, 20, s.Failed)
	assert.EqualValues(t, 10, s.Delivered)
	assert.ErrorIs(t, s.LastErr, gone)
}

// A panic of one recorder in a Multi must not take the rest of the batch along.
func TestAsyncPanicInBatch(t *testing.T) {
	var c recordtest.Collector
	a := &record.Async{Next: record.Multi(record.NewWriter(io.Discard), record.Func(func(ctx context.Context, r *record.Record) error {
		if r.Seq == 3 {
			panic("poison")
		}
		return c.Record(ctx, r)
	}))}
	for i := range 10 {
		require.NoError(t, a.Record(t.Context(), seq(i)))
	}
	require.NoError(t, a.Close(t.Context()))
	assert.Len(t, c.Records(), 9)
	s := balanced(t, a.Stats())
	assert.EqualValues(t, 1, s.Failed)
	assert.ErrorContains(t, s.LastErr, "panicked: poison")
}

func TestAsyncCloseGivesUp(t *testing.T) {
	for name, hang := range map[string]func() (record.Recorder, func()){
		"heeding its context":   func() (record.Recorder, func()) { return recordtest.Hang(), func() {} },
		"heeding nothing":       func() (record.Recorder, func()) { s := new(recordtest.Stuck); return s, s.Release },
		"heeding, behind Multi": func() (record.Recorder, func()) { return record.Multi(recordtest.Hang()), func() {} },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				next, release := hang()
				a := &record.Async{Next: next, Linger: -1, MaxBatch: 1}
				for i := range 5 {
					require.NoError(t, a.Record(t.Context(), seq(i)))
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				began := time.Now()
				err := a.Close(ctx)
				assert.ErrorIs(t, err, context.DeadlineExceeded)
				assert.ErrorContains(t, err, "5 records not delivered")
				assert.Equal(t, time.Second, time.Since(began))
				assert.EqualValues(t, 4, balanced(t, a.Stats()).Dropped.Unflushed)
				assert.ErrorIs(t, a.Record(t.Context(), seq(9)), record.ErrClosed)
				release()
				synctest.Wait()
				s := balanced(t, a.Stats())
				assert.Zero(t, s.Queued+s.InFlight)
				assert.NoError(t, a.Close(t.Context()))
			})
		})
	}
}

// batches notes the sizes of the batches it gets.
type batches struct {
	record.Recorder
	mu    sync.Mutex
	sizes []int
	at    []time.Time
}

func (b *batches) RecordBatch(_ context.Context, rs []*record.Record) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sizes, b.at = append(b.sizes, len(rs)), append(b.at, time.Now())
	return len(rs), nil
}

func TestAsyncGathersBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := new(batches)
		a := &record.Async{Next: b, MaxRecords: 100, MaxBatch: 40, Linger: 50 * time.Millisecond}
		began := time.Now()
		for range 10 { // one every 10 ms: those of the first 50 ms go together
			require.NoError(t, a.Record(t.Context(), seq(1)))
			time.Sleep(10*time.Millisecond + time.Microsecond)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		assert.Equal(t, []int{5, 5}, b.sizes)
		assert.Equal(t, 50*time.Millisecond, b.at[0].Sub(began))

		for range 60 { // half full at 50: that ends the wait
			require.NoError(t, a.Record(t.Context(), seq(1)))
		}
		before := time.Now()
		synctest.Wait()
		assert.Equal(t, before, b.at[2], "a queue that fills up does not linger")
		require.NoError(t, a.Close(t.Context()))
		assert.Equal(t, before, time.Now(), "nor does a Close")
		assert.Equal(t, []int{5, 5, 40, 20}, b.sizes)
		assert.Equal(t, record.Stats{Offered: 70, Delivered: 70}, a.Stats())
	})
}

type short struct {
	record.Recorder
	n   int
	err error
}

func (s short) RecordBatch(context.Context, []*record.Record) (int, error) { return s.n, s.err }

func TestAsyncCountsPartOfABatch(t *testing.T) {
	full := errors.New("disk full")
	for _, tt := range []struct {
		next      short
		delivered uint64
	}{
		{short{n: 3, err: full}, 3}, {short{n: -1, err: full}, 0}, {short{n: 99, err: full}, 10}, {short{n: 0, err: nil}, 10},
	} {
		a := &record.Async{Next: tt.next, Linger: time.Hour}
		for i := range 10 {
			require.NoError(t, a.Record(t.Context(), seq(i)))
		}
		require.NoError(t, a.Close(t.Context()))
		s := balanced(t, a.Stats())
		assert.Equal(t, tt.delivered, s.Delivered, "%+v", tt.next)
		assert.Equal(t, tt.next.err, s.LastErr)
	}
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func TestAsyncReportsLosses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log lockedBuffer
		a := &record.Async{
			Next: recordtest.Fail(errors.New("no route")), MaxRecords: 2,
			Logger: slog.New(slog.NewTextHandler(&log, nil)),
		}
		lines := func() int {
			synctest.Wait()
			return strings.Count(log.String(), "\n")
		}
		for range 5 {
			_ = a.Record(t.Context(), seq(1))
		}
		synctest.Wait()
		assert.LessOrEqual(t, lines(), 1)
		for range 50 {
			_ = a.Record(t.Context(), seq(1))
			time.Sleep(100 * time.Millisecond)
		}
		assert.Equal(t, 1, lines(), "at most one in 10 s")
		time.Sleep(10 * time.Second)
		assert.Equal(t, 2, lines())
		assert.Contains(t, log.String(), "no route")
		_ = a.Record(t.Context(), seq(1))
		require.NoError(t, a.Close(t.Context()))
		assert.Equal(t, 3, lines(), "the rest at once at the end:\n%s", log.String())
		balanced(t, a.Stats())
	})
}

// The law holds at every moment, under whatever load and faults.
func TestAsyncLedgerUnderLoad(t *testing.T) {
	var c recordtest.Collector
	random := record.Func(func(ctx context.Context, r *record.Record) error {
		switch rand.IntN(10) {
		case 0:
			return errors.New("chance")
		case 1:
			panic("chance")
		}
		return c.Record(ctx, r)
	})
	for _, next := range []record.Recorder{random, record.Multi(random)} {
		c.Reset()
		a := &record.Async{Next: next, MaxRecords: 50, Linger: 10 * time.Microsecond}
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for i := range 2000 {
					_ = a.Record(t.Context(), seq(i))
				}
			})
		}
		for range 200 {
			balanced(t, a.Stats())
		}
		wg.Wait()
		require.NoError(t, a.Close(t.Context()))
		s := balanced(t, a.Stats())
		assert.EqualValues(t, 8000, s.Offered)
		assert.EqualValues(t, len(c.Records()), s.Delivered)
		assert.Zero(t, s.Queued+s.InFlight)
	}
}

func TestAsyncCloseRaces(t *testing.T) {
	for range 50 {
		a := &record.Async{Next: record.Discard()}
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for range 20 {
					_ = a.Record(t.Context(), seq(1))
				}
			})
			wg.Go(func() { assert.NoError(t, a.Close(t.Context())) })
		}
		wg.Wait()
		s := balanced(t, a.Stats())
		assert.EqualValues(t, 80, s.Delivered+s.Dropped.Closed)
	}
}

func TestAsyncAllocatesNothing(t *testing.T) {
	a := &record.Async{Next: record.Discard()}
	r := recordtest.Samples()[0]
	for range 10_000 { // until the queue has grown
		_ = a.Record(t.Context(), r)
	}
	ctx := t.Context()
	assert.Less(t, testing.AllocsPerRun(10_000, func() { _ = a.Record(ctx, r) }), 0.01)
	require.NoError(t, a.Close(t.Context()))
}

func TestAsyncConforms(t *testing.T) {
	var sink recordtest.Collector
	recordtest.TestRecorder(t, recordtest.Suite{
		Open: func(t *testing.T) record.Recorder {
			sink.Reset()
			a := &record.Async{Next: &sink}
			t.Cleanup(func() { _ = a.Close(context.WithoutCancel(t.Context())) })
			return a
		},
		Broken: func(t *testing.T) record.Recorder {
			a := &record.Async{Next: &sink}
			require.NoError(t, a.Close(t.Context()))
			return a
		},
		Read: func(t *testing.T, r record.Recorder) []*record.Record {
			require.NoError(t, r.(*record.Async).Close(t.Context()))
			return sink.Records()
		},
	})
}

func ExampleAsync() {
	var sink recordtest.Collector
	queue := &record.Async{Next: &sink}
	for i := range 3 {
		if err := queue.Record(context.Background(), &record.Record{Seq: uint64(i + 1)}); err != nil {
			fmt.Println(err)
		}
	}
	fmt.Println(queue.Close(context.Background()), queue.Stats().Delivered)
	// Output: <nil> 3
}
