package sniff

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/proxyglass/proxyglass/internal/leaktest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Endings pass on as they came. The peers of these tests are plain sockets,
// crypto/tls over them, or both: then the wire is looked at below TLS.

// reset ends c by a reset, and what it stands on with it.
func reset(t *testing.T, c net.Conn) {
	t.Helper()
	tcp := NewConn(c).transport().(*net.TCPConn)
	require.NoError(t, tcp.SetLinger(0))
	require.NoError(t, tcp.Close())
}

func write(t *testing.T, c net.Conn, s string) {
	t.Helper()
	_, err := io.WriteString(c, s)
	require.NoError(t, err)
}

// expect reads exactly s from c.
func expect(t *testing.T, c net.Conn, s string) {
	t.Helper()
	b := make([]byte, len(s))
	n, err := io.ReadFull(c, b)
	require.NoError(t, err, "after %q", b[:n])
	require.Equal(t, s, string(b))
}

// expectEnd reads the end of the stream from c, and nothing before it.
func expectEnd(t *testing.T, c net.Conn) {
	t.Helper()
	b, err := io.ReadAll(c)
	require.NoError(t, err)
	require.Empty(t, b)
}

func TestHalfClose(t *testing.T) {
	for _, tr := range transports() {
		t.Run(tr.name, func(t *testing.T) {
			leaktest.Check(t)
			client, server := tr.pairs(t)
			if isPipe(client) || isPipe(server) {
				t.Skip("cannot be half-closed")
			}
			for _, first := range []string{"client", "server"} {
				t.Run(first+" first", func(t *testing.T) {
					client, server := tr.pairs(t)
					one, other := client.peer, server.peer
					if first == "server" {
						one, other = other, one
					}
					done := relayed(t.Context(), client.ours, server.ours, nil, nil)
					write(t, one, "all I have to say")
					closeWrite(t, one)
					expect(t, other, "all I have to say")
					expectEnd(t, other)
					for range 3 { // the other direction goes on
						write(t, other, "and a long answer")
						expect(t, one, "and a long answer")
					}
					closeWrite(t, other)
					expectEnd(t, one)
					o := wait(t, done)
					assert.NoError(t, o.err)
					assert.NoError(t, o.Up.End)
					assert.NoError(t, o.Down.End)
				})
			}
		})
	}
}

// A reset of one side arrives as a reset at the other, behind all that was sent
// before it.
func TestReset(t *testing.T) {
	for _, tr := range transports() {
		client, _ := tr.pairs(t)
		if _, ok := NewConn(client.ours).transport().(*net.TCPConn); !ok || tr.name == "tcp-pipe" {
			continue
		}
		for _, who := range []string{"client", "server"} {
			t.Run(tr.name+"/"+who, func(t *testing.T) {
				leaktest.Check(t)
				client, server := tr.pairs(t)
				one, other := client.peer, server.peer
				if who == "server" {
					one, other = other, one
				}
				done := relayed(t.Context(), client.ours, server.ours, nil, nil)
				write(t, other, "hello")
				expect(t, one, "hello")
				write(t, one, "last words")
				expect(t, other, "last words")
				write(t, one, "more")
				time.Sleep(5 * time.Millisecond) // or the kernel itself drops them
				reset(t, one)
				b, err := io.ReadAll(other)
				assert.Equal(t, "more", string(b))
				assert.ErrorIs(t, err, syscall.ECONNRESET)
				o := wait(t, done)
				assert.ErrorIs(t, o.err, syscall.ECONNRESET)
			})
		}
	}
}

// The server answers early and closes with the request unread, which TCP turns
// into a reset: the client still gets the whole answer, then the reset.
func TestEarlyAnswerThenReset(t *testing.T) {
	for _, kind := range []string{"tcp", "tls13", "tls-plain", "plain-tls"} {
		for _, bulk := range []bool{false, true} {
			name := kind
			if bulk {
				name += "/in bulk"
			}
			t.Run(name, func(t *testing.T) {
				leaktest.Check(t)
				client, server := transportNamed(kind).pairs(t)
				answer := bytes.Repeat([]byte("413 "), 40_000)
				skip := func(r io.Reader) error { _, err := r.(*Reader).Skip(1 << 40); return err }
				done := relayed(t.Context(), client.ours, server.ours, skip, skip)
				sent := make(chan error, 1)
				go func() {
					var err error
					chunk := make([]byte, 64<<10)
					for range 2000 {
						if _, err = client.peer.Write(chunk); err != nil || !bulk {
							break
						}
					}
					sent <- err
				}()
				_, err := io.ReadFull(server.peer, make([]byte, 20_000))
				require.NoError(t, err)
				_, err = server.peer.Write(answer)
				require.NoError(t, err)
				time.Sleep(300 * time.Millisecond) // let the answer leave the server's kernel
				require.NoError(t, NewConn(server.peer).transport().Close())

				got, err := io.ReadAll(client.peer)
				assert.Equal(t, len(answer), len(got))
				// The client's kernel tells it once: by a Write or by a Read.
				assert.ErrorIs(t, errors.Join(err, <-sent), syscall.ECONNRESET)
				assert.Error(t, wait(t, done).err)
			})
		}
	}
}

func transportNamed(name string) transport {
	for _, tr := range transports() {
		if tr.name == name {
			return tr
		}
	}
	panic(name)
}

// A slow client gets the whole of an early answer too.
func TestEarlyAnswerToASlowClient(t *testing.T) {
	leaktest.Check(t)
	client, server := tcpPair(t), tcpPair(t)
	done := relayed(t.Context(), client.ours, server.ours, nil, nil)
	write(t, client.peer, "a request that nobody reads")
	answer := bytes.Repeat([]byte("early "), 200_000)
	_, err := server.peer.Write(answer)
	require.NoError(t, err)
	time.Sleep(50 * time.Millisecond)
	require.NoError(t, server.peer.Close())
	time.Sleep(1500 * time.Millisecond)
	got, err := io.ReadAll(client.peer)
	assert.Equal(t, len(answer), len(got))
	assert.ErrorIs(t, err, syscall.ECONNRESET)
	assert.Error(t, wait(t, done).err)
}

// noHalfClose hides CloseWrite.
type noHalfClose struct{ net.Conn }

func TestEndWithoutCloseWrite(t *testing.T) {
	for _, kind := range []string{"tcp", "tls13"} {
		t.Run(kind, func(t *testing.T) {
			leaktest.Check(t)
			client, server := transportNamed(kind).pairs(t)
			done := relayed(t.Context(), client.ours, noHalfClose{server.ours}, nil, nil)
			write(t, client.peer, "bye")
			closeWrite(t, client.peer)
			expect(t, server.peer, "bye")
			expectEnd(t, server.peer)
			expectEnd(t, client.peer)
			assert.NoError(t, wait(t, done).err)
		})
	}
}

// A connection that has died of a time-out of TCP's has not merely been slow.
func TestTimedOutConnectionIsNoDeadline(t *testing.T) {
	assert.False(t, isTimeout(&net.OpError{Op: "read", Err: syscall.ETIMEDOUT}))
	assert.True(t, isTimeout(errWouldBlock))
	assert.True(t, isTimeout(&net.OpError{Op: "read", Err: context.DeadlineExceeded}))
}

// refusing takes no more: its Write fails, its Read goes on.
type refusing struct{ net.Conn }

var errRefused = errors.New("refused")

func (refusing) Write([]byte) (int, error) { return 0, errRefused }

// After a failed write the other direction is carried on with, but not for ever
// where the connection does not know that it is over.
func TestDrainIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := pipePair(t), pipePair(t)
		done := relayed(t.Context(), client.ours, refusing{server.ours}, nil, nil)
		begin := time.Now()
		write(t, client.peer, "refused")
		for range 4 { // while something comes, it is let through
			time.Sleep(drainTime - time.Second)
			go io.WriteString(server.peer, "answer")
			expect(t, client.peer, "answer")
		}
		o := <-done
		assert.ErrorIs(t, o.err, errRefused)
		took := time.Since(begin)
		assert.True(t, took > 4*(drainTime-time.Second) && took < 7*drainTime, "%v", took)
		go io.WriteString(server.peer, "open") // Relay closes nothing of its own accord
		expect(t, server.ours, "open")
		client.peer.Close()
		server.peer.Close()
	})
}
