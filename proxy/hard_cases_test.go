package proxy_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/proxyglass/proxyglass/proxy"
)

// What an origin says that nobody has asked it for is not for a client that may
// ask another origin next: it would be taken for that one's answer (RFC 9112
// section 6.3).
func TestForwardKeepsStrayAnswers(t *testing.T) {
	const stray = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
	for _, with := range []bool{true, false} {
		r, a, b := newRelay(t, &proxy.Server{}), newOrigin(t), newOrigin(t)
		c := r.dial()
		c.send(forwarded(a.addr(), "/1"))
		sa := a.accept()
		sa.expect(rewritten(a.addr(), "/1"))
		if with {
			sa.send(hello + stray)
		} else {
			sa.send(hello)
			c.expect(hello)
			sa.send(stray)
		}
		if with {
			c.expect(hello)
		}
		sa.expectEnd()
		c.send(forwarded(b.addr(), "/2"))
		sb := b.accept()
		sb.expect(rewritten(b.addr(), "/2"))
		sb.send(empty)
		c.expect(empty)
		c.send(forwarded(a.addr(), "/3"))
		sa = a.accept()
		sa.expect(rewritten(a.addr(), "/3"))
		sa.send(hello)
		c.expect(hello)
		n := 4
		if with {
			n = 3
		}
		for _, rec := range r.wait(n) {
			assert.Equal(t, rec.HTTP == nil, rec.Err != "", "what was kept back is told of")
		}
		assert.Contains(t, r.wait(n)[n-3].Anomalies, "garbage")
	}
}

// A stray answer while a request is half way.
func TestForwardStrayAnswerBeforeBody(t *testing.T) {
	r, a := newRelay(t, &proxy.Server{}), newOrigin(t)
	c := r.dial()
	c.send("POST http://" + a.addr() + "/ HTTP/1.1\r\nHost: " + a.addr() + "\r\nContent-Length: 5\r\n\r\nab")
	sa := a.accept()
	sa.expect("POST / HTTP/1.1\r\nHost: " + a.addr() + "\r\nContent-Length: 5\r\n\r\nab")
	sa.send(hello)
	c.expect(hello)
	sa.send(hello)
	c.expectEnd()
	r.wait(1)
}

func TestForwardOddHosts(t *testing.T) {
	for _, tt := range []struct{ name, sent, got string }{
		{"an empty Host first", "GET http://ADDR/ HTTP/1.1\r\nHost:\r\nHost: ADDR\r\n\r\n", "GET / HTTP/1.1\r\nHost: ADDR\r\n\r\n"},
		{"length and coding", "POST http://ADDR/ HTTP/1.1\r\nHost: ADDR\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "POST / HTTP/1.1\r\nHost: ADDR\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
		{"a blank before the colon", "POST http://ADDR/ HTTP/1.1\r\nHost : ADDR\r\nTransfer-Encoding\t : chunked\r\n\r\n0\r\n\r\n", "POST / HTTP/1.1\r\nHost: ADDR\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
		{"CR and NUL", "GET http://ADDR/ HTTP/1.1\r\nHost: ADDR\r\nA: 1\rTransfer-Encoding: chunked\r\r\nB: \x00\r\n\r\n", "GET / HTTP/1.1\r\nHost: ADDR\r\nA: 1 Transfer-Encoding: chunked \r\nB:  \r\n\r\n"},
		{"no colon", "GET http://ADDR/ HTTP/1.1\r\nHost: ADDR\r\nA \r\n\r\n", "GET / HTTP/1.1\r\nHost: ADDR\r\nA \r\n\r\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, o := newRelay(t, &proxy.Server{}), newOrigin(t)
			c := r.dial()
			c.send(strings.ReplaceAll(tt.sent, "ADDR", o.addr()))
			o.accept().expect(strings.ReplaceAll(tt.got, "ADDR", o.addr()))
		})
	}
}

// CONNECT has no absolute-form, also not behind another request: an origin that
// granted it would be sent what was meant for the proxy.
func TestForwardNoConnectInAbsoluteForm(t *testing.T) {
	r, a := newRelay(t, &proxy.Server{}), newOrigin(t)
	c := r.dial()
	c.send(forwarded(a.addr(), "/1"))
	sa := a.accept()
	sa.expect(rewritten(a.addr(), "/1"))
	sa.send(hello)
	c.expect(hello)
	c.send("CONNECT http://" + a.addr() + "/ HTTP/1.1\r\n\r\n")
	sa.expectEnd()
	c.expect("HTTP/1.1 400 ")
}

// An end of the request's stream is no reason not to be told.
func TestOpenedRefusalAfterHalfClose(t *testing.T) {
	l := newLine(t, &proxy.Pipeline{MITM: newTerminator()}, proxy.Session{Host: name + ":443"})
	bad := originConfig(name, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) })
	c, s := tls.Client(l.client.Conn, clientConfig(name)), tls.Server(l.server.Conn, bad)
	go s.Handshake()
	require.NoError(t, c.Handshake())
	_, err := io.WriteString(c, get)
	require.NoError(t, err)
	require.NoError(t, c.CloseWrite())
	b, err := io.ReadAll(c)
	assert.NoError(t, err)
	assert.Contains(t, string(b), "502 Bad Gateway")
	assert.Equal(t, 502, only(t, l.records()).HTTP.StatusCode)
}

// Nor is a request that takes long to send.
func TestOpenedRefusalOfLongBody(t *testing.T) {
	l := newLine(t, &proxy.Pipeline{MITM: newTerminator()}, proxy.Session{Host: name + ":443"})
	bad := originConfig(name, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) })
	c, s := tls.Client(l.client.Conn, clientConfig(name)), tls.Server(l.server.Conn, bad)
	go s.Handshake()
	require.NoError(t, c.Handshake())
	req, _ := http.NewRequest("POST", "https://"+name+"/", bytes.NewReader(make([]byte, 5<<20)))
	require.NoError(t, req.Write(c))
	b := make([]byte, 12)
	_, err := io.ReadFull(c, b)
	assert.NoError(t, err)
	assert.Equal(t, "HTTP/1.1 502", string(b))
	c.Close()
	rec := only(t, l.records())
	assert.EqualValues(t, 5<<20, rec.HTTP.Request.ContentLength)
}

func TestListenAndServeWithoutPipeline(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- proxy.ListenAndServe(ctx, "127.0.0.1:0", nil) }()
	time.Sleep(20 * time.Millisecond)
	cancel()
	assert.ErrorIs(t, requireReturns(t, done), context.Canceled)
}

// A server that talks to a silent client is not idle.
func TestShutdownWaitsForTalkingServer(t *testing.T) {
	o := newOrigin(t)
	r := newRelay(t, &proxy.Server{Front: proxy.Fixed(o.addr())})
	c := r.dial()
	s := o.accept()
	s.send("\x00\x01\x02 something that nobody knows")
	c.expect("\x00\x01\x02 something that nobody knows")
	done := r.shutdown(t.Context())
	requireWaits(t, done)
	s.send("more")
	c.expect("more")
	s.Close()
	c.Close()
	assert.NoError(t, requireReturns(t, done))
}

// pipes is a listener whose connections are not buffered.
type pipes chan net.Conn

func (p pipes) Accept() (net.Conn, error) {
	if c, ok := <-p; ok {
		return c, nil
	}
	return nil, net.ErrClosed
}
func (p pipes) Close() error   { return nil }
func (p pipes) Addr() net.Addr { return &net.TCPAddr{} }

// An answer that the client has not taken yet is not complete.
func TestShutdownWaitsForSlowClient(t *testing.T) {
	o := newOrigin(t)
	r := newRelay(t, &proxy.Server{})
	l := make(pipes, 1)
	client, ours := net.Pipe()
	l <- ours
	close(l)
	served := make(chan error, 1)
	go func() { served <- r.server.Serve(l) }()
	c := newPeer(t, client)
	c.send(forwarded(o.addr(), "/"))
	s := o.accept()
	s.expect(rewritten(o.addr(), "/"))
	s.send(hello)
	time.Sleep(50 * time.Millisecond)
	done := r.shutdown(t.Context())
	requireWaits(t, done)
	c.expect(hello)
	assert.NoError(t, requireReturns(t, done))
}

// Pairs an odd request in pieces with garbage of the server's: for -race.
func TestNotesOfBothDirections(t *testing.T) {
	for range 20 {
		l := newLine(t, nil, proxy.Session{})
		l.client.send("GET / HTTP/1.1\r\n")
		l.server.expect("GET / HTTP/1.1\r\n")
		go l.client.Write([]byte("Content-Length: x\r\n\r\n"))
		go l.server.Write([]byte("garbage"))
		l.client.expect("garbage")
		l.server.expect("Content-Length: x\r\n\r\n")
		l.end()
	}
}

// An answer that cannot be followed has no end that could be waited for: a client
// that goes on to another target is told at last, by the end of its connection.
func TestForwardBehindMalformedAnswer(t *testing.T) {
	r, a, b := newRelay(t, &proxy.Server{Front: &proxy.HTTP{HeaderTimeout: 50 * time.Millisecond}}), newOrigin(t), newOrigin(t)
	c := r.dial()
	c.send(forwarded(a.addr(), "/1"))
	sa := a.accept()
	sa.expect(rewritten(a.addr(), "/1"))
	sa.send("HTTP/1.1 2x0 What\r\n\r\n")
	c.expect("HTTP/1.1 2x0 What\r\n\r\n")
	c.send(forwarded(b.addr(), "/2"))
	sa.expectEnd()
	_, err := io.ReadAll(c)
	_ = err // a reset, where what was not read counts
	assert.Contains(t, only(t, r.wait(1)).Err, "malformed")
}

// What crypto/tls refuses, and other servers may not, is not opened: it passes.
func TestUnanswerableClientHelloPasses(t *testing.T) {
	for what, tt := range map[string]struct {
		edit func([]byte) []byte
		why  string
	}{
		"early data":     {func(h []byte) []byte { return withExtension(h, "\x00\x2a\x00\x00") }, "early data"},
		"twice the same": {func(h []byte) []byte { return withExtension(h, "\x00\x17\x00\x00\x00\x17\x00\x00") }, "malformed"},
		"a dot":          {func(h []byte) []byte { return bytes.Replace(h, []byte("example"), []byte("exampl."), 1) }, "dot"},
		"none of it":     {func(h []byte) []byte { return h }, ""},
	} {
		t.Run(what, func(t *testing.T) {
			l := newLine(t, &proxy.Pipeline{MITM: newTerminator()}, proxy.Session{Host: "www.example:443"})
			a, b := net.Pipe()
			go tls.Client(a, &tls.Config{ServerName: "www.example"}).Handshake()
			hello := make([]byte, 4096)
			n, err := b.Read(hello)
			require.NoError(t, err)
			a.Close()
			sent := tt.edit(hello[:n])
			l.client.send(string(sent))
			if tt.why == "" {
				got := make([]byte, len(sent))
				io.ReadFull(l.server, got)
				assert.NotEqual(t, sent, got)
				l.client.Close()
				l.server.Close()
				l.records()
				return
			}
			l.server.expect(string(sent))
			assert.Contains(t, only(t, l.end()).TLS.NotOpened, tt.why)
		})
	}
}

// withExtension adds to a ClientHello that is in one record.
func withExtension(hello []byte, ext string) []byte {
	h := append(bytes.Clone(hello), ext...)
	add := func(at, size int) {
		n := len(ext)
		for i := at + size - 1; i >= at; i-- {
			n += int(h[i])
			h[i] = byte(n)
			n >>= 8
		}
	}
	add(3, 2)
	add(6, 3)
	at := 9 + 2 + 32
	at += 1 + int(h[at])
	at += 2 + int(h[at])<<8 + int(h[at+1])
	at += 1 + int(h[at])
	add(at, 2)
	return h
}

// A ClientHello that the connection's end has cut short is not malformed.
func TestClientHelloCutShort(t *testing.T) {
	l := newLine(t, &proxy.Pipeline{MITM: newTerminator()}, proxy.Session{Host: "www.example:443"})
	l.client.send("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
	l.server.reset()
	io.ReadAll(l.client)
	rec := only(t, l.records())
	assert.Empty(t, rec.Anomalies)
	assert.NotEmpty(t, rec.Err)
}

// A client whose Expect was refused goes on to its next request, which comes in
// pieces: it is not the body that was announced, and not to go on as it is.
func TestForwardExpectRefusedThenPieces(t *testing.T) {
	r, a := newRelay(t, &proxy.Server{}), newOrigin(t)
	c := r.dial()
	head := " HTTP/1.1\r\nHost: " + a.addr() + "\r\nContent-Length: 400\r\nExpect: 100-continue\r\n\r\n"
	c.send("POST http://" + a.addr() + "/1" + head)
	sa := a.accept()
	sa.expect("POST /1" + head)
	sa.send("HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n")
	c.expect("HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n")
	next := forwarded(a.addr(), "/2")
	for _, at := range []int{3, 20} {
		c.send(next[:at])
		time.Sleep(20 * time.Millisecond) // so that the pieces are read one by one
		next = next[at:]
	}
	c.send(next)
	sa.expect(rewritten(a.addr(), "/2"))
	sa.send(hello)
	c.expect(hello)
	records := r.wait(2)
	assert.Equal(t, []int{417, 200}, []int{records[0].HTTP.StatusCode, records[1].HTTP.StatusCode})
	assert.Empty(t, records[1].HTTP.Request.Header.Get("Proxy-Authorization"))
}
