package proxy_test

import (
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/proxyglass/proxyglass/proxy"
	"github.com/proxyglass/proxyglass/record"
	"github.com/proxyglass/proxyglass/sniff"
)

// pingPong is one end of a conversation that is in memory: it says its line
// whenever the other end has said its own, n times.
type pingPong struct {
	net.Conn // for the addresses
	says     []byte
	left     int
	turn     chan struct{} // a token for each line that may be said
	other    chan struct{}
}

func (c *pingPong) Read(p []byte) (int, error) {
	if c.left == 0 {
		return 0, io.EOF
	}
	c.left--
	<-c.turn
	return copy(p, c.says), nil
}

func (c *pingPong) Write(p []byte) (int, error) {
	c.other <- struct{}{}
	return len(p), nil
}

func (c *pingPong) CloseWrite() error               { return nil }
func (c *pingPong) Close() error                    { return nil }
func (c *pingPong) SetReadDeadline(time.Time) error { return nil }

// BenchmarkExchange is an HTTP/1.1 exchange with a body of 1 KiB, without any
// system call: what a relay costs that looks at nothing, what looking adds, and
// what recording adds to that.
func BenchmarkExchange(b *testing.B) {
	const request = "GET /assets/app.js?v=3 HTTP/1.1\r\nHost: www.example.com\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\n" +
		"Accept: */*\r\nAccept-Encoding: gzip, deflate, br\r\nConnection: keep-alive\r\n\r\n"
	response := "HTTP/1.1 200 OK\r\nServer: nginx\r\nDate: Sun, 22 Nov 2026 12:00:00 GMT\r\nContent-Type: text/javascript\r\n" +
		"Content-Length: 1024\r\nCache-Control: max-age=60\r\n\r\n" + strings.Repeat("x", 1024)
	near, far := net.Pipe()
	defer near.Close()
	defer far.Close()

	run := func(b *testing.B, serve func(client, server net.Conn)) {
		toServer, toClient := make(chan struct{}, 1), make(chan struct{}, 1)
		client := &pingPong{Conn: near, says: []byte(request), left: b.N, turn: toClient, other: toServer}
		server := &pingPong{Conn: far, says: []byte(response), left: b.N, turn: toServer, other: toClient}
		client.other, server.other = toClient, toServer // what is written to an end gives the other end its turn
		client.turn, server.turn = toClient, toServer
		toClient <- struct{}{}
		b.ReportAllocs()
		b.ResetTimer()
		serve(client, server)
	}
	b.Run("relayed", func(b *testing.B) {
		run(b, func(client, server net.Conn) {
			sniff.Relay(context.Background(), client, server, nil, nil)
		})
	})
	b.Run("observed", func(b *testing.B) {
		run(b, func(client, server net.Conn) {
			new(proxy.Pipeline).Serve(context.Background(), client, server, proxy.Session{})
		})
	})
	b.Run("recorded", func(b *testing.B) {
		p := &proxy.Pipeline{Recorder: record.NewWriter(io.Discard)}
		run(b, func(client, server net.Conn) {
			p.Serve(context.Background(), client, server, proxy.Session{})
			p.Close(context.Background())
		})
	})
}
