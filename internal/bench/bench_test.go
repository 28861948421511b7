//go:build linux

package bench

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// The rows of docs/performance.md.
var (
	relayBulk       = row{floor: "relay", ours: "observes", way: tunnelled, conns: 1, bytes: 1 << 30, rounds: 9}
	openedKeepAlive = row{floor: "tls", ours: "opens", way: opened, conns: 64, bytes: 1 << 10, slice: time.Second / 2, rounds: 9}
	openedBulk      = row{floor: "tls", ours: "opens", way: opened, conns: 1, bytes: 256 << 20, rounds: 9}
	forward         = row{floor: "relay", ours: "observes", way: forwarded, conns: 64, bytes: 1 << 10, slice: time.Second / 2, rounds: 9}
)

// BenchmarkRelayBulk is a GiB behind a CONNECT, plain HTTP with a body that is
// longer than what is kept of it. x-floor-speed is the ratio of the MB/s.
func BenchmarkRelayBulk(b *testing.B) { relayBulk.bulk(b) }

// BenchmarkOpenedBulk is a long body inside TLS that is opened.
func BenchmarkOpenedBulk(b *testing.B) { openedBulk.bulk(b) }

// BenchmarkOpenedKeepAlive is short exchanges inside TLS that is opened.
func BenchmarkOpenedKeepAlive(b *testing.B) { openedKeepAlive.exchanges(b) }

// BenchmarkForward is short exchanges in absolute-form, without TLS.
func BenchmarkForward(b *testing.B) { forward.exchanges(b) }

func (r row) bulk(b *testing.B) {
	floor, ours := r.all(b)
	report(b, floor, ours, r.cpuPerGiB, "cpu-s/GiB", "x-floor")
	report(b, floor, ours, r.megabytesPerSec, "MB/s", "x-floor-speed")
}

func (r row) exchanges(b *testing.B) {
	floor, ours := r.all(b)
	report(b, floor, ours, cpuPerRequest, "cpu-us/req", "x-floor")
	report(b, floor, ours, requestsPerSec, "req/s", "x-floor-speed")
}

// all is b.N comparisons, each with processes of its own.
func (r row) all(b *testing.B) (floor, ours []slice) {
	b.ReportMetric(0, "ns/op") // an operation takes as long as it was told to
	for range b.N {
		f, o := r.compare(b)
		floor, ours = append(floor, f...), append(ours, o...)
	}
	return floor, ours
}

// idleConns is how many connections idle, in BenchmarkIdleOpened.
const idleConns = 1000

// BenchmarkIdleOpened is what memory a connection takes that was opened, has
// answered one request, and waits for the next.
func BenchmarkIdleOpened(b *testing.B) {
	b.ReportMetric(0, "ns/op")
	var floor, ours, ratio []float64
	for range b.N {
		f, o := idle(b, idleConns, 2*time.Second)
		floor, ours, ratio = append(floor, f), append(ours, o), append(ratio, o/f)
	}
	b.ReportMetric(median(ours), "KiB/conn")
	b.ReportMetric(median(floor), "floor-KiB/conn")
	b.ReportMetric(median(ratio), "x-floor")
}

// idle returns the growth in KiB per connection. What a proxy needs once, the
// first few connections bring about.
func idle(tb testing.TB, conns int, rest time.Duration) (floor, ours float64) {
	tb.Helper()
	r := newRig(tb)
	defer r.stop()
	growth := func(role string) float64 {
		c := r.contest(role, opened, 4)
		time.Sleep(rest / 4)
		before := c.proxy.rss()
		r.visit(c, opened, conns)
		time.Sleep(rest)
		grown := c.proxy.rss() - before
		c.get(1<<10, 0) // all are alive
		if role == "opens" {
			r.checkRecords(c)
		}
		return grown / float64(conns)
	}
	return growth("tls"), growth("opens")
}

// TestHarness goes through every benchmark with next to no traffic, so that they
// work when they are wanted. Its figures mean nothing.
func TestHarness(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	for name, r := range map[string]row{
		"relay-bulk": relayBulk, "opened-bulk": openedBulk, "opened": openedKeepAlive, "forward": forward,
	} {
		t.Run(name, func(t *testing.T) {
			r.conns, r.rounds = min(r.conns, 4), 1
			r.bytes, r.slice = min(r.bytes, 1<<20), min(r.slice, 20*time.Millisecond)
			floor, ours := r.compare(t)
			for _, s := range append(floor, ours...) {
				assert.GreaterOrEqual(t, s.requests, int64(r.conns))
				assert.Positive(t, s.took)
				assert.Positive(t, s.cpu)
			}
		})
	}
	t.Run("idle", func(t *testing.T) { idle(t, 4, 20*time.Millisecond) })
}
