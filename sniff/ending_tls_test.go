package sniff

import (
	"crypto/tls"
	"io"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/proxyglass/proxyglass/internal/leaktest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The endings of TLS, looked at on the wire below it.

// A wire tells how a TLS stream ended below it.
type wire struct {
	net.Conn
	last byte // the content type of the last record read
	buf  []byte
	eof  bool
	n    int // application data records
}

func (w *wire) Read(p []byte) (int, error) {
	n, err := w.Conn.Read(p)
	w.buf = append(w.buf, p[:n]...)
	for len(w.buf) >= 5 {
		size := 5 + int(w.buf[3])<<8 + int(w.buf[4])
		if len(w.buf) < size {
			break
		}
		if w.last = w.buf[0]; w.last == 23 {
			w.n++
		}
		w.buf = w.buf[size:]
	}
	w.eof = w.eof || err == io.EOF
	return n, err
}

func (w *wire) NetConn() net.Conn { return w.Conn }

// overWire is overTLS with a wire below the peer's TLS.
func overWire(t *testing.T, version uint16, weServe bool) (pair, *wire) {
	p := tcpPair(t)
	w := &wire{Conn: p.peer}
	p.peer = w
	return overTLS(t, p, version, weServe), w
}

func TestTLSEndings(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		t.Run(tls.VersionName(version), func(t *testing.T) {
			t.Run("close_notify alone", func(t *testing.T) {
				leaktest.Check(t)
				client, _ := overWire(t, version, true)
				server, w := overWire(t, version, false)
				done := relayed(t.Context(), client.ours, server.ours, nil, nil)
				write(t, client.peer, "bye")
				closeWrite(t, client.peer)
				expect(t, server.peer, "bye")
				expectEnd(t, server.peer)
				assert.False(t, w.eof, "the transport has not ended")
				write(t, server.peer, "answer")
				expect(t, client.peer, "answer")
				closeWrite(t, server.peer)
				expectEnd(t, client.peer)
				assert.NoError(t, wait(t, done).err)
			})
			t.Run("close_notify and FIN", func(t *testing.T) {
				leaktest.Check(t)
				client, _ := overWire(t, version, true)
				server, w := overWire(t, version, false)
				done := relayed(t.Context(), client.ours, server.ours, nil, nil)
				write(t, client.peer, "bye")
				require.NoError(t, client.peer.Close())
				expect(t, server.peer, "bye")
				expectEnd(t, server.peer)
				w.SetReadDeadline(time.Now().Add(5 * time.Second))
				n, err := w.Read(make([]byte, 1))
				assert.Zero(t, n)
				assert.Equal(t, io.EOF, err)
				server.peer.Close()
				o := wait(t, done)
				assert.NoError(t, o.Up.End)
			})
			t.Run("cut", func(t *testing.T) {
				leaktest.Check(t)
				client, _ := overWire(t, version, true)
				server, w := overWire(t, version, false)
				done := relayed(t.Context(), client.ours, server.ours, nil, nil)
				write(t, client.peer, "bye")
				require.NoError(t, NewConn(client.peer).transport().(*net.TCPConn).CloseWrite())
				expect(t, server.peer, "bye")
				expectEnd(t, server.peer)
				assert.True(t, w.eof)
				assert.EqualValues(t, 23, w.last, "no alert before the end")
				write(t, server.peer, "answer") // the other direction goes on
				expect(t, client.peer, "answer")
				server.peer.Close()
				expectEnd(t, client.peer)
				o := wait(t, done)
				assert.ErrorIs(t, o.err, ErrCut)
				assert.Equal(t, ErrCut, o.Up.End)
				assert.NoError(t, o.Down.End)
			})
			t.Run("cut within a record", func(t *testing.T) {
				leaktest.Check(t)
				client, _ := overWire(t, version, true)
				server, w := overWire(t, version, false)
				done := relayed(t.Context(), client.ours, server.ours, nil, nil)
				write(t, client.peer, "bye")
				expect(t, server.peer, "bye")
				tcp := NewConn(client.peer).transport().(*net.TCPConn)
				tcp.Write([]byte{23, 3, 3, 1, 0, 'c', 'u', 't'})
				require.NoError(t, tcp.CloseWrite())
				expectEnd(t, server.peer)
				assert.True(t, w.eof)
				assert.EqualValues(t, 23, w.last)
				write(t, server.peer, "answer")
				expect(t, client.peer, "answer")
				server.peer.Close()
				o := wait(t, done)
				assert.Equal(t, ErrCut, o.Up.End)
			})
			t.Run("broken", func(t *testing.T) {
				leaktest.Check(t)
				client, _ := overWire(t, version, true)
				server, w := overWire(t, version, false)
				done := relayed(t.Context(), client.ours, server.ours, nil, nil)
				write(t, client.peer, "bye")
				expect(t, server.peer, "bye")
				NewConn(client.peer).transport().Write([]byte{23, 3, 3, 0, 32, 31: 0, 36: 0})
				_, err := io.ReadAll(server.peer)
				assert.True(t, err != nil || w.eof && w.last == 23, "an orderly end would be a lie: %v", err)
				o := wait(t, done)
				assert.Error(t, o.Up.End)
				assert.NotEqual(t, ErrCut, o.Up.End)
			})
		})
	}
}

func TestTLSOnOneSide(t *testing.T) {
	t.Run("close_notify becomes FIN", func(t *testing.T) {
		leaktest.Check(t)
		client, server := transportNamed("tls-plain").pairs(t)
		done := relayed(t.Context(), client.ours, server.ours, nil, nil)
		closeWrite(t, client.peer)
		expectEnd(t, server.peer)
		write(t, server.peer, "answer")
		expect(t, client.peer, "answer")
		closeWrite(t, server.peer)
		expectEnd(t, client.peer)
		assert.NoError(t, wait(t, done).err)
	})
	t.Run("cut becomes FIN, and is told", func(t *testing.T) {
		leaktest.Check(t)
		client, server := transportNamed("tls-plain").pairs(t)
		done := relayed(t.Context(), client.ours, server.ours, nil, nil)
		require.NoError(t, NewConn(client.peer).transport().Close())
		expectEnd(t, server.peer)
		server.peer.Close()
		assert.ErrorIs(t, wait(t, done).err, ErrCut)
	})
	t.Run("FIN becomes close_notify", func(t *testing.T) {
		leaktest.Check(t)
		client, server := tcpPair(t), pair{}
		server, w := overWire(t, tls.VersionTLS12, false) // whose alerts can be told by their type
		done := relayed(t.Context(), client.ours, server.ours, nil, nil)
		closeWrite(t, client.peer)
		expectEnd(t, server.peer)
		assert.EqualValues(t, 21, w.last)
		assert.False(t, w.eof)
		closeWrite(t, server.peer)
		expectEnd(t, client.peer)
		assert.NoError(t, wait(t, done).err)
	})
}

// TLS made over something else than a *Conn: its ends cannot be told apart, but
// a failure is still no orderly end.
func TestTLSOverForeignConn(t *testing.T) {
	leaktest.Check(t)
	client := tcpPair(t)
	raw := tcpPair(t)
	w := &wire{Conn: raw.peer}
	server := handshaken(t, tls.Server(w, serverConfig(tls.VersionTLS12)), tls.Client(raw.ours, clientConfig(tls.VersionTLS12)))
	done := relayed(t.Context(), client.ours, server.ours, nil, nil)
	write(t, client.peer, "bye")
	expect(t, server.peer, "bye")
	reset(t, client.peer)
	_, err := io.ReadAll(server.peer)
	assert.ErrorIs(t, err, syscall.ECONNRESET)
	assert.EqualValues(t, 23, w.last)
	assert.Error(t, wait(t, done).err)
}
