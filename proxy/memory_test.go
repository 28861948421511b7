package proxy_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/proxyglass/proxyglass/internal/tcptest"
	"github.com/proxyglass/proxyglass/proxy"
	"github.com/proxyglass/proxyglass/record"
)

func heapAlloc() uint64 {
	runtime.GC()
	runtime.GC() // what sync.Pool holds goes with the second
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// A gibibyte through an opened connection leaves nothing in memory but the start
// of the body.
func TestBulkLeavesNoMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("moves 1 GiB")
	}
	const size = 1 << 30
	l := newOpened(t, nil)
	l.client.SetDeadline(time.Now().Add(2 * time.Minute))
	l.server.SetDeadline(time.Now().Add(2 * time.Minute))
	l.pass(get, fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", size))
	before := heapAlloc()
	halfWay := make(chan uint64, 1)
	go func() {
		b := make([]byte, 256<<10)
		for sent := 0; sent < size; sent += len(b) {
			if sent == size/2 {
				halfWay <- heapAlloc()
			}
			if _, err := l.server.Write(b); err != nil {
				return
			}
		}
	}()
	n, err := io.CopyN(io.Discard, l.client, size)
	require.NoError(t, err)
	require.EqualValues(t, size, n)
	after := heapAlloc()
	assert.Less(t, int64(<-halfWay)-int64(before), int64(4<<20), "half way")
	assert.Less(t, int64(after)-int64(before), int64(4<<20), "at the end")
	r := only(t, l.endTLS())
	assert.Len(t, r.HTTP.Response.Body, 64<<10)
	assert.True(t, r.HTTP.Response.Truncated)
	assert.EqualValues(t, size, r.HTTP.Response.ContentLength)
}

// BenchmarkIdleOpened reports what an opened connection costs that waits: heap
// and stacks of this process, which are both ends' too. The floor is the same
// with two TLS connections and io.Copy in the place of the pipeline.
func BenchmarkIdleOpened(b *testing.B) {
	term := newTerminator()
	pipeline := &proxy.Pipeline{MITM: term, Recorder: record.Discard()}
	floor := func(client, server net.Conn) {
		s := tls.Client(server, &tls.Config{RootCAs: poolOf(authorities().origins), ServerName: name})
		c := tls.Server(client, &tls.Config{GetCertificate: func(h *tls.ClientHelloInfo) (*tls.Certificate, error) {
			return term.Issuer.Issue(h.Context(), name)
		}})
		if s.Handshake() != nil || c.Handshake() != nil {
			return
		}
		go func() { io.Copy(c, s); c.Close() }()
		io.Copy(s, c)
		s.Close()
	}
	for what, serve := range map[string]func(client, server net.Conn){
		"floor": floor,
		"pipeline": func(client, server net.Conn) {
			pipeline.Serve(b.Context(), client, server, proxy.Session{Host: name + ":443"})
		},
	} {
		b.Run(what, func(b *testing.B) {
			const n = 200
			server, client := originConfig(name, nil), clientConfig(name)
			memory := func() uint64 {
				runtime.GC()
				runtime.GC()
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				return m.HeapInuse + m.StackInuse
			}
			for b.Loop() {
				before := memory()
				var lines [n]*line
				for i := range lines {
					c, ours := tcptest.Pair(b)
					theirs, s := tcptest.Pair(b)
					go serve(ours, theirs)
					lines[i] = &line{t: b, client: newPeer(b, c), server: newPeer(b, s)}
					lines[i].handshake(client, server)
					lines[i].pass(get, hello)
				}
				b.ReportMetric(float64(memory()-before)/n/1024, "KiB/conn")
				for _, l := range lines {
					l.client.Close()
					l.server.Close()
				}
			}
		})
	}
}
