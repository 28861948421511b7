package proxy_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/proxyglass/proxyglass/bypass"
	"github.com/proxyglass/proxyglass/mitm"
	"github.com/proxyglass/proxyglass/proxy"
	"github.com/proxyglass/proxyglass/record"
	"github.com/proxyglass/proxyglass/record/recordtest"
)

// TLS that is not opened.

const name = "www.example.com"

// ask sends a request over the two peers, whatever they are, and its answer.
func (l *line) ask() {
	l.t.Helper()
	l.pass(get, hello)
}

// endTLS closes as crypto/tls does: a close_notify and a FIN from each side.
func (l *line) endTLS() []*record.Record {
	l.t.Helper()
	l.client.Close()
	io.ReadAll(l.server)
	l.server.Close()
	return l.records()
}

func TestTLSObserved(t *testing.T) {
	for _, tt := range []struct {
		name           string
		client, server func(c *tls.Config)
		version, alpn  string
		helloRetry     bool
	}{
		{name: "TLS 1.3", client: func(c *tls.Config) { c.NextProtos = []string{"h2", "http/1.1"} }, version: "tls1.3", alpn: "h2"},
		{name: "TLS 1.2", client: func(c *tls.Config) { c.NextProtos = []string{"x", "http/1.1"}; c.MaxVersion = tls.VersionTLS12 },
			server: func(c *tls.Config) { c.NextProtos = []string{"http/1.1"} }, version: "tls1.2", alpn: "http/1.1"},
		{name: "HelloRetryRequest", server: func(c *tls.Config) { c.CurvePreferences = []tls.CurveID{tls.CurveP384} },
			client: func(c *tls.Config) { c.CurvePreferences = []tls.CurveID{tls.X25519, tls.CurveP384} }, version: "tls1.3", helloRetry: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			connect := &record.HTTP{Method: "CONNECT", URI: name + ":443", StatusCode: 200}
			l := newLine(t, nil, proxy.Session{Host: name + ":443", Connect: connect})
			client, server := clientConfig(name), originConfig(name, nil)
			if tt.client != nil {
				tt.client(client)
			}
			if tt.server != nil {
				tt.server(server)
			}
			var sent, answered bytes.Buffer
			l.client.Conn = tapped{l.client.Conn, &sent}
			l.server.Conn = tapped{l.server.Conn, &answered}
			l.handshake(client, server)
			l.ask()
			r := only(t, l.endTLS())
			assert.Equal(t, "tls", r.Proto)
			assert.Same(t, connect, r.HTTP)
			assert.Equal(t, name, r.TLS.ServerName)
			assert.Equal(t, tt.version, r.TLS.Version)
			assert.Equal(t, tt.alpn, r.TLS.Proto)
			assert.Contains(t, r.TLS.CipherSuite, "TLS_")
			assert.Len(t, r.TLS.JA3, 32)
			assert.Regexp(t, `^t1[23]d`, r.TLS.JA4)
			assert.False(t, r.TLS.Intercepted)
			assert.Empty(t, r.TLS.NotOpened, "nothing is opened here")
			assert.EqualValues(t, sent.Len(), r.InputBytes)
			assert.EqualValues(t, answered.Len(), r.OutputBytes)
			hello := r.TLS.ClientHello.Bytes()
			assert.True(t, bytes.HasPrefix(sent.Bytes(), hello), "the first ClientHello, as sent")
			hello = r.TLS.ServerHello.Bytes()
			assert.NotEmpty(t, hello)
			assert.Equal(t, tt.helloRetry, !bytes.HasPrefix(answered.Bytes(), hello), "the last ServerHello")
			assert.True(t, bytes.Contains(answered.Bytes(), hello))
		})
	}
}

// tapped copies what is written to a connection.
type tapped struct {
	net.Conn
	said *bytes.Buffer
}

func (c tapped) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.said.Write(p[:n])
	return n, err
}

// A ClientHello that comes in pieces is held back until it is whole where it
// might be opened, and what is not opened reaches the origin as it was sent.
func TestTLSNotOpened(t *testing.T) {
	failing := matcher(func(context.Context, bypass.Target) (bool, error) { return false, errors.New("list is down") })
	for _, tt := range []struct {
		name   string
		bypass bypass.Matcher
		mitm   func(m *mitm.Terminator)
		alpn   []string
		host   string
		sni    string
		why    string
	}{
		{name: "by name", bypass: bypass.Must("www.example.com"), sni: name, why: "bypass"},
		{name: "by what was asked for", bypass: bypass.Must("origin.example"), sni: name, why: "bypass"},
		{name: "by address", bypass: bypass.Must("127.0.0.0/8"), sni: name, why: "bypass"},
		{name: "by port", bypass: bypass.Must("origin.example:443"), sni: name, why: "bypass"},
		{name: "no SNI", bypass: bypass.Must("origin.example"), why: "bypass"},
		{name: "the matcher fails", bypass: failing, sni: name, why: "bypass: list is down"},
		{name: "the matcher panics", bypass: matcher(func(context.Context, bypass.Target) (bool, error) { panic("x") }), sni: name},
		{name: "nothing but h2", alpn: []string{"h2"}, sni: name, why: "the client offers nothing but h2"},
		{name: "none of ours", alpn: []string{"imap"}, mitm: func(m *mitm.Terminator) { m.ALPN = []string{"http/1.1"} }, sni: name, why: "the client offers none of the protocols to open"},
	} {
		for _, pieces := range []int{1, 7, 100, 100_000} {
			t.Run(tt.name+"/"+itoa(pieces), func(t *testing.T) {
				term := newTerminator()
				if tt.mitm != nil {
					tt.mitm(term)
				}
				l := newLine(t, &proxy.Pipeline{MITM: term, Bypass: tt.bypass}, proxy.Session{Host: "origin.example:443"})
				var sent bytes.Buffer
				l.client.Conn = inPieces{tapped{l.client.Conn, &sent}, pieces}
				got := &heard{Conn: l.server.Conn}
				l.server.Conn = got
				client := clientConfig(tt.sni, tt.alpn...)
				client.ServerName, client.InsecureSkipVerify = tt.sni, tt.sni == ""
				server := originConfig(name, nil)
				server.NextProtos = tt.alpn
				l.handshake(client, server)
				l.ask()
				r := only(t, l.endTLS())
				assert.Equal(t, "tls", r.Proto)
				assert.Equal(t, sent.String(), got.String(), "verbatim")
				assert.Equal(t, tt.sni, r.TLS.ServerName)
				assert.Equal(t, tt.why, r.TLS.NotOpened)
				assert.False(t, r.TLS.Intercepted)
				assert.NotZero(t, r.TLS.ClientHello)
			})
		}
	}
}

// matcher is a bypass.Matcher made of a function.
type matcher func(context.Context, bypass.Target) (bool, error)

func (m matcher) Match(ctx context.Context, t bypass.Target) (bool, error) { return m(ctx, t) }

// inPieces writes in pieces of n bytes, up to a ClientHello's length.
type inPieces struct {
	net.Conn
	n int
}

func (c inPieces) Write(p []byte) (n int, err error) {
	for k := 0; n < len(p) && err == nil; n += k {
		k = min(c.n, len(p)-n)
		_, err = c.Conn.Write(p[n : n+k])
	}
	return n, err
}

// heard keeps what is read from a connection.
type heard struct {
	net.Conn
	bytes.Buffer
}

func (c *heard) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.Buffer.Write(p[:n])
	return n, err
}

func (c *heard) Write(p []byte) (int, error) { return c.Conn.Write(p) }

// hello returns a ClientHello's bytes.
func helloBytes(t *testing.T) []byte {
	c, s := net.Pipe()
	defer s.Close()
	go tls.Client(c, &tls.Config{ServerName: name}).Handshake()
	b := make([]byte, 16<<10)
	n, err := s.Read(b)
	require.NoError(t, err)
	c.Close()
	return b[:n]
}

func TestTLSRefusedByAlert(t *testing.T) {
	l := newLine(t, nil, proxy.Session{})
	hello := string(helloBytes(t))
	l.client.send(hello)
	l.server.expect(hello)
	const alert = "\x15\x03\x03\x00\x02\x02\x28"
	l.server.send(alert)
	l.client.expect(alert)
	r := only(t, l.end())
	assert.Contains(t, r.Err, "server: ")
	assert.Contains(t, r.Err, "handshake")
	assert.Equal(t, name, r.TLS.ServerName)
	assert.Zero(t, r.TLS.ServerHello)
}

func TestTLSMalformed(t *testing.T) {
	hello := string(helloBytes(t))
	bad := hello[:43] + "\xff" + hello[44:] // a session id of 255 bytes
	for _, tt := range []struct {
		name, up, down string
		want           []string
	}{
		{"ClientHello", bad, "\x15\x03\x03\x00\x02\x02\x32", []string{"malformed-client-hello"}},
		{"ServerHello", hello, "\x16\x03\x03\x00\x04\x63\x00\x00\x00", []string{"malformed-server-hello"}},
		{"no TLS in return", hello, "HTTP/1.1 400 Bad Request\r\n\r\n", []string{"malformed-server-hello"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, m := range []*mitm.Terminator{nil, newTerminator()} {
				if m != nil && tt.up == hello {
					continue
				}
				l := newLine(t, &proxy.Pipeline{MITM: m}, proxy.Session{})
				l.pass(tt.up, tt.down)
				l.pass("and", "so on")
				r := only(t, l.end())
				assert.Equal(t, "tls", r.Proto)
				assert.Subset(t, r.Anomalies, tt.want)
			}
		})
	}
}

// What is held back while it may be a ClientHello is let go when it takes too
// long to become one: 3 s to look like TLS, 10 s to be whole.
func TestTLSHeldForAWhile(t *testing.T) {
	hello := string(helloBytes(t))
	for _, tt := range []struct {
		name, sent string
		after      time.Duration
	}{
		{"undecided", hello[:4], 3 * time.Second},
		{"not whole", hello[:200], 10 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ours, client := net.Pipe()
				server, theirs := net.Pipe()
				seen := &recordtest.Collector{}
				p := &proxy.Pipeline{MITM: newTerminator(), Recorder: seen}
				done := make(chan error, 1)
				go func() { done <- p.Serve(t.Context(), ours, server, proxy.Session{Host: "h:443"}) }()
				time.Sleep(time.Hour) // silence costs nothing
				start := time.Now()
				client.Write([]byte(tt.sent))
				got := make([]byte, len(tt.sent))
				_, err := io.ReadFull(theirs, got)
				require.NoError(t, err)
				assert.Equal(t, tt.sent, string(got))
				assert.Equal(t, tt.after, time.Since(start))
				client.Write([]byte("rest")) // not held any more
				_, err = io.ReadFull(theirs, got[:4])
				require.NoError(t, err)
				assert.Equal(t, tt.after, time.Since(start))
				client.Close()
				theirs.Close()
				<-done
				p.Close(t.Context())
				assert.Len(t, seen.Records(), 1)
			})
		})
	}
}

// Without a Terminator nothing is held at all.
func TestTLSNothingHeld(t *testing.T) {
	l := newLine(t, nil, proxy.Session{})
	for _, b := range helloBytes(t) {
		l.client.send(string([]byte{b}))
		l.server.expect(string([]byte{b}))
	}
	r := only(t, l.end())
	assert.Equal(t, name, r.TLS.ServerName)
}
