package recordtest

import (
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/proxyglass/proxyglass/record"
)

func TestCollectorConforms(t *testing.T) {
	TestRecorder(t, Suite{
		Open:   func(*testing.T) record.Recorder { return new(Collector) },
		Broken: func(*testing.T) record.Recorder { return Fail(io.ErrClosedPipe) },
		Read:   func(_ *testing.T, r record.Recorder) []*record.Record { return r.(*Collector).Records() },
	})
}

func TestCollectorWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c Collector
		go func() {
			for range 3 {
				time.Sleep(time.Second)
				_ = c.Record(t.Context(), new(record.Record))
			}
		}()
		began := time.Now()
		records, err := c.Wait(t.Context(), 2)
		require.NoError(t, err)
		assert.Len(t, records, 2)
		assert.Equal(t, 2*time.Second, time.Since(began))

		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		records, err = c.Wait(ctx, 4)
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		assert.ErrorContains(t, err, "3 of 4 records")
		assert.Len(t, records, 3)
		c.Reset()
		assert.Empty(t, c.Records())
	})
}

// batcher is a BatchRecorder made of functions.
type batcher struct {
	record.Recorder
	batch func(rs []*record.Record) (int, error)
}

func (b batcher) RecordBatch(_ context.Context, rs []*record.Record) (int, error) { return b.batch(rs) }

// Each fault is found by the check that is there for it.
func TestSuiteFindsFaults(t *testing.T) {
	refuse := errors.New("refused")
	mutate := record.Func(func(_ context.Context, r *record.Record) error {
		r.Anomalies = append(r.Anomalies, "seen")
		return nil
	})
	deep := record.Func(func(_ context.Context, r *record.Record) error {
		if r.HTTP != nil && r.HTTP.Request != nil {
			r.HTTP.Request.Body[0] = 'X'
		}
		return nil
	})
	var kept []*record.Record
	keeper := batcher{
		Recorder: record.Func(func(context.Context, *record.Record) error {
			for _, r := range kept {
				_ = r.Host
			}
			return nil
		}),
		batch: func(rs []*record.Record) (int, error) {
			kept = rs
			return len(rs), nil
		},
	}
	answer := func(n int, err error) record.Recorder {
		return batcher{record.Discard(), func([]*record.Record) (int, error) { return n, err }}
	}
	tests := []struct {
		name  string
		r     record.Recorder
		check check
		want  string
	}{
		{"refuses a shape", Fail(refuse), checkShapes, "sample 0 was refused"},
		{"panics", Panic("x"), checkShapes, "panicked: x"},
		{"changes a record", mutate, checkShapes, "was changed"},
		{"changes a body", deep, checkShapes, "was changed"},
		{"fails when called from many", Fail(refuse), checkConcurrent, "concurrent calls"},
		{"invents from an empty batch", answer(1, nil), checkBatch, "empty batch"},
		{"keeps the batch", keeper, checkBatch, "panicked"},
		{"panics after the end", Panic("x"), checkCancelled, "panicked"},
		{"breaks the count after the end", answer(0, nil), checkCancelled, "if and only if"},
		{"hides that it is broken", record.Discard(), checkBroken, "answered nil"},
		{"panics when broken", Panic("x"), checkBroken, "panicked"},
		{"hides that it is broken, batch", batcher{Fail(refuse), func(rs []*record.Record) (int, error) { return len(rs), nil }}, checkBroken, "answered a batch"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := limited(t.Context(), 10*time.Second, tt.r, tt.check)
			assert.ErrorContains(t, err, tt.want)
		})
	}
}

func TestSuiteFindsHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		err := limited(t.Context(), time.Second, Hang(), checkShapes)
		assert.ErrorContains(t, err, "not done within 1s")
		var stuck Stuck
		err = limited(t.Context(), time.Second, &stuck, checkShapes)
		assert.ErrorContains(t, err, "still blocked")
		stuck.Release()
		stuck.Release()
	})
}

func TestSuiteComparesWhatIsRead(t *testing.T) {
	assert.NoError(t, compare(Samples(), Samples()))
	assert.ErrorContains(t, compare(Samples()[1:], Samples()), "7 of 8 records")
	changed := Samples()
	changed[3].DNS.Answer = "other"
	assert.ErrorContains(t, compare(changed, Samples()), "never recorded or changed")
	assert.ErrorContains(t, compare(append(Samples(), Samples()[0]), Samples()), "never recorded")
}

func TestChaos(t *testing.T) {
	assert.Equal(t, io.EOF, Fail(io.EOF).Record(t.Context(), nil))
	assert.PanicsWithValue(t, 7, func() { _ = Panic(7).Record(t.Context(), nil) })
}
