package sniff

import (
	"bytes"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/proxyglass/proxyglass/internal/leaktest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/nettest"
)

// peeking looks ahead before every Read, by more than is asked for.
type peeking struct{ *Conn }

func (p peeking) Read(b []byte) (int, error) {
	if len(b) > 0 {
		if _, err := p.Peek(1); isTimeout(err) {
			return 0, err
		}
	}
	return p.Conn.Read(b)
}

func TestConnIsANetConn(t *testing.T) {
	over := func(make func(testing.TB) pair, wrap func(net.Conn) net.Conn) nettest.MakePipe {
		return func() (net.Conn, net.Conn, func(), error) {
			p := make(t)
			c1, c2 := wrap(p.peer), wrap(p.ours)
			return c1, c2, func() { c1.Close(); c2.Close() }, nil
		}
	}
	asConn := func(c net.Conn) net.Conn { return NewConn(c) }
	asPeeking := func(c net.Conn) net.Conn { return peeking{NewConn(c)} }
	t.Run("tcp", func(t *testing.T) { nettest.TestConn(t, over(tcpPair, asConn)) })
	t.Run("pipe", func(t *testing.T) { nettest.TestConn(t, over(pipePair, asConn)) })
	t.Run("tcp, peeked", func(t *testing.T) { nettest.TestConn(t, over(tcpPair, asPeeking)) })
	t.Run("pipe, peeked", func(t *testing.T) { nettest.TestConn(t, over(pipePair, asPeeking)) })
}

// Two connections joined by Relay are one connection to their peers. (Not so
// with TLS, which after a Write's time-out is of no further use.)
func TestRelayIsANetConn(t *testing.T) {
	for _, tr := range transports() {
		if tr.name != "tcp" && tr.name != "pipe" && tr.name != "unix" {
			continue
		}
		t.Run(tr.name, func(t *testing.T) {
			nettest.TestConn(t, func() (c1, c2 net.Conn, stop func(), err error) {
				client, server := tr.pairs(t)
				done := relayed(t.Context(), client.ours, server.ours, readOn, nil)
				return client.peer, server.peer, func() {
					client.peer.Close()
					server.peer.Close()
					wait(t, done)
				}, nil
			})
		})
	}
}

func TestNewConnDoesNotWrapTwice(t *testing.T) {
	c := NewConn(pipePair(t).ours)
	assert.Same(t, c, NewConn(c))
}

func TestPeek(t *testing.T) {
	p := tcpPair(t)
	c := NewConn(p.ours)
	assert.Zero(t, c.Buffered())
	write(t, p.peer, "hello, world")
	for _, n := range []int{5, 1, 12, 0, -1} {
		b, err := c.Peek(n)
		require.NoError(t, err)
		assert.Equal(t, "hello, world"[:max(n, 0)], string(b))
	}
	expect(t, c, "hel")
	assert.Equal(t, 9, c.Buffered())

	require.NoError(t, c.SetReadDeadline(time.Now().Add(5*time.Millisecond)))
	b, err := c.Peek(100)
	assert.ErrorIs(t, err, os.ErrDeadlineExceeded)
	assert.Equal(t, "lo, world", string(b))
	require.NoError(t, c.SetReadDeadline(time.Time{}))

	long := strings.Repeat("long", 5000)
	write(t, p.peer, long)
	closeWrite(t, p.peer)
	b, err = c.Peek(1 << 20)
	assert.Equal(t, io.EOF, err)
	assert.Equal(t, "lo, world"+long, string(b))
	assert.False(t, c.eof.Load(), "the end has not been read yet")
	expect(t, c, "lo, world"+long)
	expectEnd(t, c)
	assert.True(t, c.eof.Load())
}

func TestPutBack(t *testing.T) {
	p := pipePair(t)
	c := NewConn(p.ours)
	b := []byte("second")
	c.putBack(b, nil)
	copy(b, "XXXXXX")
	c.putBack([]byte("first "), io.EOF)
	got, err := io.ReadAll(c)
	assert.NoError(t, err)
	assert.Equal(t, "first second", string(got))
}

func TestTapSeesWhatIsRead(t *testing.T) {
	p := tcpPair(t)
	c := NewConn(p.ours)
	var seen bytes.Buffer
	c.Tap(func(b []byte) { seen.Write(b) })
	write(t, p.peer, "peeked and read")
	_, err := c.Peek(6)
	require.NoError(t, err)
	expect(t, c, "peeked and read")
	assert.Equal(t, "peeked and read", seen.String(), "once, whoever reads")

	server := tcpPair(t)
	big := bytes.Repeat([]byte("tapped "), 100_000)
	done := relayed(t.Context(), c, server.ours, func(r io.Reader) error { _, err := r.(*Reader).Skip(-1); return err }, nil)
	go func() {
		p.peer.Write(big)
		closeWrite(t, p.peer)
	}()
	got, err := io.ReadAll(server.peer)
	require.NoError(t, err)
	assert.True(t, bytes.Equal(big, got))
	assert.Equal(t, 15+len(big), seen.Len(), "in bulk too")
	server.peer.Close()
	wait(t, done)
}

func TestWriteTo(t *testing.T) {
	for _, kind := range []string{"tcp", "pipe", "tls13"} {
		t.Run(kind, func(t *testing.T) {
			leaktest.Check(t)
			from, to := transportNamed(kind).pairs(t)
			c := NewConn(from.ours)
			c.putBack([]byte("put back, "), nil)
			go func() {
				io.WriteString(from.peer, "then sent")
				from.peer.Close()
			}()
			n := make(chan int64, 1)
			go func() {
				m, err := io.Copy(NewConn(to.ours), c)
				assert.NoError(t, err)
				n <- m
				to.ours.Close()
			}()
			got, err := io.ReadAll(to.peer)
			require.NoError(t, err)
			assert.Equal(t, "put back, then sent", string(got))
			assert.EqualValues(t, len(got), <-n)
		})
	}
}
