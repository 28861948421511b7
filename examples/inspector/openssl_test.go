package main_test

import (
	"crypto/tls"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestOpenSSL: clients that offer less, or more, than curl does.
func TestOpenSSL(t *testing.T) {
	t.Parallel()
	const request = "GET /openssl HTTP/1.0\r\n\r\n"
	site := newSite(t, pki.good, http.HandlerFunc(mirror))
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
		Certificates: []tls.Certificate{pki.good}, NextProtos: []string{"h2", "http/1.1"},
	})
	require.NoError(t, err)
	t.Cleanup(func() { l.Close() })
	go http.Serve(l, http.HandlerFunc(mirror)) // agrees on h2, and that is all
	for _, c := range []struct {
		name   string
		flags  string
		addr   string
		opened bool
		check  func(t *testing.T, e *entry)
	}{
		{"no SNI, no ALPN", "-noservername", site.secure, true, func(t *testing.T, e *entry) {
			assert.Empty(t, e.TLS.ServerName)
			assert.Empty(t, e.TLS.Proto)
		}},
		{"unknown ALPN beside ours", "-alpn spdy/3,http/1.1", site.secure, true, func(t *testing.T, e *entry) {
			assert.Equal(t, "http/1.1", e.TLS.Proto)
		}},
		{"TLS 1.2", "-tls1_2 -servername origin.test", site.secure, true, func(t *testing.T, e *entry) {
			assert.Equal(t, "origin.test", e.TLS.ServerName)
		}},
		{"one old curve", "-groups P-256 -servername origin.test", site.secure, true, func(t *testing.T, e *entry) {
			assert.Equal(t, "tls1.3", e.TLS.Version)
		}},
		{"h2 alone", "-alpn h2 -servername origin.test", l.Addr().String(), false, func(t *testing.T, e *entry) {
			assert.Equal(t, "the client offers nothing but h2", e.TLS.NotOpened)
			assert.Equal(t, "h2", e.TLS.Proto)
			assert.Equal(t, "CONNECT", e.HTTP.Method)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := start(t)
			roots := pki.rootsFile
			if c.opened {
				roots = caFile()
			}
			name := []string{"-verify_ip", "127.0.0.1"}
			if strings.Contains(c.flags, "origin.test") {
				name = []string{"-verify_hostname", "origin.test"}
			}
			args := append([]string{"s_client", "-quiet", "-proxy", p.addr, "-connect", c.addr, "-CAfile", roots,
				"-verify_return_error"}, append(name, strings.Fields(c.flags)...)...)
			r := command(t, strings.NewReader(request), "openssl", args...)
			if c.opened {
				assert.Contains(t, r.out, " /openssl\n", r.err)
			}
			all := p.stop()
			require.Len(t, all, 1)
			e := all[0]
			require.NotNil(t, e.TLS)
			assert.Equal(t, c.opened, e.TLS.Intercepted)
			if c.opened {
				assert.Equal(t, "/openssl", e.HTTP.URI)
			}
			c.check(t, e)
		})
	}
}

// TestNoSniff: with -sniff=false there is the record of a connection, or of a
// forwarded request, without what was inside.
func TestNoSniff(t *testing.T) {
	t.Parallel()
	need(t, "curl")
	s := newSite(t, pki.good, http.HandlerFunc(mirror))
	for _, w := range ways {
		t.Run(w.name, func(t *testing.T) {
			t.Parallel()
			p := start(t, "-sniff=false")
			p.curl(nil, append([]string{"--cacert", pki.rootsFile, s.url(w, "/x")}, w.flags...)...)
			all := p.stop()
			require.Len(t, all, 1)
			e := all[0]
			method := "CONNECT"
			if w.name == forward.name {
				method = "GET"
			}
			assert.Equal(t, method, e.HTTP.Method)
			assert.Equal(t, 200, e.HTTP.StatusCode)
			assert.Nil(t, e.HTTP.Response.Body)
			assert.Nil(t, e.TLS)
			assert.Equal(t, "http", e.Proto)
			assert.Positive(t, e.OutputBytes)
		})
	}
}
