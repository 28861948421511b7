package mitm_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/proxyglass/proxyglass/mitm"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

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
