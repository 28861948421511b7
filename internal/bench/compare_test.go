//go:build linux

package bench

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A row is one kind of traffic, through Proxyglass and through the floor.
type row struct {
	floor, ours string // roles
	way         string
	conns       int
	bytes       int64         // of each answer
	slice       time.Duration // how long each has its turn; zero: for one answer on each connection
	rounds      int
}

// A slice of the measurement is one turn of one of the two.
type slice struct {
	requests  int64
	took, cpu time.Duration
}

// settle is how long the proxies are left alone before their clocks are read, so
// that records are written too: a multiple of what they wait for company.
const settle = 40 * time.Millisecond

// A contestant is a proxy with a load of its own.
type contestant struct {
	proxy, load *process
	asked       int64 // requests made
}

// rig is where a comparison takes place.
type rig struct {
	tb     testing.TB
	dir    string // of the authorities
	origin *process
	all    []*process
}

func newRig(tb testing.TB) *rig {
	r := &rig{tb: tb, dir: tb.TempDir()}
	r.origin = r.start("origin")
	return r
}

func (r *rig) start(role string) *process {
	r.tb.Helper()
	p := start(r.tb, r.dir, role)
	r.all = append(r.all, p)
	return p
}

// stop ends all processes: the next comparison has the machine to itself.
func (r *rig) stop() {
	for _, p := range slices.Backward(r.all) {
		p.stop()
	}
}

// contest starts a proxy in a role, with connections through it.
func (r *rig) contest(role, way string, conns int) *contestant {
	r.tb.Helper()
	c := &contestant{proxy: r.start(role), load: r.start("visitor")}
	r.visit(c, way, conns)
	return c
}

// visit makes connections, and asks once on each of all there are.
func (r *rig) visit(c *contestant, way string, conns int) {
	r.tb.Helper()
	addr := r.origin.addrs[0]
	if way == opened {
		addr = r.origin.addrs[1]
	}
	c.load.ask(command{Do: "visit", Way: way, Proxy: c.proxy.addrs[0], Origin: addr, Conns: conns})
	c.get(1<<10, 0)
}

func (c *contestant) get(bytes int64, forTime time.Duration) slice {
	before := c.proxy.cpu()
	a := c.load.ask(command{Do: "get", Bytes: bytes, For: forTime})
	time.Sleep(settle)
	c.asked += a.Requests
	return slice{a.Requests, a.Took, c.proxy.cpu() - before}
}

// compare runs the rounds. In each, both have their turn; who comes first
// changes.
func (r row) compare(tb testing.TB) (floor, ours []slice) {
	tb.Helper()
	rig := newRig(tb)
	defer rig.stop()
	f, o := rig.contest(r.floor, r.way, r.conns), rig.contest(r.ours, r.way, r.conns)
	turn := func(c *contestant) slice { return c.get(r.bytes, r.slice) }
	turn(f) // to warm up
	turn(o)
	for i := range r.rounds {
		if i%2 == 0 {
			floor, ours = append(floor, turn(f)), append(ours, turn(o))
		} else {
			ours, floor = append(ours, turn(o)), append(floor, turn(f))
		}
	}
	rig.checkRecords(o)
	return floor, ours
}

// checkRecords wants a record of every request: a proxy is not to win by
// dropping them.
func (r *rig) checkRecords(c *contestant) {
	r.tb.Helper()
	s := c.proxy.ask(command{Do: "stats"})
	require.EqualValues(r.tb, c.asked, s.Recorded, "records")
	require.Zero(r.tb, s.Dropped, "records lost")
}

// A measure is one figure of a slice.
type measure func(slice) float64

func cpuPerRequest(s slice) float64  { return float64(s.cpu) / 1e3 / float64(s.requests) }
func requestsPerSec(s slice) float64 { return float64(s.requests) / s.took.Seconds() }

func (r row) cpuPerGiB(s slice) float64 {
	return s.cpu.Seconds() / (float64(s.requests*r.bytes) / (1 << 30))
}

func (r row) megabytesPerSec(s slice) float64 {
	return float64(s.requests*r.bytes) / 1e6 / s.took.Seconds()
}

// report reports the medians of a figure over all rounds and, for the ratio, the
// median of the rounds' own ratios: what disturbs a round disturbs both.
func report(b *testing.B, floor, ours []slice, m measure, unit, ratio string) {
	var fs, os, xs []float64
	for i := range floor {
		f, o := m(floor[i]), m(ours[i])
		fs, os, xs = append(fs, f), append(os, o), append(xs, o/f)
	}
	b.ReportMetric(median(os), unit)
	b.ReportMetric(median(fs), "floor-"+unit)
	b.ReportMetric(median(xs), ratio)
}

func median(xs []float64) float64 {
	s := slices.Sorted(slices.Values(xs))
	if n := len(s); n%2 == 0 {
		return (s[n/2-1] + s[n/2]) / 2
	}
	return s[len(s)/2]
}
