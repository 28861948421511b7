package record_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/proxyglass/proxyglass/record"
)

// realistic is the exchange of GOST's documentation with a smaller body and no
// TLS: some 1.3 KB of JSON.
func realistic(tb testing.TB) *record.Record {
	var r record.Record
	require.NoError(tb, json.Unmarshal(examples(tb)["seed/http-sniffed.jsonl/a"], &r))
	r.HTTP.Response.Body = r.HTTP.Response.Body[:220]
	r.Src, r.Dst, r.Seq = "192.0.2.2:50000", "198.51.100.7:80", 1
	r.Timings = &record.Timings{Dial: 1000, RequestFirstByte: 1, RequestEnd: 2, ResponseFirstByte: 2000, ResponseEnd: 3000}
	return &r
}

// plain is the record as encoding/json would write it by reflection.
type plain struct {
	Service, Network, Remote, Local, Client, Src, Dst, Host, Proto, ClientIP string
	HTTP                                                                     struct {
		Host, Method, Proto, Scheme, URI string
		StatusCode                       int
		Request, Response                plainMessage
	}
	Route, SID              string
	InputBytes, OutputBytes int64
	Duration                time.Duration
	Time                    time.Time
	Timings                 *record.Timings
}

type plainMessage struct {
	ContentLength int64
	Header        map[string][]string
	Body          []byte
}

func BenchmarkAppendJSON(b *testing.B) {
	r := realistic(b)
	b.Run("ours", func(b *testing.B) {
		buf := r.AppendJSON(nil)
		b.SetBytes(int64(len(buf)))
		b.ReportAllocs()
		for b.Loop() {
			buf = r.AppendJSON(buf[:0])
		}
	})
	b.Run("encoding-json", func(b *testing.B) {
		var p plain
		require.NoError(b, json.Unmarshal(r.AppendJSON(nil), &p))
		text, _ := json.Marshal(&p)
		b.SetBytes(int64(len(text)))
		b.ReportAllocs()
		enc := json.NewEncoder(io.Discard)
		for b.Loop() {
			_ = enc.Encode(&p)
		}
	})
}

func BenchmarkUnmarshalJSON(b *testing.B) {
	text := realistic(b).AppendJSON(nil)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		var r record.Record
		_ = r.UnmarshalJSON(text)
	}
}

func BenchmarkManyFields(b *testing.B) {
	for _, n := range []int{10, 32, 33, 1000, 10_000, 60_000} {
		h := make(record.Header, n)
		for i := range h {
			h[i].Name = fmt.Sprintf("%05x", i)
		}
		r := record.Record{HTTP: &record.HTTP{Request: &record.Message{Header: h}}}
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			var buf []byte
			for b.Loop() {
				buf = r.AppendJSON(buf[:0])
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/field")
		})
		b.Run(fmt.Sprint("decode-", n), func(b *testing.B) {
			text := r.AppendJSON(nil)
			for b.Loop() {
				_ = new(record.Record).UnmarshalJSON(text)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/field")
		})
	}
}

func BenchmarkHandOver(b *testing.B) {
	ctx := context.Background()
	r := realistic(b)
	// Room enough that few are dropped, which costs less than to be kept.
	roomy := func() *record.Async {
		return &record.Async{Next: record.Discard(), MaxRecords: 1 << 22, MaxBytes: 1 << 40, MaxBatch: 1 << 14}
	}
	dropped := func(b *testing.B, a *record.Async) {
		b.StopTimer()
		_ = a.Close(ctx)
		b.ReportMetric(float64(a.Stats().Dropped.Total())/float64(b.N), "dropped/op")
	}
	b.Run("async", func(b *testing.B) {
		a := roomy()
		b.ReportAllocs()
		for b.Loop() {
			_ = a.Record(ctx, r)
		}
		dropped(b, a)
	})
	b.Run("async-parallel", func(b *testing.B) {
		a := roomy()
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				_ = a.Record(ctx, r)
			}
		})
		dropped(b, a)
	})
	b.Run("channel", func(b *testing.B) {
		c := make(chan *record.Record, record.DefaultMaxRecords)
		done := make(chan struct{})
		go func() {
			defer close(done)
			for range c {
			}
		}()
		b.ReportAllocs()
		for b.Loop() {
			c <- r
		}
		b.StopTimer()
		close(c)
		<-done
	})
}

func BenchmarkWriter(b *testing.B) {
	ctx := context.Background()
	r := realistic(b)
	w := record.NewWriter(io.Discard)
	batch := make([]*record.Record, record.DefaultMaxBatch)
	for i := range batch {
		batch[i] = r
	}
	b.Run("one", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_ = w.Record(ctx, r)
		}
	})
	b.Run("batch-of-512", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, _ = w.RecordBatch(ctx, batch)
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(batch)), "ns/record")
	})
}
