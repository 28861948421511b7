package sniff

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The relay against its floor, io.Copy between TCP connections, which splices.
// The peers are processes of their own, so that the CPU time reported is the
// relay's alone: cpu-s/GiB and cpu-us/op. Compare sub-benchmarks of one run:
//
//	go test ./sniff -run '^$' -bench 'Relay' -count 5

const gib = 1 << 30

func BenchmarkRelayBulk(b *testing.B) {
	skipBody := func(r io.Reader) error { // a head, then a body that nobody keeps
		src := r.(*Reader)
		head, err := src.Next()
		if err != nil {
			return err
		}
		head = head[:min(len(head), 100)]
		src.Advance(len(head))
		if _, err := src.Skip(gib - int64(len(head))); err != nil {
			return err
		}
		_, err = src.Next()
		return err
	}
	b.Run("io.Copy", func(b *testing.B) { benchBulk(b, copyBoth) })
	b.Run("Relay", func(b *testing.B) {
		benchBulk(b, func(client, server net.Conn) { Relay(context.Background(), client, server, skipBody, nil) })
	})
}

func benchBulk(b *testing.B, relay func(client, server net.Conn)) {
	b.SetBytes(gib)
	cpu := benchPeers(b, "source", "sink", relay, b.N)
	b.ReportMetric(cpu.Seconds()/float64(b.N), "cpu-s/GiB")
}

func BenchmarkRelayPingPong(b *testing.B) {
	look := func(r io.Reader) error {
		src := r.(*Reader)
		for {
			m, err := src.Next()
			if err != nil {
				return err
			}
			src.Advance(len(m))
		}
	}
	run := func(relay func(client, server net.Conn)) func(*testing.B) {
		return func(b *testing.B) {
			cpu := benchPeers(b, "ping", "echo", relay, 1)
			b.ReportMetric(float64(cpu.Microseconds())/float64(b.N), "cpu-us/op")
		}
	}
	b.Run("io.Copy", run(copyBoth))
	b.Run("Relay", run(func(client, server net.Conn) { Relay(context.Background(), client, server, look, look) }))
	b.Run("Relay without parsers", run(func(client, server net.Conn) { Relay(context.Background(), client, server, nil, nil) }))
}

// copyBoth is the floor: what a program without this package would do.
func copyBoth(client, server net.Conn) {
	var wg sync.WaitGroup
	one := func(dst, src net.Conn) {
		io.Copy(dst, src)
		dst.(closeWriter).CloseWrite()
	}
	wg.Go(func() { one(client, server) })
	one(server, client)
	wg.Wait()
}

// benchPeers has relay join conns pairs of connections, one after the other,
// and returns the CPU time of this process meanwhile.
func benchPeers(b *testing.B, client, server string, relay func(client, server net.Conn), conns int) time.Duration {
	up, down := listen(b), listen(b)
	startPeer(b, server, down.Addr(), b.N)
	startPeer(b, client, up.Addr(), b.N)
	b.ResetTimer()
	var cpu time.Duration
	for range conns {
		b.StopTimer()
		c, err := up.Accept()
		require.NoError(b, err)
		s, err := down.Accept()
		require.NoError(b, err)
		s.Write([]byte("!")) // the peers are there: begin
		io.ReadFull(s, make([]byte, 1))
		before := cpuTime(b)
		b.StartTimer()
		c.Write([]byte("!"))
		relay(c, s)
		b.StopTimer()
		cpu += cpuTime(b) - before
		c.Close()
		s.Close()
	}
	return cpu
}

func listen(b *testing.B) net.Listener {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(b, err)
	b.Cleanup(func() { l.Close() })
	return l
}

const peerEnv = "PROXYGLASS_BENCH_PEER"

// startPeer runs this binary again, as TestBenchPeer.
func startPeer(b *testing.B, role string, addr net.Addr, n int) {
	cmd := exec.Command(os.Args[0], "-test.run=^TestBenchPeer$")
	cmd.Env = append(os.Environ(), peerEnv+"="+role, "ADDR="+addr.String(), "N="+strconv.Itoa(n))
	cmd.Stderr = os.Stderr
	require.NoError(b, cmd.Start())
	b.Cleanup(func() {
		cmd.Process.Kill() // of no effect on one that has ended, as all should
		cmd.Wait()
	})
}

// TestBenchPeer is no test: it plays a peer for the benchmarks.
func TestBenchPeer(t *testing.T) {
	role, addr := os.Getenv(peerEnv), os.Getenv("ADDR")
	if role == "" {
		t.Skip("plays a peer for the benchmarks")
	}
	n, _ := strconv.Atoi(os.Getenv("N"))
	if role == "ping" || role == "echo" {
		pingPong(t, role, addr, n)
		return
	}
	buf := make([]byte, 256<<10)
	for range n {
		c := begin(t, role, addr)
		switch role {
		case "source":
			for left := gib; left > 0; left -= len(buf) {
				if _, err := c.Write(buf); err != nil {
					return
				}
			}
			c.(closeWriter).CloseWrite()
			c.Read(buf)
		case "sink":
			for {
				if _, err := c.Read(buf); err != nil {
					break
				}
			}
		}
		c.Close()
	}
}

func pingPong(t *testing.T, role, addr string, n int) {
	c := begin(t, role, addr)
	defer c.Close()
	m := make([]byte, 1<<10)
	for range n {
		if role == "ping" {
			c.Write(m)
		}
		if _, err := io.ReadFull(c, m); err != nil {
			return
		}
		if role == "echo" {
			c.Write(m)
		}
	}
}

// begin dials, and waits until it is told to.
func begin(t *testing.T, role, addr string) net.Conn {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Skip("the benchmark is over: ", err)
	}
	io.ReadFull(c, make([]byte, 1))
	if role == "sink" || role == "echo" {
		c.Write([]byte("!"))
	}
	return c
}

// BenchmarkIdle reports what an idle relay between two TLS connections holds,
// beside what the connections and their peers do.
func BenchmarkIdle(b *testing.B) {
	for _, bulk := range []int{1 << 10, 1 << 20} {
		b.Run(fmt.Sprintf("after %d KiB", bulk>>10), func(b *testing.B) {
			const relays = 500
			for range b.N {
				idle(b, relays, bulk) // its time says nothing
			}
		})
	}
}

func idle(b *testing.B, relays, bulk int) {
	var pairs []pair
	message, got := make([]byte, bulk), make([]byte, bulk)
	for range relays {
		client, server := transportNamed("tls13").pairs(b)
		for _, p := range []pair{client, server} { // fills the connections' own buffers
			for _, ends := range [][2]net.Conn{{p.peer, p.ours}, {p.ours, p.peer}} {
				go ends[0].Write(message)
				io.ReadFull(ends[1], got)
			}
		}
		pairs = append(pairs, client, server)
	}
	before := heapAndStacks()
	var dones []<-chan outcome
	for i := 0; i < len(pairs); i += 2 {
		client, server := pairs[i], pairs[i+1]
		dones = append(dones, relayed(context.Background(), client.ours, server.ours, readOn, readOn))
		go client.peer.Write(message)
		io.ReadFull(server.peer, got)
		go server.peer.Write(message)
		io.ReadFull(client.peer, got)
	}
	b.ReportMetric(float64(heapAndStacks()-before)/float64(relays)/1024, "KiB/relay")
	for _, p := range pairs {
		p.peer.Close()
	}
	for _, done := range dones {
		wait(b, done)
	}
	for _, p := range pairs {
		p.ours.Close()
	}
}

func heapAndStacks() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}
