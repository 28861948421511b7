package proxy_test

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/proxyglass/proxyglass/mitm"
	"github.com/proxyglass/proxyglass/proxy"
	"github.com/proxyglass/proxyglass/record"
)

// TLS that is opened.

// newOpened is a line whose TLS is opened, with the handshakes done.
func newOpened(t *testing.T, p *proxy.Pipeline, alpn ...string) *line {
	t.Helper()
	if p == nil {
		p = &proxy.Pipeline{}
	}
	p.MITM = newTerminator()
	l := newLine(t, p, proxy.Session{
		Host: name + ":443", Connect: &record.HTTP{Method: "CONNECT", URI: name + ":443"},
	})
	server := originConfig(name, nil)
	server.NextProtos = alpn
	client := clientConfig(name)
	if len(alpn) > 0 {
		client = clientConfig(name, append([]string{"h2"}, alpn...)...)
	}
	l.handshake(client, server)
	return l
}

func TestOpened(t *testing.T) {
	l := newOpened(t, nil, "http/1.1")
	state := l.client.Conn.(*tls.Conn).ConnectionState()
	assert.Equal(t, "http/1.1", state.NegotiatedProtocol)
	assert.Equal(t, authorities().ours.Certificate.Subject.String(), state.PeerCertificates[0].Issuer.String())
	l.ask()
	l.pass(get2, empty)
	records := l.endTLS()
	require.Len(t, records, 2, summary(records))
	assert.Equal(t, []string{"GET / 200 >hello", "GET /2 204"}, briefs(records))
	r := records[0]
	assert.Equal(t, "https", r.HTTP.Scheme)
	assert.Equal(t, "tls", r.Proto)
	assert.Equal(t, name+":443", r.Host)
	assert.EqualValues(t, len(get), r.InputBytes)
	assert.EqualValues(t, len(hello), r.OutputBytes)
	assert.Same(t, r.TLS, records[1].TLS, "one section for all")
	assert.True(t, r.TLS.Intercepted)
	assert.Empty(t, r.TLS.NotOpened)
	assert.Equal(t, []string{name, "http/1.1", "tls1.3"}, []string{r.TLS.ServerName, r.TLS.Proto, r.TLS.Version})
	assert.NotZero(t, r.TLS.ClientHello)
	assert.NotZero(t, r.TLS.ServerHello)
	assert.Contains(t, r.TLS.CipherSuite, "TLS_")
	assert.Negative(t, r.Timings.ServerHandshake)
	assert.Negative(t, r.Timings.ClientHandshake)
	assert.LessOrEqual(t, r.Timings.ServerHandshake, r.Timings.ClientHandshake)
}

// The same, with the ClientHello in small pieces.
func TestOpenedFromPieces(t *testing.T) {
	for _, n := range []int{1, 30} {
		l := newLine(t, &proxy.Pipeline{MITM: newTerminator()}, proxy.Session{Host: name + ":443"})
		l.client.Conn = inPieces{l.client.Conn, n}
		l.handshake(clientConfig(name), originConfig(name, nil))
		l.ask()
		assert.True(t, only(t, l.endTLS()).TLS.Intercepted)
	}
}

// A client that sends no SNI is opened for the name it asked the proxy for.
func TestOpenedWithoutSNI(t *testing.T) {
	l := newLine(t, &proxy.Pipeline{MITM: newTerminator()}, proxy.Session{Host: "127.0.0.1:443"})
	l.handshake(clientConfig("127.0.0.1"), originConfig("127.0.0.1", nil))
	l.ask()
	r := only(t, l.endTLS())
	assert.True(t, r.TLS.Intercepted)
	assert.Empty(t, r.TLS.ServerName)
}

func TestOpenedHelloRetryRequest(t *testing.T) {
	l := newLine(t, &proxy.Pipeline{MITM: newTerminator()}, proxy.Session{Host: name + ":443"})
	server := originConfig(name, nil)
	server.CurvePreferences = []tls.CurveID{tls.CurveP384}
	l.handshake(clientConfig(name), server)
	l.ask()
	r := only(t, l.endTLS())
	assert.True(t, r.TLS.Intercepted)
	assert.NotZero(t, r.TLS.ServerHello)
}

// A close-delimited answer is complete with a close_notify, and is not without.
func TestOpenedUntilClose(t *testing.T) {
	for _, cut := range []bool{false, true} {
		l := newOpened(t, nil)
		l.pass(get, "HTTP/1.1 200 OK\r\n\r\nhello")
		if cut {
			l.server.Conn.(*tls.Conn).NetConn().Close()
			l.client.expectEnd()
		} else {
			l.server.Close()
			l.client.expectEnd()
		}
		l.client.Close()
		r := only(t, l.records())
		require.NotNil(t, r.HTTP.Response, "%s", r.AppendJSON(nil))
		assert.Equal(t, "hello", string(r.HTTP.Response.Body))
		if cut {
			assert.Contains(t, r.Err, "cut")
		} else {
			assert.Empty(t, r.Err)
		}
	}
}

func TestOpenedUnknownInside(t *testing.T) {
	l := newOpened(t, nil)
	l.pass("\x00\x01binary", "\x00more")
	r := only(t, l.endTLS())
	assert.Equal(t, "tls", r.Proto)
	assert.True(t, r.TLS.Intercepted)
	assert.Equal(t, "CONNECT", r.HTTP.Method)
	assert.EqualValues(t, 8, r.InputBytes)
	assert.EqualValues(t, 5, r.OutputBytes)
}

// The odd conversation is the same at both ends, opened too.
func TestOpenedVerbatim(t *testing.T) {
	l := newOpened(t, nil)
	l.pass("GET / HTTP/1.1\r\nhOST: a\r\nX: 1\r\nx: 2\r\nX:  3\r\n  4\r\nBig: "+strings.Repeat("x", 100<<10)+"\r\n\r\n",
		"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;ext=1\r\nhello\r\n0\r\nT: 1\r\n\r\nwhat?")
	l.pass(get2, hello)
	assert.Equal(t, []string{"GET / 200 >hello (T: 1) [garbage obs-fold]", "GET /2 200 >hello [garbage]"}, briefs(l.endTLS()))
}

// Origins that cannot be had: the client's handshake succeeds, and it is told.
func TestOriginFails(t *testing.T) {
	stranger := must(mitm.NewCA(mitm.CAConfig{CommonName: "Strangers"}))
	for _, tt := range []struct {
		name, why string
		serve     func(c net.Conn)
	}{
		{"expired", "the certificate has expired", func(c net.Conn) {
			tls.Server(c, originConfig(name, func(x *x509.Certificate) { x.NotAfter = time.Now().Add(-time.Minute) })).Handshake()
		}},
		{"wrong host", "the certificate is for other.example, not for " + name, func(c net.Conn) {
			tls.Server(c, originConfig("other.example", nil)).Handshake()
		}},
		{"untrusted", "unknown authority", func(c net.Conn) {
			issuer := &mitm.CertIssuer{CA: stranger}
			tls.Server(c, &tls.Config{Certificates: []tls.Certificate{*must(issuer.Issue(t.Context(), name))}}).Handshake()
		}},
		{"closes", "the connection was closed before the handshake was complete", func(c net.Conn) {
			c.Read(make([]byte, 10))
			c.(*net.TCPConn).CloseWrite()
		}},
		{"no TLS", "what came is not TLS", func(c net.Conn) {
			c.Read(make([]byte, 10))
			io.WriteString(c, "HTTP/1.1 400 Bad Request\r\n\r\n")
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := newLine(t, &proxy.Pipeline{MITM: newTerminator()}, proxy.Session{Host: name + ":443"})
			go tt.serve(l.server.Conn)
			c := tls.Client(l.client.Conn, clientConfig(name, "h2", "http/1.1"))
			require.NoError(t, c.Handshake())
			l.client.Conn = c
			for _, request := range []string{get, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", get2} {
				l.client.send(request)
				l.client.expect("HTTP/1.1 502 Bad Gateway\r\n")
				answer := make([]byte, 4096)
				n, err := l.client.Read(answer)
				require.NoError(t, err)
				assert.Contains(t, string(answer[:n]), tt.why)
				_, body, _ := strings.Cut(string(answer[:n]), "\r\n\r\n")
				assert.Equal(t, 1, strings.Count(body, "\n"), body)
			}
			l.client.Close()
			records := l.records()
			assert.ErrorContains(t, l.err, tt.why)
			require.Len(t, records, 3, summary(records))
			for _, r := range records {
				assert.Equal(t, 502, r.HTTP.StatusCode)
				assert.Contains(t, r.Err, tt.why)
				assert.True(t, r.TLS.Intercepted)
				assert.Equal(t, "https", r.HTTP.Scheme)
			}
			assert.Equal(t, "abc", string(records[1].HTTP.Request.Body))
		})
	}
}

func TestOriginFailsForWhatIsNotHTTP(t *testing.T) {
	l := newLine(t, &proxy.Pipeline{MITM: newTerminator()}, proxy.Session{Host: name + ":443"})
	go tls.Server(l.server.Conn, originConfig("other.example", nil)).Handshake()
	c := tls.Client(l.client.Conn, clientConfig(name))
	require.NoError(t, c.Handshake())
	l.client.Conn = c
	l.client.send("\x00\x01\x02")
	io.ReadAll(l.client)
	r := only(t, l.records())
	assert.Contains(t, r.Err, "other.example")
	assert.Nil(t, r.HTTP)
	assert.Equal(t, "tls", r.Proto)
}

func TestClientDoesNotTrustUs(t *testing.T) {
	l := newLine(t, &proxy.Pipeline{MITM: newTerminator()}, proxy.Session{Host: name + ":443"})
	go tls.Server(l.server.Conn, originConfig(name, nil)).Handshake()
	c := tls.Client(l.client.Conn, &tls.Config{ServerName: name, RootCAs: poolOf(authorities().origins)})
	require.Error(t, c.Handshake())
	r := only(t, l.records())
	assert.Contains(t, r.Err, "the client of "+name)
	assert.Contains(t, r.Err, "perhaps it does not trust the authority")
	assert.Error(t, l.err)
	assert.True(t, r.TLS.Intercepted)
	assert.Equal(t, name, r.TLS.ServerName)
}

const (
	connectInside = "CONNECT inner.example:443 HTTP/1.1\r\nHost: inner.example:443\r\nProxy-Authorization: Basic YTpi\r\n\r\n"
	connected     = "HTTP/1.1 200 Connected\r\n\r\n"
)

// A CONNECT inside: to a further proxy behind.
func TestConnectInside(t *testing.T) {
	inside := map[string]struct {
		run  func(l *line)
		want []string
	}{
		"HTTP":     {func(l *line) { l.pass(get, hello); l.pass(get2, empty) }, []string{"GET / 200 >hello", "GET /2 204"}},
		"unknown":  {func(l *line) { l.pass("\x00\x01", "\x02") }, []string{"CONNECT inner.example:443 200"}},
		"greeting": {func(l *line) { l.server.send("SSH-2.0-x\r\n"); l.client.expect("SSH-2.0-x\r\n") }, []string{"CONNECT inner.example:443 200"}},
		"nothing":  {func(*line) {}, []string{"CONNECT inner.example:443 200"}},
		"early":    {func(*line) {}, nil}, // sent before the answer, see below
	}
	for what, tt := range inside {
		for _, opened := range []bool{false, true} {
			t.Run(what+"/opened="+map[bool]string{true: "yes", false: "no"}[opened], func(t *testing.T) {
				var l *line
				if opened {
					l = newOpened(t, nil)
				} else {
					l = newLine(t, nil, proxy.Session{Host: "proxy.example:3128"})
				}
				l.pass(get2, empty)
				l.client.send(connectInside)
				l.server.expect(connectInside)
				if what == "early" {
					l.client.send("\x00\x01\r\n\r\n")
					l.server.expect("\x00\x01\r\n\r\n")
				}
				l.server.send(connected)
				l.client.expect(connected)
				tt.run(l)
				l.pass("last", "words")
				records := l.endTLS()
				require.NotEmpty(t, records)
				if what == "early" {
					return // passed; the record is no matter
				}
				assert.Equal(t, "GET /2 204", brief(records[0]))
				var got []string
				for _, r := range records[1:] {
					got = append(got, strings.Split(brief(r), " [")[0])
					assert.Equal(t, "inner.example:443", r.Host)
					assert.True(t, strings.HasSuffix(r.Route, ",inner.example:443"), r.Route)
				}
				assert.Subset(t, got, tt.want)
			})
		}
	}
}

func TestTLSInsideConnectInside(t *testing.T) {
	for _, opened := range []bool{false, true} {
		p := &proxy.Pipeline{MITM: newTerminator()}
		l := newLine(t, p, proxy.Session{Host: "proxy.example:3128"})
		if opened {
			l.handshake(clientConfig("proxy.example"), originConfig("proxy.example", nil))
		}
		l.pass("CONNECT "+name+":443 HTTP/1.1\r\n\r\n", connected)
		l.handshake(clientConfig(name), originConfig(name, nil))
		l.ask()
		r := only(t, l.endTLS())
		assert.Equal(t, "GET / 200 >hello", brief(r))
		assert.Equal(t, name, r.TLS.ServerName)
		assert.True(t, r.TLS.Intercepted)
		assert.Equal(t, name+":443", r.Host)
		assert.EqualValues(t, len(get), r.InputBytes)
	}
}

// Two that play together can put one CONNECT into another for ever. Some way in
// nobody looks any more.
func TestConnectInsideConnect(t *testing.T) {
	for _, tls := range []bool{false, true} {
		l := newLine(t, &proxy.Pipeline{MITM: newTerminator()}, proxy.Session{Host: "proxy.example:3128"})
		for i := range 20 {
			if tls && i < 10 {
				l.handshake(clientConfig(name), originConfig(name, nil))
				continue
			}
			l.pass("CONNECT "+name+":"+itoa(i)+" HTTP/1.1\r\n\r\n", connected)
		}
		l.pass(get, hello)
		r := only(t, l.endTLS())
		if tls {
			assert.Equal(t, "too many layers", r.TLS.NotOpened)
			continue
		}
		assert.Equal(t, "CONNECT "+name+":8 200", brief(r))
		assert.Greater(t, r.InputBytes, int64(len(get)))
	}
}

// A client that does not wait for the answer to its CONNECT: its ClientHello has
// gone to the server when it could be opened. It passes.
func TestConnectInsideNotWaitedFor(t *testing.T) {
	for _, pieces := range []int{1 << 20, 100} {
		l := newLine(t, &proxy.Pipeline{MITM: newTerminator()}, proxy.Session{Host: "proxy.example:3128"})
		const connect = "CONNECT " + name + ":443 HTTP/1.1\r\n\r\n"
		l.client.send(connect)
		l.server.expect(connect)
		shaken := make(chan error, 1)
		before := &prefixed{Conn: l.client.Conn, skip: len(connected)}
		c := tls.Client(inPieces{before, pieces}, clientConfig(name))
		go func() { shaken <- c.Handshake() }()
		first := make([]byte, 300)
		_, err := io.ReadFull(l.server, first)
		require.NoError(t, err, "held, while nobody can answer it")
		l.server.send(connected)
		s := tls.Server(&after{l.server.Conn, first}, originConfig(name, nil))
		require.NoError(t, s.Handshake())
		require.NoError(t, <-shaken)
		l.client.Conn, l.server.Conn = c, s
		l.ask()
		l.endTLS()
		r := l.seen.Records()[0]
		if r.TLS != nil {
			assert.Contains(t, r.TLS.NotOpened, "too early")
		}
	}
}

// prefixed is a connection of which the first bytes read are passed over.
type prefixed struct {
	net.Conn
	skip int
}

func (c *prefixed) Read(p []byte) (int, error) {
	for c.skip > 0 {
		n, err := c.Conn.Read(make([]byte, c.skip))
		if c.skip -= n; err != nil {
			return 0, err
		}
	}
	return c.Conn.Read(p)
}

// after is a connection of which the first bytes were read before.
type after struct {
	net.Conn
	first []byte
}

func (c *after) Read(p []byte) (int, error) {
	if len(c.first) > 0 {
		n := copy(p, c.first)
		c.first = c.first[n:]
		return n, nil
	}
	return c.Conn.Read(p)
}
