package main_test

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// seedCA makes a CA with the openssl commands of GOST's documentation.
func seedCA(t *testing.T) (cert, key string) {
	t.Helper()
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "ca.crt"), filepath.Join(dir, "ca.key")
	for _, args := range [][]string{
		{"genrsa", "-out", key, "2048"},
		{"req", "-new", "-x509", "-days", "365", "-key", key, "-out", cert, "-subj", "/CN=seed"},
	} {
		r := command(t, nil, "openssl", args...)
		require.Zero(t, r.code, r.err)
	}
	return cert, key
}

// TestCurl asks curl for what people ask it for, by every way there is.
func TestCurl(t *testing.T) {
	t.Parallel()
	need(t, "curl")
	one := newSite(t, pki.good, http.HandlerFunc(mirror))
	two := newSite(t, pki.good, http.HandlerFunc(mirror))
	cert, key := seedCA(t)
	large := make([]byte, 3<<20)
	rand.Read(large)
	cases := []struct {
		name         string
		flags        []string
		method       string
		sent, echoed int
		framing      string
	}{
		{"get", nil, "GET", 0, 0, ""},
		{"post", []string{"-d", "a=1&b=hello"}, "POST", 11, 11, "11 []"},
		{"post-file", []string{"-H", "Expect:", "--data-binary", "@-"}, "POST", len(large), len(large), "3145728 []"},
		{"chunked", []string{"-H", "Transfer-Encoding: chunked", "--data-binary", "@-"}, "POST", len(large), len(large), "-1 [chunked]"},
		{"put", []string{"-T", "-"}, "PUT", len(large), len(large), "-1 [chunked]"},
		// curl would wait for ten seconds for a 100 (Continue) that gets lost.
		{"expect", []string{"-H", "Expect: 100-continue", "--expect100-timeout", "50", "-m", "10", "-d", "a=1&b=hello"}, "POST", 11, 11, "11 []"},
	}
	for _, w := range ways {
		t.Run(w.name, func(t *testing.T) {
			t.Parallel()
			p := start(t, "-ca-cert", cert, "-ca-key", key)
			trusting := append(w.flags, "--cacert", cert, "--http1.1")
			for _, c := range cases {
				url := one.url(w, "/"+c.name)
				args := append(append([]string{"-D", "/dev/stderr", url}, trusting...), c.flags...)
				var stdin bytes.Buffer
				stdin.Write(large)
				got := p.curl(&stdin, args...)
				e := p.await(1, uri(w.target(url)))[0]
				assert.Equal(t, c.method, e.HTTP.Method, c.name)
				assert.Equal(t, 200, e.HTTP.StatusCode, c.name)
				assert.Empty(t, e.Err, c.name)
				assert.EqualValues(t, c.sent, e.HTTP.Request.ContentLength, c.name)
				assert.Equal(t, c.framing, e.HTTP.Response.Header.Get("X-Framing"), c.name)
				if c.method == "GET" {
					assert.Equal(t, one.addr(w)+" /get\n", got)
					assert.Equal(t, got, string(e.HTTP.Response.Body))
					continue
				}
				assert.EqualValues(t, c.echoed, e.HTTP.Response.ContentLength, c.name)
				assert.Equal(t, c.sent > 64<<10, e.HTTP.Request.Truncated, c.name)
				want := []byte("a=1&b=hello")
				if c.sent == len(large) {
					want = large
				}
				assert.True(t, bytes.Equal(want, []byte(got)), c.name)
				assert.Equal(t, want[:min(len(want), 64<<10)], e.HTTP.Request.Body, c.name)
			}
			t.Run("keep-alive to two hosts", func(t *testing.T) { alternate(t, p, w, trusting, one, two) })
		})
	}
}

// alternate makes 50 requests to two hosts in turn with one call of curl.
func alternate(t *testing.T, p *inspector, w way, flags []string, sites ...*site) {
	var args []string
	var want strings.Builder
	for i := range 50 {
		s := sites[i%2]
		args = append(args, s.url(w, fmt.Sprintf("/turn/%d", i)))
		fmt.Fprintf(&want, "%s /turn/%d\n", s.addr(w), i)
	}
	got := p.curl(nil, append(args, flags...)...)
	assert.Equal(t, want.String(), got)
	all := p.await(50, func(e *entry) bool { return strings.Contains(e.HTTP.URI, "/turn/") })
	sessions := map[string]bool{}
	for i, e := range all {
		assert.Equal(t, sites[i%2].addr(w), e.Host)
		assert.Contains(t, e.HTTP.URI, fmt.Sprintf("/turn/%d", i))
		assert.Empty(t, e.Err)
		sessions[e.SID] = true
	}
	connections := 2 // a connection for each host
	if w.name == forward.name {
		connections = 1 // one to the proxy, for both
	}
	assert.Len(t, sessions, connections, "curl's connections were not kept alive")
}

func TestCurlGibibyte(t *testing.T) {
	need(t, "curl")
	if testing.Short() {
		t.Skip("a GiB takes seconds")
	}
	s := newSite(t, pki.good, http.HandlerFunc(mirror))
	p := start(t)
	for _, w := range []way{tunnel, opened} {
		url := s.url(w, "/gib?n=1073741824")
		got := p.curl(nil, append([]string{"-o", os.DevNull, "-w", "%{http_code} %{size_download}", url}, w.flags...)...)
		assert.Equal(t, "200 1073741824", got)
		e := p.await(1, func(e *entry) bool { return e.HTTP.Scheme == strings.TrimSuffix(w.scheme, "http") })[0]
		assert.EqualValues(t, 1<<30, e.HTTP.Response.ContentLength)
		assert.True(t, e.HTTP.Response.Truncated)
		assert.Len(t, e.HTTP.Response.Body, 64<<10)
	}
}

// TestRules looks at what is opened and what is not.
func TestRules(t *testing.T) {
	t.Parallel()
	need(t, "curl")
	s := newSite(t, pki.good, http.HandlerFunc(mirror))
	_, port, _ := strings.Cut(s.secure, ":")
	named := []string{"--connect-to", "www.example.com:443:" + s.secure, "https://www.example.com/x"}
	bare := []string{"https://localhost:" + port + "/x"}
	for _, c := range []struct {
		name   string
		flags  []string
		client []string
		opened bool
		why    string
	}{
		{"no rules", nil, bare, true, ""},
		{"other host", []string{"-mitm", ".example.com"}, bare, false, "bypass"},
		{"CONNECT to an address, SNI on the list", []string{"-mitm", ".example.com"}, named, true, ""},
		{"several rules", []string{"-mitm", "a.test,.example.com,b.test"}, named, true, ""},
		{"bypass by SNI", []string{"-bypass", "*.example.com"}, named, false, "bypass"},
		{"bypass by address, whatever the SNI", []string{"-mitm", ".example.com", "-bypass", "127.0.0.0/8"}, named, false, "bypass"},
		{"bypass of something else", []string{"-bypass", "10.0.0.0/8"}, named, true, ""},
		{"none", []string{"-mitm", "none"}, named, false, ""},
		{"http/1.1 alone", []string{"-alpn", "http/1.1"}, bare, true, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := start(t, c.flags...)
			roots := pki.rootsFile
			if c.opened {
				roots = caFile()
			}
			p.curl(nil, append([]string{"--cacert", roots}, c.client...)...)
			all := p.stop()
			require.Len(t, all, 1)
			e := all[0]
			require.NotNil(t, e.TLS)
			assert.Equal(t, c.opened, e.TLS.Intercepted)
			assert.Equal(t, c.why, e.TLS.NotOpened)
			if c.opened {
				assert.Equal(t, "GET", e.HTTP.Method)
				assert.Equal(t, "https", e.HTTP.Scheme)
			} else {
				assert.Equal(t, "CONNECT", e.HTTP.Method)
				assert.Equal(t, "h2", e.TLS.Proto, "the client's first offer")
			}
		})
	}
}
