package sniff

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"runtime"
	"sync"
	"testing"
	"time"
	"weak"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What the small waiting buffer must not cost, and what it is for.

// One TLS record that was read is one TLS record that is written.
func TestRecordStaysOne(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		t.Run(tls.VersionName(version), func(t *testing.T) {
			client, _ := overWire(t, version, true)
			server, w := overWire(t, version, false)
			done := relayed(t.Context(), client.ours, server.ours, nil, nil)
			for _, size := range []int{1, 511, 512, 513, 1 << 10, 3 << 10, 16 << 10, 512, 16 << 10, 7} {
				before := w.n
				write(t, client.peer, string(bytes.Repeat([]byte("r"), size)))
				expect(t, server.peer, string(bytes.Repeat([]byte("r"), size)))
				assert.Equal(t, 1, w.n-before, "a record of %d bytes", size)
			}
			client.peer.Close()
			expectEnd(t, server.peer)
			server.peer.Close()
			wait(t, done)
		})
	}
}

// The same where TLS was made over something that Relay cannot look below.
func TestRecordStaysOneOverForeignTLS(t *testing.T) {
	raw := tcpPair(t)
	const v = tls.VersionTLS12
	client := handshaken(t, tls.Client(raw.peer, clientConfig(v)), tls.Server(raw.ours, serverConfig(v)))
	server, w := overWire(t, v, false)
	done := relayed(t.Context(), client.ours, server.ours, nil, nil)
	for _, size := range []int{513, 16 << 10, 1} {
		before := w.n
		write(t, client.peer, string(bytes.Repeat([]byte("r"), size)))
		expect(t, server.peer, string(bytes.Repeat([]byte("r"), size)))
		assert.Equal(t, 1, w.n-before, "a record of %d bytes", size)
	}
	client.peer.Close()
	server.peer.Close()
	wait(t, done)
}

// A trickle of events arrives event by event, also behind a bulk transfer.
func TestTrickle(t *testing.T) {
	for _, tr := range transports() {
		t.Run(tr.name, func(t *testing.T) {
			client, server := tr.pairs(t)
			done := relayed(t.Context(), client.ours, server.ours, nil, readOn)
			for _, bulk := range []int{0, 300 << 10} {
				go server.peer.Write(make([]byte, bulk))
				_, err := io.ReadFull(client.peer, make([]byte, bulk))
				require.NoError(t, err)
				for i := range 20 {
					event := fmt.Sprintf("data: event %d\n\n", i)
					go io.WriteString(server.peer, event)
					expect(t, client.peer, event)
				}
			}
			client.peer.Close()
			io.Copy(io.Discard, server.peer)
			server.peer.Close()
			wait(t, done)
		})
	}
}

// An idle direction holds no large buffer, whatever went through it before.
func TestIdleHoldsNoBuffer(t *testing.T) {
	const relays = 20
	bulk := make([]byte, 200<<10)
	for _, kind := range []string{"tcp", "unix", "tls13", "tls12", "plain-tls", "tls-over-pipe"} {
		t.Run(kind, func(t *testing.T) {
			held := countBuffers(t)
			var dones []<-chan outcome
			var pairs []pair
			for range relays {
				client, server := transportNamed(kind).pairs(t)
				pairs = append(pairs, client, server)
				// readOn looks at all of it, so that nothing is spliced.
				dones = append(dones, relayed(t.Context(), client.ours, server.ours, readOn, readOn))
				for _, ends := range []pair{{client.peer, server.peer}, {server.peer, client.peer}} {
					go ends.peer.Write(bulk)
					_, err := io.ReadFull(ends.ours, make([]byte, len(bulk)))
					require.NoError(t, err)
				}
			}
			assert.Eventually(t, func() bool { return held() == 0 }, 5*time.Second, 10*time.Millisecond)
			t.Logf("%d idle relays hold %d buffers", relays, held())
			for _, p := range pairs {
				p.peer.Close()
			}
			for _, done := range dones {
				wait(t, done)
			}
		})
	}
}

// countBuffers counts the buffers that are neither free nor forgotten.
func countBuffers(t *testing.T) (held func() int) {
	var mu sync.Mutex
	var made []weak.Pointer[[flowSize]byte]
	fresh := flowBuffers.New
	flowBuffers.New = func() any {
		b := new([flowSize]byte)
		mu.Lock()
		defer mu.Unlock()
		made = append(made, weak.Make(b))
		return b
	}
	t.Cleanup(func() { flowBuffers.New = fresh })
	runtime.GC()
	runtime.GC() // a pool lets go of what is free with the second
	return func() (n int) {
		runtime.GC()
		runtime.GC()
		mu.Lock()
		defer mu.Unlock()
		for _, w := range made {
			if w.Value() != nil {
				n++
			}
		}
		return n
	}
}

// A direction that flows allocates nothing beyond what its connections do.
func TestRelayAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	look := func(r io.Reader) error {
		src := r.(*Reader)
		for {
			b, err := src.Next()
			if err != nil {
				return err
			}
			src.Advance(len(b))
		}
	}
	for _, kind := range []string{"tcp", "unix", "tls13", "tls12", "tls-plain"} {
		t.Run(kind, func(t *testing.T) {
			client, server := transportNamed(kind).pairs(t)
			floor := exchangeAllocs(client.peer, client.ours) + exchangeAllocs(server.peer, server.ours)
			done := relayed(t.Context(), client.ours, server.ours, look, look)
			assert.LessOrEqual(t, exchangeAllocs(client.peer, server.peer), floor)
			client.peer.Close()
			server.peer.Close()
			wait(t, done)
		})
	}
}

// exchangeAllocs is how often a message each way allocates.
func exchangeAllocs(one, other net.Conn) float64 {
	message, got := make([]byte, 1<<10), make([]byte, 1<<10)
	exchange := func() {
		one.Write(message)
		io.ReadFull(other, got)
		other.Write(message)
		io.ReadFull(one, got)
	}
	for range 50 { // buffers grow to their size
		exchange()
	}
	return testing.AllocsPerRun(500, exchange)
}
