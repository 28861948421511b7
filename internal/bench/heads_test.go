package bench

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/proxyglass/proxyglass/proxy"
	"github.com/proxyglass/proxyglass/record"
	"github.com/proxyglass/proxyglass/sniff"
)

const (
	requestHead = "GET /assets/app.js?v=3 HTTP/1.1\r\nHost: www.example.com\r\n" +
		"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\nAccept: */*\r\n" +
		"Accept-Language: en-GB,en;q=0.5\r\nAccept-Encoding: gzip, deflate, br, zstd\r\nConnection: keep-alive\r\n" +
		"Cookie: session=5ad0c0a7f3b84e0b9d3c; theme=dark\r\nIf-None-Match: \"66f1c3a2-9d4\"\r\n\r\n"
	responseHead = "HTTP/1.1 304 Not Modified\r\nServer: nginx\r\nDate: Sun, 22 Nov 2026 16:18:39 GMT\r\n" +
		"Last-Modified: Fri, 20 Nov 2026 10:00:00 GMT\r\nConnection: keep-alive\r\nETag: \"66f1c3a2-9d4\"\r\n" +
		"Cache-Control: public, max-age=3600\r\nX-Request-Id: 0b6f0d5f1c9c4d6e\r\n\r\n"
)

// BenchmarkHTTP1Heads is an exchange without bodies, in memory: everything that
// observing it takes, up to the record that is handed over. "relay" is what the
// conversation takes that nobody observes, net/http what just parsing takes there.
func BenchmarkHTTP1Heads(b *testing.B) {
	b.Run("relay", func(b *testing.B) {
		converse(b, func(client, server net.Conn) {
			sniff.Relay(context.Background(), client, server, nil, nil)
		})
	})
	b.Run("observed", func(b *testing.B) {
		p := &proxy.Pipeline{Recorder: record.Discard()}
		converse(b, func(client, server net.Conn) {
			p.Serve(context.Background(), client, server, proxy.Session{})
		})
		b.StopTimer()
		p.Close(context.Background())
		require.GreaterOrEqual(b, p.Stats().Delivered, uint64(b.N))
	})
	b.Run("net-http", func(b *testing.B) {
		b.ReportAllocs()
		var requests, responses bytes.Reader
		up, down := bufio.NewReader(&requests), bufio.NewReader(&responses)
		for range b.N {
			requests.Reset([]byte(requestHead))
			responses.Reset([]byte(responseHead))
			request, err := http.ReadRequest(up)
			require.NoError(b, err)
			_, err = http.ReadResponse(down, request)
			require.NoError(b, err)
		}
	})
}

// converse has b.N exchanges pass, or a few more.
func converse(b *testing.B, relay func(client, server net.Conn)) {
	n := (b.N + inTurn - 1) / inTurn * inTurn
	near, far := net.Pipe()
	defer near.Close()
	defer far.Close()
	clientTurn, serverTurn := make(chan struct{}, 1), make(chan struct{}, 1)
	client := &talker{Conn: near, says: requestHead, left: n, turn: clientTurn, hears: len(responseHead)}
	server := &talker{Conn: far, says: responseHead, left: n, turn: serverTurn, hears: len(requestHead)}
	clientTurn <- struct{}{}
	b.ReportAllocs()
	b.ResetTimer()
	relay(client, server)
}

// inTurn is how many messages a talker says before the other has its turn: so
// many that the change between goroutines does not count.
const inTurn = 64

// A talker is one end of a conversation in memory. What is written to it, it
// hears; what it says is read from it.
type talker struct {
	net.Conn // for the addresses
	says     string
	left     int // messages to say
	said     int
	hears    int           // length of what it is told
	heard    int           // bytes, of this turn
	turn     chan struct{} // a token: it is its turn to speak
}

func (t *talker) Read(p []byte) (int, error) {
	if t.said%inTurn == 0 {
		<-t.turn
	}
	if t.left == 0 {
		return 0, io.EOF
	}
	t.said++
	t.left--
	return copy(p, t.says), nil
}

func (t *talker) Write(p []byte) (int, error) {
	t.heard += len(p)
	if t.heard >= inTurn*t.hears {
		t.heard = 0
		t.turn <- struct{}{}
	}
	return len(p), nil
}

func (t *talker) CloseWrite() error {
	select {
	case t.turn <- struct{}{}: // nothing more will come
	default:
	}
	return nil
}

func (t *talker) Close() error                     { return nil }
func (t *talker) SetDeadline(time.Time) error      { return nil }
func (t *talker) SetReadDeadline(time.Time) error  { return nil }
func (t *talker) SetWriteDeadline(time.Time) error { return nil }
