package record_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/proxyglass/proxyglass/record"
	"github.com/proxyglass/proxyglass/record/recordtest"
)

// writes keeps what each Write got and can be told to fall short.
type writes struct {
	got   [][]byte
	limit int // most bytes that the next Write takes; 0: all
	err   error
}

func (w *writes) Write(p []byte) (int, error) {
	if w.limit > 0 || w.err != nil {
		p = p[:min(w.limit, len(p))]
	}
	w.got = append(w.got, bytes.Clone(p))
	return len(p), w.err
}

func (w *writes) text() []byte { return bytes.Join(w.got, nil) }

func sized(n int) *record.Record {
	return &record.Record{DNS: &record.DNS{Answer: string(bytes.Repeat([]byte("x"), n))}}
}

func TestWriterWritesOneLineEach(t *testing.T) {
	var out writes
	w := record.NewWriter(&out)
	samples := recordtest.Samples()
	for _, r := range samples {
		require.NoError(t, w.Record(t.Context(), r))
	}
	require.Len(t, out.got, len(samples))
	for i, line := range out.got {
		assert.Equal(t, string(samples[i].AppendJSON(nil))+"\n", string(line))
		assert.Equal(t, 1, bytes.Count(line, []byte("\n")))
	}
	assert.Error(t, w.Record(t.Context(), nil))
}

func TestWriterGathersWholeLines(t *testing.T) {
	var out writes
	w := record.NewWriter(&out)
	var batch []*record.Record
	for range 100 {
		batch = append(batch, sized(10_000))
	}
	batch = append(batch, sized(1_000_000), sized(10), sized(300_000), nil)
	n, err := w.RecordBatch(t.Context(), batch)
	assert.Equal(t, 103, n)
	assert.ErrorContains(t, err, "nil record")
	assert.Len(t, out.got, 7, "four of about 256 KiB, the rest of them with nothing large, each large one alone")
	for _, p := range out.got {
		assert.True(t, bytes.HasSuffix(p, []byte("}\n")))
		assert.True(t, len(p) <= 256<<10 || bytes.Count(p, []byte("\n")) == 1, "%d bytes", len(p))
	}
	count := 0
	for _, err := range record.Read(bytes.NewReader(out.text())) {
		require.NoError(t, err)
		count++
	}
	assert.Equal(t, 103, count)
}

func TestWriterConfinesATornLine(t *testing.T) {
	full := errors.New("no space")
	line := len(seq(1).AppendJSON(nil)) + 1
	for _, tt := range []struct {
		name   string
		limit  int
		err    error
		want   int // records that the short Write took
		prefix string
	}{
		{"nothing", 0, full, 0, ""},
		{"half a line", line / 2, full, 0, "\n"},
		{"one", line, full, 1, ""},
		{"one and a half", line + line/2, full, 1, "\n"},
		{"all but the line feed", 3*line - 1, full, 2, "\n"},
		{"short without an error", line / 2, nil, 0, "\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			out := writes{limit: tt.limit, err: tt.err}
			w := record.NewWriter(&out)
			n, err := w.RecordBatch(t.Context(), []*record.Record{seq(1), seq(2), seq(3)})
			assert.Equal(t, tt.want, n)
			if assert.Error(t, err); tt.err == nil {
				assert.ErrorIs(t, err, io.ErrShortWrite)
			}
			out.limit, out.err = 0, nil
			require.NoError(t, w.Record(t.Context(), seq(7)))
			require.NoError(t, w.Record(t.Context(), seq(8)))
			assert.Equal(t, tt.prefix+string(seq(7).AppendJSON(nil))+"\n", string(out.got[1]))
			assert.Equal(t, string(seq(8).AppendJSON(nil))+"\n", string(out.got[2]))
		})
	}
}

// The line feed that ends a torn line counts for no record when it is torn again.
func TestWriterTornTwice(t *testing.T) {
	out := writes{limit: 5, err: errors.New("no space")}
	w := record.NewWriter(&out)
	require.Error(t, w.Record(t.Context(), seq(1)))
	n, err := w.RecordBatch(t.Context(), []*record.Record{seq(2)})
	assert.Error(t, err)
	assert.Zero(t, n)
	out.limit = 1
	n, err = w.RecordBatch(t.Context(), []*record.Record{seq(3)})
	assert.Error(t, err)
	assert.Zero(t, n)
	out.limit, out.err = 0, nil
	require.NoError(t, w.Record(t.Context(), seq(4)))
	var good, bad int
	for r, err := range record.Read(bytes.NewReader(out.text())) {
		if err != nil {
			bad++
			continue
		}
		good++
		assert.EqualValues(t, 4, r.Seq)
	}
	assert.Equal(t, []int{1, 2}, []int{good, bad})
}

type panicky struct{ on bool }

func (p *panicky) Write(b []byte) (int, error) {
	if p.on {
		panic("writer")
	}
	return len(b), nil
}

func TestWriterSurvivesAPanic(t *testing.T) {
	out := &panicky{on: true}
	w := record.NewWriter(out)
	assert.Panics(t, func() { _ = w.Record(t.Context(), seq(1)) })
	out.on = false
	n, err := w.RecordBatch(t.Context(), []*record.Record{seq(2)})
	assert.NoError(t, err)
	assert.Equal(t, 1, n, "the record that panicked is forgotten, the lock is free")
}

func TestWriterHeedsTheContext(t *testing.T) {
	var out writes
	w := record.NewWriter(&out)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	assert.ErrorIs(t, w.Record(ctx, seq(1)), context.Canceled)
	n, err := w.RecordBatch(ctx, []*record.Record{seq(1)})
	assert.Zero(t, n)
	assert.ErrorIs(t, err, context.Canceled)
	require.NoError(t, w.Record(t.Context(), seq(2)))
	assert.Equal(t, string(seq(2).AppendJSON(nil))+"\n", string(out.text()), "nothing is left over")
}

func TestWriterAllocatesNothing(t *testing.T) {
	w := record.NewWriter(io.Discard)
	ctx, r := t.Context(), recordtest.Samples()[0]
	batch := []*record.Record{r, r, r}
	assert.Zero(t, testing.AllocsPerRun(100, func() { _ = w.Record(ctx, r) }))
	assert.Zero(t, testing.AllocsPerRun(100, func() { _, _ = w.RecordBatch(ctx, batch) }))
}

func TestWriterConforms(t *testing.T) {
	var out bytes.Buffer
	recordtest.TestRecorder(t, recordtest.Suite{
		Open: func(*testing.T) record.Recorder {
			out.Reset()
			return record.NewWriter(&out)
		},
		Broken: func(t *testing.T) record.Recorder {
			r, w, err := os.Pipe()
			require.NoError(t, err)
			require.NoError(t, errors.Join(r.Close(), w.Close()))
			return record.NewWriter(w)
		},
		Read: func(t *testing.T, _ record.Recorder) []*record.Record { return readAll(t, &out) },
	})
}

func readAll(t testing.TB, r io.Reader) (all []*record.Record) {
	for rec, err := range record.Read(r) {
		require.NoError(t, err)
		all = append(all, rec)
	}
	return all
}

func TestMulti(t *testing.T) {
	var first, last recordtest.Collector
	gone := errors.New("gone")
	m := record.Multi(&first, recordtest.Fail(gone), recordtest.Panic("chaos"), &last)
	err := m.Record(t.Context(), seq(1))
	assert.ErrorIs(t, err, gone)
	assert.ErrorContains(t, err, "chaos")
	n, err := m.(record.BatchRecorder).RecordBatch(t.Context(), []*record.Record{seq(2), seq(3)})
	assert.Zero(t, n)
	assert.ErrorIs(t, err, gone)
	assert.Len(t, first.Records(), 3)
	assert.Len(t, last.Records(), 3, "one that fails does not stop the others")
	require.NoError(t, record.Multi().Record(t.Context(), seq(1)))
}

func TestFilter(t *testing.T) {
	var kept recordtest.Collector
	odd := func(r *record.Record) bool { return r.Seq%2 == 1 }
	f := record.Filter{Keep: odd, Next: &kept}
	require.NoError(t, f.Record(t.Context(), seq(1)))
	require.NoError(t, f.Record(t.Context(), seq(2)))
	n, err := f.RecordBatch(t.Context(), []*record.Record{seq(3), seq(4), seq(5)})
	assert.Equal(t, 3, n)
	require.NoError(t, err)
	assert.Len(t, kept.Records(), 3)

	f.Next = recordtest.Fail(errors.New("gone"))
	n, err = f.RecordBatch(t.Context(), []*record.Record{seq(3), seq(4), seq(5)})
	assert.Equal(t, 1, n, "what is not kept counts as recorded")
	assert.Error(t, err)
	n, err = f.RecordBatch(t.Context(), []*record.Record{seq(4)})
	assert.Equal(t, 1, n)
	assert.NoError(t, err)
	assert.NoError(t, record.Filter{Keep: odd}.Record(t.Context(), seq(1)))
	assert.NoError(t, record.Filter{Next: &kept}.Record(t.Context(), seq(2)))
	assert.Len(t, kept.Records(), 4)
}

func TestCombinationsConform(t *testing.T) {
	var mu sync.Mutex
	one := record.Func(func(context.Context, *record.Record) error {
		mu.Lock()
		defer mu.Unlock()
		return nil
	})
	broken := recordtest.Fail(errors.New("gone"))
	for name, wrap := range map[string]func(record.Recorder) record.Recorder{
		"Multi":  func(r record.Recorder) record.Recorder { return record.Multi(r, record.NewWriter(io.Discard)) },
		"Filter": func(r record.Recorder) record.Recorder { return record.Filter{Next: r} },
		"bare":   func(r record.Recorder) record.Recorder { return r },
	} {
		t.Run(name, func(t *testing.T) {
			recordtest.TestRecorder(t, recordtest.Suite{
				Open:   func(*testing.T) record.Recorder { return wrap(one) },
				Broken: func(*testing.T) record.Recorder { return wrap(broken) },
			})
		})
	}
	recordtest.TestRecorder(t, recordtest.Suite{Open: func(*testing.T) record.Recorder { return record.Discard() }})
}

func ExampleNewWriter() {
	w := record.NewWriter(os.Stdout)
	_ = w.Record(context.Background(), &record.Record{Service: "demo", Network: "tcp", Host: "www.example.com:80"})
	// Output: {"service":"demo","network":"tcp","remote":"","local":"","client":"","src":"","dst":"","host":"www.example.com:80","clientIP":"","inputBytes":0,"outputBytes":0,"sid":"","duration":0,"time":"0001-01-01T00:00:00Z"}
}

func ExampleFilter() {
	slow := record.Filter{
		Keep: func(r *record.Record) bool { return r.HTTP != nil && r.HTTP.StatusCode >= 500 },
		Next: record.Func(func(_ context.Context, r *record.Record) error {
			return json.NewEncoder(os.Stdout).Encode(r.HTTP.StatusCode)
		}),
	}
	for _, status := range []int{200, 502} {
		_ = slow.Record(context.Background(), &record.Record{HTTP: &record.HTTP{StatusCode: status}})
	}
	// Output: 502
}
