package main_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestUntrustedOrigin: the client of an origin whose certificate is no good is
// told so, by every answer.
func TestUntrustedOrigin(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		cert   tls.Certificate
		reason string
	}{
		{"expired", pki.expired, "expired"},
		{"wrong host", pki.other, "nobody.test"},
		{"untrusted", pki.untrusted, "unknown authority"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, c.cert, http.HandlerFunc(mirror))
			t.Run("curl", func(t *testing.T) { refused(t, s, c.reason) })
			t.Run("not HTTP", func(t *testing.T) { cut(t, s, c.reason) })
			t.Run("insecure", func(t *testing.T) {
				need(t, "curl")
				p := start(t, "-upstream-insecure")
				assert.Equal(t, s.secure+" /x\n", p.curl(nil, s.url(opened, "/x")))
			})
		})
	}
}

// refused asks three times over one connection.
func refused(t *testing.T, s *site, reason string) {
	need(t, "curl")
	p := start(t)
	args := []string{"-w", "%{http_code} %{num_connects}\n"}
	for i := range 3 {
		args = append(args, s.url(opened, fmt.Sprintf("/%d", i)))
	}
	// The first has a body, which is read and thrown away.
	got := strings.Split(p.curl(strings.NewReader("some body"), append(args, "--data-binary", "@-")...), "\n")
	require.Len(t, got, 7, "%q: one line each, and what curl adds", got)
	for i, connects := range []int{1, 0, 0} {
		assert.Contains(t, got[2*i], reason)
		assert.Equal(t, fmt.Sprintf("502 %d", connects), got[2*i+1])
	}
	all := p.stop()
	require.Len(t, all, 3)
	for i, e := range all {
		assert.Equal(t, fmt.Sprintf("/%d", i), e.HTTP.URI)
		assert.Equal(t, 502, e.HTTP.StatusCode)
		assert.Contains(t, e.Err, reason)
		assert.True(t, e.TLS.Intercepted)
		assert.Equal(t, got[2*i]+"\n", string(e.HTTP.Response.Body))
		assert.Equal(t, "some body", string(e.HTTP.Request.Body))
	}
}

// cut speaks something else inside the TLS.
func cut(t *testing.T, s *site, reason string) {
	p := start(t)
	c := tls.Client(p.connect(s.secure), trust(t, caFile(), "localhost"))
	require.NoError(t, c.Handshake(), "the client's handshake is completed")
	begun := time.Now()
	_, err := c.Write([]byte("\x00\x01not a request\r\n\r\n"))
	require.NoError(t, err)
	got, _ := io.ReadAll(c)
	assert.Empty(t, got)
	assert.Less(t, time.Since(begun), 2*time.Second)
	e := p.await(1, func(*entry) bool { return true })[0]
	assert.Contains(t, e.Err, reason)
	assert.Equal(t, "tls", e.Proto)
	assert.Equal(t, "CONNECT", e.HTTP.Method)
}
