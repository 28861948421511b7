package bypass

import (
	"context"
	"fmt"
	"net/netip"
	"runtime"
	"strings"
	"testing"
)

// domainRules are n rules as block lists have them: half exact, half with all
// below.
func domainRules(n int) string {
	var b strings.Builder
	for i := range n {
		if i%2 == 0 {
			b.WriteByte('.')
		}
		fmt.Fprintf(&b, "site-%d.example%d.com\n", i, i%100)
	}
	return b.String()
}

// mapOfSuffixes is the floor: one map, asked for the name and each name above.
type mapOfSuffixes map[string]struct{}

func (m mapOfSuffixes) match(name string) bool {
	name = strings.ToLower(name)
	for {
		if _, ok := m[name]; ok {
			return true
		}
		i := strings.IndexByte(name, '.')
		if i < 0 {
			return false
		}
		name = name[i+1:]
	}
}

func BenchmarkMatch(b *testing.B) {
	for _, n := range []int{10, 10_000, 1_000_000} {
		text := domainRules(n)
		list, err := ParseReader(strings.NewReader(text))
		if err != nil {
			b.Fatal(err)
		}
		floor := mapOfSuffixes{}
		for line := range strings.Lines(text) {
			floor[strings.Trim(line, ".\n")] = struct{}{}
		}
		// As many different names as a busy proxy sees within some minutes.
		hits, misses := make([]string, 1<<12), make([]string, 1<<12)
		for i := range hits {
			j := i * 7919 % n &^ 1
			hits[i] = fmt.Sprintf("www.site-%d.example%d.com", j, j%100)
			misses[i] = fmt.Sprintf("www.miss-%d.example%d.com", i, i%100)
		}
		run := func(what string, names []string, want bool) {
			b.Run(fmt.Sprintf("domains=%d/%s/list", n, what), func(b *testing.B) {
				b.ReportAllocs()
				ctx, i := context.Background(), 0
				for b.Loop() {
					name := names[i&(1<<12-1)]
					i++
					// As with a real target, its names are mostly the same.
					if ok, err := list.Match(ctx, Target{Host: name, SNI: name, Port: 443}); ok != want || err != nil {
						b.Fatal(name, ok, err)
					}
				}
			})
			b.Run(fmt.Sprintf("domains=%d/%s/floor", n, what), func(b *testing.B) {
				b.ReportAllocs()
				i := 0
				for b.Loop() {
					name := names[i&(1<<12-1)]
					i++
					if floor.match(name) != want {
						b.Fatal(name)
					}
				}
			})
		}
		run("hit", hits, true)
		run("miss", misses, false)
	}
}

func BenchmarkMatchAddr(b *testing.B) {
	for _, n := range []int{10, 10_000, 1_000_000} {
		rules := make([]string, n)
		for i := range rules {
			rules[i] = fmt.Sprintf("10.%d.%d.%d", i>>15&255, i>>7&255, i<<1&255)
		}
		list := Must(rules...)
		b.Run(fmt.Sprintf("addrs=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			ctx, i := context.Background(), 0
			for b.Loop() {
				i += 7919
				a := netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
				if _, err := list.Match(ctx, Target{Addr: a, Port: 443}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkMatchGlobs(b *testing.B) {
	for name, pattern := range map[string]string{"indexed": "ads*.site-%d.example", "scanned": "ads*.site-%d.*"} {
		rules := make([]string, 10_000)
		for i := range rules {
			rules[i] = fmt.Sprintf(pattern, i)
		}
		list := Must(rules...)
		b.Run(name+"=10000", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if ok, err := list.Match(context.Background(), Target{Host: "www.site-77.example"}); ok || err != nil {
					b.Fatal(ok, err)
				}
			}
		})
	}
}

// BenchmarkParse reports, beside the time, what a rule costs for as long as the
// list lives, its text included.
func BenchmarkParse(b *testing.B) {
	const n = 1_000_000
	text := domainRules(n)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	var list *List
	rounds := 0
	for b.Loop() {
		list, _ = ParseReader(strings.NewReader(text))
		rounds++
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	b.ReportMetric(float64(int64(after.HeapAlloc)-int64(before.HeapAlloc))/n, "B/rule")
	b.ReportMetric(b.Elapsed().Seconds()*1e9/float64(rounds)/n, "ns/rule")
	runtime.KeepAlive(text)
	runtime.KeepAlive(list)
}
