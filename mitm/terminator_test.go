package mitm_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/proxyglass/proxyglass/mitm"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const host = "www.example.com"

func TestTerminateMirrorsTheOrigin(t *testing.T) {
	cases := []struct {
		name        string
		client      []string // ALPN
		origin      []string
		wantOffered []string
		want        string
	}{
		{"both speak http/1.1", []string{"h2", "http/1.1"}, []string{"h2", "http/1.1"}, []string{"http/1.1"}, "http/1.1"},
		{"no ALPN at the client", nil, []string{"http/1.1"}, nil, ""},
		{"no ALPN at the origin", []string{"http/1.1", "http/1.0"}, nil, []string{"http/1.1", "http/1.0"}, ""},
		{"the origin prefers another", []string{"http/1.1", "http/1.0"}, []string{"http/1.0"}, []string{"http/1.1", "http/1.0"}, "http/1.0"},
		{"a protocol unknown here", []string{"acme-tls/1"}, []string{"acme-tls/1"}, []string{"acme-tls/1"}, "acme-tls/1"},
		{"order is kept", []string{"spdy/3", "h2", "x", "http/1.1"}, []string{"x"}, []string{"spdy/3", "x", "http/1.1"}, "x"},
	}
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, c := range cases {
			t.Run(tls.VersionName(version)+", "+c.name, func(t *testing.T) {
				r := newRig(t)
				var hello *tls.ClientHelloInfo
				originCfg := &tls.Config{
					Certificates: []tls.Certificate{r.originCert(host, nil)},
					NextProtos:   c.origin,
					MaxVersion:   version,
					GetConfigForClient: func(h *tls.ClientHelloInfo) (*tls.Config, error) {
						hello = h
						return nil, nil
					},
				}
				o := r.run(t, t.Context(), "192.0.2.1", r.clientTo(host, c.client...), originCfg)
				require.NoError(t, o.err)
				require.NoError(t, o.clientErr)
				assert.Equal(t, host, hello.ServerName)
				assert.Equal(t, c.wantOffered, hello.SupportedProtos)
				assert.Equal(t, c.want, o.client.ConnectionState().NegotiatedProtocol)
				assert.Equal(t, c.want, o.opened.ServerState.NegotiatedProtocol)
				assert.Equal(t, version, o.opened.ServerState.Version)
				assert.NotEmpty(t, o.opened.ServerState.VerifiedChains)
				assert.Equal(t, []string{host}, o.client.ConnectionState().PeerCertificates[0].DNSNames)
				assert.Same(t, o.clientSide, o.opened.Client.NetConn())
				assert.Same(t, o.serverSide, o.opened.Server.(*tls.Conn).NetConn())
				assert.Positive(t, o.opened.ServerHandshake)
				assert.Positive(t, o.opened.ClientHandshake)
				o.requireThrough(t)
			})
		}
	}
}

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

// With TLS 1.3 an origin that requires a client certificate says so after the
// handshake: the first Read names it.
func TestTerminateClientCertificate(t *testing.T) {
	r := newRig(t)
	originCfg := &tls.Config{Certificates: []tls.Certificate{r.originCert(host, nil)}, ClientAuth: tls.RequireAnyClientCert}
	o := r.run(t, t.Context(), host, r.clientTo(host), originCfg)
	require.NoError(t, o.err)
	_, err := o.opened.Server.Read(make([]byte, 1))
	assert.ErrorContains(t, err, "certificate required")

	r.term = &mitm.Terminator{Issuer: r.term.Issuer, Upstream: &tls.Config{
		RootCAs:      r.term.Upstream.RootCAs,
		Certificates: []tls.Certificate{r.originCert("client", nil)},
	}}
	o = r.run(t, t.Context(), host, r.clientTo(host), originCfg)
	require.NoError(t, o.err)
	o.requireThrough(t)
	assert.Equal(t, "client", o.origin.ConnectionState().PeerCertificates[0].Subject.CommonName)
}

// withoutSNI makes a client that sends no server name and takes what comes.
func withoutSNI(cfg *tls.Config) *tls.Config {
	cfg = cfg.Clone()
	cfg.ServerName, cfg.InsecureSkipVerify = "", true
	return cfg
}

func TestTerminateWithoutSNI(t *testing.T) {
	for _, target := range []string{"192.0.2.7", "2001:db8::7", "[2001:db8::7]", host, host + "."} {
		t.Run(target, func(t *testing.T) {
			r := newRig(t)
			name := strings.Trim(target, "[].")
			var sni string
			var verified, verifiedPeer int
			r.term.Upstream.VerifyConnection = func(s tls.ConnectionState) error {
				if len(s.VerifiedChains) > 0 {
					verified++
				}
				return nil
			}
			r.term.Upstream.VerifyPeerCertificate = func(raw [][]byte, chains [][]*x509.Certificate) error {
				if len(raw) > 0 && len(chains) > 0 {
					verifiedPeer++
				}
				return nil
			}
			originCfg := &tls.Config{Certificates: []tls.Certificate{r.originCert(name, nil)}}
			originCfg.GetConfigForClient = func(h *tls.ClientHelloInfo) (*tls.Config, error) {
				sni = h.ServerName
				return nil, nil
			}
			o := r.run(t, t.Context(), target, withoutSNI(r.clientTo("")), originCfg)
			require.NoError(t, o.err)
			assert.Empty(t, sni)
			assert.Equal(t, 1, verified)
			assert.Equal(t, 1, verifiedPeer)
			assert.NotEmpty(t, o.opened.ServerState.VerifiedChains)
			assert.NoError(t, o.client.ConnectionState().PeerCertificates[0].VerifyHostname(name))
			o.requireThrough(t)
		})
	}
}

// Callbacks that refuse are obeyed, with a server name and without.
func TestTerminateCallbacksOfUpstream(t *testing.T) {
	refuse := errors.New("pinned otherwise")
	for name, edit := range map[string]func(*tls.Config){
		"VerifyConnection": func(c *tls.Config) { c.VerifyConnection = func(tls.ConnectionState) error { return refuse } },
		"VerifyPeerCertificate": func(c *tls.Config) {
			c.VerifyPeerCertificate = func([][]byte, [][]*x509.Certificate) error { return refuse }
		},
		"panic": func(c *tls.Config) {
			c.VerifyConnection = func(tls.ConnectionState) error { panic("pinned otherwise") }
		},
	} {
		for _, noSNI := range []bool{false, true} {
			r := newRig(t)
			edit(r.term.Upstream)
			clientCfg := r.clientTo(host)
			if noSNI {
				clientCfg = withoutSNI(clientCfg)
			}
			o := r.run(t, t.Context(), host, clientCfg, &tls.Config{Certificates: []tls.Certificate{r.originCert(host, nil)}})
			requireOriginFailed(t, o, host, "pinned otherwise")
			assert.Equal(t, name != "panic", errors.Is(o.err, refuse))
		}
	}
}

func TestTerminateInsecure(t *testing.T) {
	for _, noSNI := range []bool{false, true} {
		r := newRig(t)
		r.term.Upstream.InsecureSkipVerify = true
		clientCfg := r.clientTo(host)
		if noSNI {
			clientCfg = withoutSNI(clientCfg)
		}
		o := r.run(t, t.Context(), host, clientCfg, &tls.Config{Certificates: []tls.Certificate{newRig(t).originCert("other.example", nil)}})
		require.NoError(t, o.err)
		o.requireThrough(t)
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
		c, clientSide := tcpPair(t)
		serverSide, _ := tcpPair(t)
		c.Close()
		_, err := r.term.Terminate(t.Context(), clientSide, serverSide, host)
		requireClientFailed(t, &outcome{err: err}, "closed before the handshake was complete")
	})
}

func TestTerminateALPN(t *testing.T) {
	cases := []struct {
		name    string
		alpn    []string
		client  []string
		offered []string
		want    string
		refused bool
	}{
		{name: "one of several", alpn: []string{"http/1.0"}, client: []string{"h2", "http/1.1", "http/1.0"}, offered: []string{"http/1.0"}, want: "http/1.0"},
		{name: "none at the client", alpn: []string{"http/1.1"}},
		{name: "nothing in common", alpn: []string{"http/1.1"}, client: []string{"x"}, refused: true},
		{name: "h2 is not spoken yet", alpn: []string{"h2"}, client: []string{"h2", "http/1.1"}, offered: []string{"http/1.1"}, want: "http/1.1"},
		{name: "h2 beside another", alpn: []string{"h2", "http/1.0"}, client: []string{"http/1.1"}, refused: true},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t)
			r.term.ALPN = c.alpn
			var offered []string
			o := r.run(t, t.Context(), host, r.clientTo(host, c.client...), &tls.Config{
				Certificates: []tls.Certificate{r.originCert(host, nil)},
				NextProtos:   []string{"h2", "http/1.1", "http/1.0"},
				GetConfigForClient: func(h *tls.ClientHelloInfo) (*tls.Config, error) {
					offered = h.SupportedProtos
					return nil, nil
				},
			})
			assert.Equal(t, c.offered, offered)
			if c.refused {
				require.ErrorIs(t, o.err, mitm.ErrNoProtocol)
				assert.ErrorContains(t, o.clientErr, "no application protocol")
				return
			}
			require.NoError(t, o.err)
			assert.Equal(t, c.want, o.client.ConnectionState().NegotiatedProtocol)
		})
	}
}

func TestOpenable(t *testing.T) {
	assert.True(t, mitm.Openable(nil))
	assert.True(t, mitm.Openable([]string{"h2", "http/1.1"}))
	assert.True(t, mitm.Openable([]string{"acme-tls/1"}))
	assert.False(t, mitm.Openable([]string{"h2"}))
}

// Clients come back with tickets, and origins are come back to.
func TestTerminateResumes(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, noSNI := range []bool{false, true} {
			r := newRig(t)
			clientCfg := r.clientTo(host, "http/1.1")
			if noSNI {
				clientCfg = withoutSNI(clientCfg)
			}
			clientCfg.ClientSessionCache = oneSession{new(sync.Map)}
			clientCfg.MaxVersion = version
			r.term.Upstream.ClientSessionCache = oneSession{new(sync.Map)}
			verified := 0
			r.term.Upstream.VerifyConnection = func(tls.ConnectionState) error { verified++; return nil }
			originCfg := &tls.Config{Certificates: []tls.Certificate{r.originCert(host, nil)}, NextProtos: []string{"http/1.1"}, MaxVersion: version}
			originCfg.SetSessionTicketKeys([][32]byte{{1}})
			for i := range 2 {
				o := r.run(t, t.Context(), host, clientCfg, originCfg)
				require.NoError(t, o.err)
				o.requireThrough(t) // reads the tickets
				assert.Equal(t, i > 0, o.client.ConnectionState().DidResume, "client, %s", tls.VersionName(version))
				assert.Equal(t, i > 0, o.opened.ServerState.DidResume, "origin, %s", tls.VersionName(version))
				assert.Equal(t, "http/1.1", o.client.ConnectionState().NegotiatedProtocol)
				assert.NotEmpty(t, o.opened.ServerState.VerifiedChains)
				assert.Equal(t, i+1, verified)
			}
			// What was agreed for one name is not taken for another, even at
			// one address, by a server that would.
			if noSNI {
				other := originCfg.Clone()
				other.Certificates = []tls.Certificate{r.originCert("other.example", nil)}
				o := r.run(t, t.Context(), "other.example", clientCfg, other)
				require.NoError(t, o.err)
				assert.False(t, o.opened.ServerState.DidResume)
			}
		}
	}
}

// oneSession takes every key for the same, as if all origins were one address.
type oneSession struct{ m *sync.Map }

func (c oneSession) Get(key string) (*tls.ClientSessionState, bool) {
	s, ok := c.m.Load(c.of(key))
	if !ok || s == nil {
		return nil, false
	}
	return s.(*tls.ClientSessionState), true
}

func (c oneSession) Put(key string, s *tls.ClientSessionState) {
	if s == nil {
		c.m.Delete(c.of(key))
		return
	}
	c.m.Store(c.of(key), s)
}

func (c oneSession) of(key string) string {
	if name, _, ok := strings.Cut(key, " "); ok {
		return name
	}
	return ""
}

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
		c, clientSide := tcpPair(t)
		serverSide, s := tcpPair(t)
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

// anyName is an Issuer that does not mind what it is asked for.
type anyName struct{ *mitm.CertIssuer }

func (a anyName) Issue(ctx context.Context, _ string) (*tls.Certificate, error) {
	return a.CertIssuer.Issue(ctx, host)
}

// Without any name there is nothing to verify against, so nothing is opened.
func TestTerminateWithoutAnyName(t *testing.T) {
	r := newRig(t)
	r.term.Issuer = anyName{&mitm.CertIssuer{CA: r.ca}}
	o := r.run(t, t.Context(), "", withoutSNI(r.clientTo("")), &tls.Config{Certificates: []tls.Certificate{r.originCert(host, nil)}})
	requireOriginFailed(t, o, "", "there is no name to verify the origin's certificate against")
}

func TestTerminateWithoutIssuer(t *testing.T) {
	_, err := new(mitm.Terminator).Terminate(t.Context(), nil, nil, host)
	assert.EqualError(t, err, "mitm: Terminator.Issuer is nil")
}
