package mitm_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"net"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/proxyglass/proxyglass/internal/tcptest"
)

// buffered is a connection whose first bytes were peeked at.
type buffered struct {
	net.Conn
	head []byte
}

func (b *buffered) Peek(n int) ([]byte, error) { return b.head[:n], nil }
func (b *buffered) Buffered() int              { return len(b.head) }
func (b *buffered) Read(p []byte) (int, error) {
	if len(b.head) > 0 {
		n := copy(p, b.head)
		clear(b.head[:n]) // as a buffer that is used again
		b.head = b.head[n:]
		return n, nil
	}
	return b.Conn.Read(p)
}

func TestTerminateHandshakeHook(t *testing.T) {
	for _, peeked := range []bool{false, true} {
		r := newRig(t)
		var sent, given []byte
		r.term.Handshake = func(ctx context.Context, server net.Conn, cfg *tls.Config, hello []byte) (net.Conn, tls.ConnectionState, error) {
			given = hello
			c := tls.Client(server, cfg)
			err := c.HandshakeContext(ctx)
			return c, c.ConnectionState(), err
		}
		c, clientSide := tcptest.Pair(t)
		serverSide, s := tcptest.Pair(t)
		tap := &writeTap{Conn: c}
		client := tls.Client(tap, r.clientTo(host, "http/1.1"))
		go client.Handshake()
		go tls.Server(s, &tls.Config{Certificates: []tls.Certificate{r.originCert(host, nil)}}).Handshake()
		under := clientSide
		if peeked {
			head := make([]byte, 32<<10)
			n, err := clientSide.Read(head)
			require.NoError(t, err)
			under = &buffered{clientSide, head[:n]}
		}
		opened, err := r.term.Terminate(t.Context(), under, serverSide, host)
		require.NoError(t, err)
		require.NoError(t, client.Handshake())
		sent = tap.first
		assert.Equal(t, sent, given)
		if peeked {
			assert.Same(t, under, opened.Client.NetConn())
		} else {
			below := opened.Client.NetConn().(interface{ NetConn() net.Conn }).NetConn()
			assert.Same(t, under, below)
		}
	}
}

type writeTap struct {
	net.Conn
	first []byte
}

func (w *writeTap) Write(p []byte) (int, error) {
	if w.first == nil {
		w.first = bytes.Clone(p)
	}
	return w.Conn.Write(p)
}

// A hook that does not verify does not get away with it.
func TestTerminateHandshakeHookIsVerified(t *testing.T) {
	cases := map[string]struct {
		hook func(*tls.Conn) (net.Conn, tls.ConnectionState, error)
		want string
	}{
		"not verified":  {func(c *tls.Conn) (net.Conn, tls.ConnectionState, error) { return c, c.ConnectionState(), nil }, "unknown authority"},
		"no state":      {func(c *tls.Conn) (net.Conn, tls.ConnectionState, error) { return c, tls.ConnectionState{}, nil }, "sent no certificate"},
		"no connection": {func(c *tls.Conn) (net.Conn, tls.ConnectionState, error) { return nil, c.ConnectionState(), nil }, "returned no connection"},
		"panics":        {func(c *tls.Conn) (net.Conn, tls.ConnectionState, error) { panic("a hook") }, "a hook"},
		"not offered": {func(c *tls.Conn) (net.Conn, tls.ConnectionState, error) {
			return c, tls.ConnectionState{NegotiatedProtocol: "h2"}, nil
		}, "was not offered"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.term.Handshake = func(ctx context.Context, server net.Conn, cfg *tls.Config, _ []byte) (net.Conn, tls.ConnectionState, error) {
				cfg.InsecureSkipVerify = true
				conn := tls.Client(server, cfg)
				if err := conn.HandshakeContext(ctx); err != nil {
					return nil, tls.ConnectionState{}, err
				}
				return c.hook(conn)
			}
			o := r.run(t, t.Context(), host, r.clientTo(host), &tls.Config{Certificates: []tls.Certificate{newRig(t).originCert(host, nil)}})
			requireOriginFailed(t, o, host, c.want)
		})
	}
}
