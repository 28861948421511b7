package mitm_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/proxyglass/proxyglass/internal/tcptest"
	"github.com/proxyglass/proxyglass/mitm"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const host = "www.example.com"

// The origin's side fails, and the client can be told: its handshake is
// complete, and the error is one plain line.
func TestTerminateOriginFails(t *testing.T) {
	clientAuth := func(cfg *tls.Config) {
		cfg.ClientAuth = tls.RequireAnyClientCert
		cfg.MaxVersion = tls.VersionTLS12 // with 1.3 it comes after the handshake
	}
	cases := []struct {
		name   string
		cert   func(*x509.Certificate)
		origin func(*tls.Config)
		host   string
		noSNI  bool
		want   string
	}{
		{name: "expired", cert: func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }, want: "the certificate has expired (on "},
		{name: "not yet valid", cert: func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Minute) }, want: "the certificate is not valid before "},
		{name: "wrong host", cert: func(c *x509.Certificate) { c.DNSNames = []string{"a.example", "b.example"} }, want: "the certificate is for a.example, b.example, not for www.example.com"},
		{name: "wrong host, no SNI", noSNI: true, cert: func(c *x509.Certificate) { c.DNSNames = []string{"a.example"} }, want: "the certificate is for a.example, not for www.example.com"},
		{name: "wrong address, no SNI", noSNI: true, host: "192.0.2.9", want: "not for 192.0.2.9"},
		{name: "expired, no SNI", noSNI: true, cert: func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }, want: "the certificate has expired (on "},
		{name: "untrusted", origin: func(cfg *tls.Config) {
			cfg.Certificates = []tls.Certificate{newRig(t).originCert(host, nil)}
		}, want: "the certificate is signed by an unknown authority (CN=Origins)"},
		{name: "a client certificate is required", origin: clientAuth, want: "it sent the alert: "},
		{name: "no common protocol", origin: func(cfg *tls.Config) { cfg.NextProtos = []string{"x"} }, want: "it sent the alert: no application protocol"},
		{name: "versions too old", origin: func(cfg *tls.Config) { cfg.MaxVersion = tls.VersionTLS11; cfg.MinVersion = tls.VersionTLS10 }, want: "it sent the alert: protocol version not supported"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t)
			originCfg := &tls.Config{Certificates: []tls.Certificate{r.originCert(host, c.cert)}, NextProtos: []string{"http/1.1"}}
			if c.origin != nil {
				c.origin(originCfg)
			}
			target := host
			if c.host != "" {
				target = c.host
			}
			clientCfg := r.clientTo(host, "h2", "http/1.1")
			if c.noSNI {
				clientCfg = withoutSNI(clientCfg)
			}
			o := r.run(t, t.Context(), target, clientCfg, originCfg)
			requireOriginFailed(t, o, target, c.want)
			assert.Equal(t, "http/1.1", o.client.ConnectionState().NegotiatedProtocol)
			go io.WriteString(o.opened.Client, "502")
			b := make([]byte, 3)
			_, err := io.ReadFull(o.client, b)
			require.NoError(t, err)
			assert.Equal(t, "502", string(b))
		})
	}
}

func requireOriginFailed(t testing.TB, o *outcome, host, want string) {
	t.Helper()
	var failed *mitm.HandshakeError
	require.ErrorAs(t, o.err, &failed)
	require.Equal(t, mitm.SideServer, failed.Side, "%v", o.err)
	assert.Equal(t, host, failed.Host)
	assert.Contains(t, o.err.Error(), want)
	assert.NotContains(t, o.err.Error(), "\n")
	require.NotNil(t, o.opened)
	require.NoError(t, o.clientErr)
	assert.Nil(t, o.opened.Server)
	assert.True(t, o.opened.Client.ConnectionState().HandshakeComplete)
}

func TestTerminateOriginIsNoTLSServer(t *testing.T) {
	cases := []struct {
		name, want string
		origin     func(net.Conn) (*tls.Conn, error)
	}{
		{"closes early", "the connection was closed before the handshake was complete", func(c net.Conn) (*tls.Conn, error) {
			io.ReadAtLeast(c, make([]byte, 4096), 1)
			return nil, c.(*net.TCPConn).CloseWrite()
		}},
		{"resets", "connection reset by peer", func(c net.Conn) (*tls.Conn, error) {
			io.ReadAtLeast(c, make([]byte, 4096), 1)
			c.(*net.TCPConn).SetLinger(0)
			return nil, c.Close()
		}},
		{"speaks something else", "what came is not TLS", func(c net.Conn) (*tls.Conn, error) {
			_, err := io.WriteString(c, "220 mail.example.com ESMTP\r\n")
			return nil, err
		}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t)
			o := r.runWith(t, t.Context(), host, r.clientTo(host), c.origin)
			requireOriginFailed(t, o, host, c.want)
			assert.Empty(t, o.client.ConnectionState().NegotiatedProtocol)
		})
	}
}

func TestTerminateClientFails(t *testing.T) {
	originOf := func(r *rig) *tls.Config {
		return &tls.Config{Certificates: []tls.Certificate{r.originCert(host, nil)}}
	}
	requireClientFailed := func(t *testing.T, o *outcome, want string) {
		t.Helper()
		var failed *mitm.HandshakeError
		require.ErrorAs(t, o.err, &failed)
		assert.Equal(t, mitm.SideClient, failed.Side)
		assert.Contains(t, o.err.Error(), want)
		assert.Nil(t, o.opened)
	}
	t.Run("does not trust", func(t *testing.T) {
		r := newRig(t)
		clientCfg := r.clientTo(host)
		clientCfg.RootCAs = pool(r.origin.Certificate)
		o := r.run(t, t.Context(), host, clientCfg, originOf(r))
		requireClientFailed(t, o, "it sent the alert: bad certificate (perhaps it does not trust the authority)")
		assert.Error(t, o.clientErr)
	})
	t.Run("neither side", func(t *testing.T) {
		r := newRig(t)
		clientCfg := r.clientTo(host)
		clientCfg.RootCAs = pool(r.origin.Certificate)
		o := r.run(t, t.Context(), host, clientCfg, originOf(newRig(t)))
		requireClientFailed(t, o, "the alert: bad certificate")
		assert.Contains(t, o.err.Error(), "with the origin: the certificate is signed by an unknown authority")
	})
	t.Run("a name that cannot be in a certificate", func(t *testing.T) {
		r := newRig(t)
		clientCfg := r.clientTo("*.example.com")
		o := r.run(t, t.Context(), host, clientCfg, &tls.Config{Certificates: []tls.Certificate{r.originCert("*.example.com", nil)}})
		requireClientFailed(t, o, "not a DNS name or an IP address")
	})
	t.Run("only h2", func(t *testing.T) {
		r := newRig(t)
		asked := false
		o := r.runWith(t, t.Context(), host, r.clientTo(host, "h2"), func(c net.Conn) (*tls.Conn, error) {
			n, _ := c.Read(make([]byte, 1))
			asked = n > 0
			return nil, nil
		})
		requireClientFailed(t, o, "no protocol that the client offers (ALPN) can be opened")
		assert.ErrorIs(t, o.err, mitm.ErrNoProtocol)
		assert.ErrorContains(t, o.clientErr, "no application protocol")
		assert.False(t, asked, "nothing is sent to the origin")
	})
	t.Run("ctx ends", func(t *testing.T) {
		r := newRig(t)
		ctx, cancel := context.WithCancel(t.Context())
		o := r.runWith(t, ctx, host, r.clientTo(host), func(c net.Conn) (*tls.Conn, error) {
			c.Read(make([]byte, 1))
			cancel()
			_, err := io.Copy(io.Discard, c)
			return nil, err
		})
		require.ErrorIs(t, o.err, context.Canceled)
		assert.Nil(t, o.opened)
	})
	t.Run("goes away", func(t *testing.T) {
		r := newRig(t)
		c, clientSide := tcptest.Pair(t)
		serverSide, _ := tcptest.Pair(t)
		c.Close()
		_, err := r.term.Terminate(t.Context(), clientSide, serverSide, host)
		requireClientFailed(t, &outcome{err: err}, "closed before the handshake was complete")
	})
}

// What is written at once goes out as one record, on both sides, from the
// first byte on.
func TestTerminateOneWriteOneRecord(t *testing.T) {
	r := newRig(t)
	o := r.run(t, t.Context(), host, r.clientTo(host), &tls.Config{Certificates: []tls.Certificate{r.originCert(host, nil)}})
	require.NoError(t, o.err)
	o.requireThrough(t)
	for _, hop := range [][2]net.Conn{{o.opened.Client, o.client}, {o.opened.Server, o.origin}} {
		go hop[0].Write(make([]byte, 16<<10))
		raw := hop[1].(*tls.Conn).NetConn()
		header := make([]byte, 5)
		_, err := io.ReadFull(raw, header)
		require.NoError(t, err)
		assert.Greater(t, int(header[3])<<8|int(header[4]), 16<<10)
	}
}

// One Terminator, many at once.
func TestTerminateConcurrently(t *testing.T) {
	r := newRig(t)
	originCfg := &tls.Config{Certificates: []tls.Certificate{r.originCert(host, nil)}, NextProtos: []string{"http/1.1", "x"}}
	var wg sync.WaitGroup
	for i := range 24 {
		wg.Go(func() {
			offers := [][]string{nil, {"http/1.1"}, {"x", "h2"}}
			o := r.run(t, t.Context(), host, r.clientTo(host, offers[i%3]...), originCfg)
			if assert.NoError(t, o.err) && assert.NoError(t, o.clientErr) {
				assert.Equal(t, []string{"", "http/1.1", "x"}[i%3], o.client.ConnectionState().NegotiatedProtocol)
			}
		})
	}
	wg.Wait()
}

// An origin that says nothing is given up in time to tell the client.
func TestTerminateTimesOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.pipe = true
		start := time.Now()
		o := r.runWith(t, t.Context(), host, r.clientTo(host), func(c net.Conn) (*tls.Conn, error) {
			_, err := io.Copy(io.Discard, c) // until the Terminator gives up
			return nil, err
		})
		requireOriginFailed(t, o, host, "timed out")
		assert.Equal(t, 8*time.Second, time.Since(start))
		assert.Equal(t, 8*time.Second, o.opened.ServerHandshake)
		assert.Zero(t, o.opened.ClientHandshake)
	})
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		_, clientSide := pipePair(t) // a client that says nothing
		serverSide, _ := pipePair(t)
		start := time.Now()
		opened, err := r.term.Terminate(t.Context(), clientSide, serverSide, host)
		assert.Nil(t, opened)
		assert.EqualError(t, err, "mitm: TLS handshake with the client of www.example.com: timed out")
		assert.Equal(t, 10*time.Second, time.Since(start))
	})
}

// No deadline and no goroutine is left, and what waits long may wait long.
func TestTerminateLeavesNoDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.pipe = true
		ctx, cancel := context.WithCancel(t.Context())
		o := r.run(t, ctx, host, r.clientTo(host), &tls.Config{
			Certificates: []tls.Certificate{r.originCert(host, nil)},
			// A pipe has no buffer for a ticket that nobody reads yet.
			SessionTicketsDisabled: true,
		})
		require.NoError(t, o.err)
		cancel()
		time.Sleep(24 * time.Hour)
		o.requireThrough(t)
	})
}

// A client that knows old versions only is served, and no other is brought to
// use them.
func TestTerminateOldClient(t *testing.T) {
	r := newRig(t)
	for _, c := range []struct{ most, want uint16 }{{tls.VersionTLS10, tls.VersionTLS10}, {0, tls.VersionTLS13}} {
		clientCfg := r.clientTo(host)
		clientCfg.MinVersion, clientCfg.MaxVersion = tls.VersionTLS10, c.most
		o := r.run(t, t.Context(), host, clientCfg, &tls.Config{Certificates: []tls.Certificate{r.originCert(host, nil)}})
		require.NoError(t, o.err)
		assert.Equal(t, c.want, o.client.ConnectionState().Version)
		assert.EqualValues(t, tls.VersionTLS13, o.opened.ServerState.Version)
	}
}

func TestTerminateWithoutIssuer(t *testing.T) {
	_, err := new(mitm.Terminator).Terminate(t.Context(), nil, nil, host)
	assert.EqualError(t, err, "mitm: Terminator.Issuer is nil")
}
