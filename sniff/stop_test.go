package sniff

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/proxyglass/proxyglass/internal/leaktest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Stop: a parser ends the relay at a boundary, nothing is lost on either side,
// and both connections go on to the next layer.

// stopBehind consumes up to and including mark, then stops.
func stopBehind(mark string) Parser {
	return func(r io.Reader) error {
		src := r.(*Reader)
		for {
			b, err := src.Next()
			if err != nil {
				return err
			}
			if i := bytes.Index(b, []byte(mark)); i >= 0 {
				src.Advance(i + len(mark))
				return Stop
			}
			src.Advance(len(b))
		}
	}
}

// readOn reads all there is, and returns what ended that.
func readOn(r io.Reader) error {
	_, err := io.Copy(io.Discard, struct{ io.Reader }{r})
	return err
}

func TestStopKeepsWhatIsBehindIt(t *testing.T) {
	for _, tr := range transports() {
		t.Run(tr.name, func(t *testing.T) {
			leaktest.Check(t)
			client, server := tr.pairs(t)
			c, s := NewConn(client.ours), NewConn(server.ours)
			go io.WriteString(client.peer, "first layer.second layer")
			done := relayed(t.Context(), c, s, stopBehind("."), readOn)
			expect(t, server.peer, "first layer.")
			o := wait(t, done)
			require.NoError(t, o.err)
			assert.NoError(t, o.Up.Parser)
			assert.NoError(t, o.Down.Parser, "an interruption is no failure of the parser")
			assert.EqualValues(t, 12, o.Up.Bytes)

			done = relayed(t.Context(), c, s, nil, nil)
			expect(t, server.peer, "second layer")
			go io.WriteString(server.peer, "answer")
			expect(t, client.peer, "answer")
			go io.WriteString(client.peer, "more")
			expect(t, server.peer, "more")
			client.peer.Close()
			io.Copy(io.Discard, server.peer)
			server.peer.Close()
			wait(t, done)
		})
	}
}

// What the other direction is busy with when it is interrupted.
func TestStopWhileTheOtherDirection(t *testing.T) {
	stop := stopBehind(".")
	for _, kind := range []string{"tcp", "unix", "tls13", "tls12", "tls-plain", "plain-tls"} {
		big := bytes.Repeat([]byte("0123456789abcdef"), 1<<20)
		t.Run(kind+"/writes", func(t *testing.T) { // to a client that does not read yet
			leaktest.Check(t)
			client, server := transportNamed(kind).pairs(t)
			c, s := NewConn(client.ours), NewConn(server.ours)
			down := func(r io.Reader) error { _, err := r.(*Reader).Skip(-1); return err }
			done := relayed(t.Context(), c, s, stop, down)
			go server.peer.Write(big)
			time.Sleep(30 * time.Millisecond)
			write(t, client.peer, "stop here.")
			expect(t, server.peer, "stop here.")
			time.Sleep(10 * time.Millisecond)
			var got bytes.Buffer
			for chunk := make([]byte, 300_000); ; {
				n, _ := client.peer.Read(chunk)
				got.Write(chunk[:n])
				select {
				case o := <-done:
					require.NoError(t, o.err)
				default:
					continue
				}
				break
			}
			go func() {
				io.Copy(struct{ io.Writer }{c}, struct{ io.Reader }{s})
				closeWrite(t, c)
			}()
			rest := make([]byte, len(big)-got.Len())
			_, err := io.ReadFull(client.peer, rest)
			require.NoError(t, err)
			assert.True(t, bytes.Equal(big, append(got.Bytes(), rest...)))
			closeWrite(t, server.peer)
			expectEnd(t, client.peer)
		})
		t.Run(kind+"/holds", func(t *testing.T) {
			leaktest.Check(t)
			client, server := transportNamed(kind).pairs(t)
			c, s := NewConn(client.ours), NewConn(server.ours)
			down := func(r io.Reader) error {
				src := r.(*Reader)
				for len(src.Held()) < 8 {
					if _, err := src.More(100); err != nil {
						return err
					}
				}
				src.Advance(3)
				_, err := src.More(100)
				return err
			}
			done := relayed(t.Context(), c, s, stop, down)
			write(t, server.peer, "greeting")
			expect(t, client.peer, "gre")
			write(t, client.peer, "stop here.")
			expect(t, server.peer, "stop here.")
			o := wait(t, done)
			require.NoError(t, o.err)
			assert.EqualValues(t, 3, o.Down.Bytes)
			expect(t, s, "eting")
		})
	}
}

// The next layer may be TLS, on both sides.
func TestStopThenTLS(t *testing.T) {
	leaktest.Check(t)
	client, server := tcpPair(t), tcpPair(t)
	c, s := NewConn(client.ours), NewConn(server.ours)
	hello := tls.Client(client.peer, clientConfig(tls.VersionTLS13))
	origin := tls.Server(server.peer, serverConfig(tls.VersionTLS13))
	errs := make(chan error, 2)
	go func() { errs <- hello.Handshake() }()
	atHello := func(r io.Reader) error {
		if b, err := r.(*Reader).Next(); err != nil || b[0] != 0x16 {
			return errors.Join(err, errors.New("no ClientHello"))
		}
		return Stop
	}
	o := wait(t, relayed(t.Context(), c, s, atHello, readOn))
	require.NoError(t, o.err)
	assert.Zero(t, o.Up.Bytes)

	go func() { errs <- origin.Handshake() }()
	up, down := tls.Client(s, clientConfig(tls.VersionTLS13)), tls.Server(c, serverConfig(tls.VersionTLS13))
	require.NoError(t, up.Handshake())
	require.NoError(t, down.Handshake())
	require.NoError(t, <-errs)
	require.NoError(t, <-errs)
	done := relayed(t.Context(), down, up, nil, nil)
	write(t, hello, "inside")
	expect(t, origin, "inside")
	require.NoError(t, hello.Close())
	expectEnd(t, origin)
	origin.Close()
	wait(t, done)
}

// The end of a stream that had been read when the relay was stopped is met
// again by the next reader.
func TestStopKeepsTheEnd(t *testing.T) {
	client, server := tcpPair(t), tcpPair(t)
	c, s := NewConn(client.ours), NewConn(server.ours)
	atEnd := func(r io.Reader) error {
		src := r.(*Reader)
		for {
			if _, err := src.More(1000); err != nil {
				src.Advance(2)
				return Stop
			}
		}
	}
	write(t, client.peer, "to the end")
	require.NoError(t, client.peer.Close())
	o := wait(t, relayed(t.Context(), c, s, atEnd, nil))
	require.NoError(t, o.err)
	expect(t, server.peer, "to")
	b, err := io.ReadAll(c)
	assert.NoError(t, err)
	assert.Equal(t, " the end", string(b))
}

// Both directions flow while one of them stops, at any moment.
func TestStopAtAnyMoment(t *testing.T) {
	leaktest.Check(t)
	runs := 1000
	if testing.Short() {
		runs = 100
	}
	for _, kind := range []string{"tcp", "pipe", "tls13"} {
		client, server := transportNamed(kind).pairs(t)
		c, s := NewConn(client.ours), NewConn(server.ours)
		gotUp, gotDown := make(chan string, 1), make(chan string, 1)
		total := runs
		if kind != "tcp" {
			total /= 4
		}
		var want strings.Builder
		for i := range total {
			want.WriteString(strings.Repeat("x", i%37) + ".")
		}
		read := func(from net.Conn, to chan<- string) {
			b := make([]byte, want.Len())
			n, _ := io.ReadFull(from, b)
			to <- string(b[:n])
		}
		send := func(to net.Conn, seed uint64) {
			rng := rand.New(rand.NewPCG(seed, 0))
			for b := want.String(); b != ""; {
				n := min(len(b), 1+rng.IntN(60))
				if _, err := io.WriteString(to, b[:n]); err != nil {
					return
				}
				b = b[n:]
			}
		}
		go read(server.peer, gotUp)
		go read(client.peer, gotDown)
		go send(client.peer, 1)
		go send(server.peer, 2)
		for range total {
			o := wait(t, relayed(t.Context(), c, s, stopBehind("."), readOn))
			require.NoError(t, o.err)
		}
		done := relayed(t.Context(), c, s, nil, nil)
		assert.Equal(t, want.String(), <-gotUp, kind)
		assert.Equal(t, want.String(), <-gotDown, kind)
		client.peer.Close()
		io.Copy(io.Discard, server.peer)
		server.peer.Close()
		wait(t, done)
		c.Close()
		s.Close()
	}
}
