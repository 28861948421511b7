package main_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// site is an origin that speaks HTTP/1.1, in the clear and over TLS.
type site struct {
	plain, secure string // host:port
}

// newSite starts an origin with the handler; a certificate is for its TLS side.
func newSite(t testing.TB, cert tls.Certificate, h http.Handler) *site {
	t.Helper()
	quiet := log.New(io.Discard, "", 0)
	plain := httptest.NewUnstartedServer(h)
	secure := httptest.NewUnstartedServer(h)
	plain.Config.ErrorLog, secure.Config.ErrorLog = quiet, quiet
	secure.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	plain.Start()
	secure.StartTLS()
	t.Cleanup(func() {
		for _, s := range []*httptest.Server{plain, secure} {
			s.CloseClientConnections()
			s.Close()
		}
	})
	return &site{plain.Listener.Addr().String(), secure.Listener.Addr().String()}
}

// mirror answers with what it was asked: a line about the request, or its body,
// or as many bytes as n says.
func mirror(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.URL.Query().Has("n"):
		n, _ := strconv.ParseInt(r.URL.Query().Get("n"), 10, 64)
		w.Header().Set("Content-Length", strconv.FormatInt(n, 10))
		block := make([]byte, 256<<10)
		for ; n > 0; n -= int64(len(block)) {
			if _, err := w.Write(block[:min(n, int64(len(block)))]); err != nil {
				return
			}
		}
	case r.Method == http.MethodGet:
		fmt.Fprintf(w, "%s %s\n", r.Host, r.URL.Path)
	default:
		w.Header().Set("X-Framing", fmt.Sprint(r.ContentLength, r.TransferEncoding))
		io.Copy(w, r.Body)
	}
}

// A way is how a client reaches an origin.
type way struct {
	name   string
	scheme string
	flags  []string // for curl
}

var (
	forward = way{"forward", "http", nil}
	tunnel  = way{"tunnel", "http", []string{"-p"}}
	opened  = way{"opened", "https", nil}
	ways    = []way{forward, tunnel, opened}
)

// addr is the site's address for w.
func (s *site) addr(w way) string {
	if w.scheme == "https" {
		return s.secure
	}
	return s.plain
}

// url is a URL at the site for w, with the host given as a name that resolves.
func (s *site) url(w way, path string) string {
	return w.scheme + "://" + s.addr(w) + path
}

// target is the request's target that w sends for a URL.
func (w way) target(url string) string {
	if w.name == forward.name {
		return url
	}
	_, rest, _ := strings.Cut(url, "://")
	return rest[strings.IndexByte(rest, '/'):]
}

// serve runs a server that speaks in its own way, over TLS if cert is not nil,
// and returns its address.
func serve(t testing.TB, cert *tls.Certificate, talk func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	addr := l.Addr().String()
	if cert != nil {
		l = tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{*cert}, NextProtos: []string{"http/1.1"}})
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				talk(c)
			}()
		}
	}()
	return addr
}
