package mitm_test

import (
	"crypto/tls"
	"testing"

	"github.com/proxyglass/proxyglass/mitm"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

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
