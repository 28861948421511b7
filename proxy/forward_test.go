package proxy_test

import (
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/proxyglass/proxyglass/proxy"
)

// What the origin gets of a request in absolute-form, byte for byte. ADDR stands
// for the origin's address, PORT for its port.
func TestForwardRewrites(t *testing.T) {
	for _, tt := range []struct{ name, sent, got string }{
		{"same Host", "GET http://ADDR/a?b HTTP/1.1\r\nHost: ADDR\r\n\r\n", "GET /a?b HTTP/1.1\r\nHost: ADDR\r\n\r\n"},
		{"all else as it is", "GET http://ADDR/ HTTP/1.1\r\nhOst:ADDR \r\nx-A: 1\r\nX-a:2\r\nConnection: Upgrade, TE\r\nUpgrade: x\r\nTE: trailers\r\nKeep-Alive: 5\r\n\r\n",
			"GET / HTTP/1.1\r\nhOst:ADDR \r\nx-A: 1\r\nX-a:2\r\nConnection: Upgrade, TE\r\nUpgrade: x\r\nTE: trailers\r\nKeep-Alive: 5\r\n\r\n"},
		{"another Host", "GET http://ADDR/ HTTP/1.1\r\nA: 1\r\nHost: other.example\r\nB: 2\r\n\r\n", "GET / HTTP/1.1\r\nA: 1\r\nHost: ADDR\r\nB: 2\r\n\r\n"},
		{"another Host, folded", "GET http://ADDR/ HTTP/1.1\r\nHost:\r\n other.example\r\nB: 2\r\n\r\n", "GET / HTTP/1.1\r\nHost: ADDR\r\nB: 2\r\n\r\n"},
		{"no Host", "GET http://ADDR/ HTTP/1.1\r\nA: 1\r\n\r\n", "GET / HTTP/1.1\r\nA: 1\r\nHost: ADDR\r\n\r\n"},
		{"no Host, HTTP/1.0", "GET http://ADDR/ HTTP/1.0\r\nA: 1\r\n\r\n", "GET / HTTP/1.0\r\nA: 1\r\n\r\n"},
		{"no fields", "GET http://ADDR/ HTTP/1.0\r\n\r\n", "GET / HTTP/1.0\r\n\r\n"},
		{"two Hosts", "GET http://ADDR/ HTTP/1.1\r\nHost: ADDR\r\nHost: b\r\n\r\n", "GET / HTTP/1.1\r\nHost: ADDR\r\n\r\n"},
		{"two other Hosts", "GET http://ADDR/ HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "GET / HTTP/1.1\r\nHost: ADDR\r\n\r\n"},
		{"what is meant for us", "GET http://ADDR/ HTTP/1.1\r\nHost: ADDR\r\nproxy-CONNECTION: keep-alive\r\nA: 1\r\nProxy-Authorization: Basic\r\n\tYTpi\r\n more\r\nPROXY-authorization : x\r\nB: 2\r\n\r\n",
			"GET / HTTP/1.1\r\nHost: ADDR\r\nA: 1\r\nB: 2\r\n\r\n"},
		{"folded before the first field", "GET http://ADDR/ HTTP/1.1\r\n Proxy-Authorization: x\r\nHost: ADDR\r\n\r\n", "GET / HTTP/1.1\r\nHost: ADDR\r\n\r\n"},
		{"a fold of another field", "GET http://ADDR/ HTTP/1.1\r\nHost: ADDR\r\nA: 1\r\n  2\r\n\r\n", "GET / HTTP/1.1\r\nHost: ADDR\r\nA: 1\r\n  2\r\n\r\n"},
		{"LF alone", "GET http://ADDR/ HTTP/1.1\nHost: ADDR\nA: 1\n\n", "GET / HTTP/1.1\r\nHost: ADDR\nA: 1\n\r\n"},
		{"no path", "GET http://ADDR HTTP/1.1\r\nHost: ADDR\r\n\r\n", "GET / HTTP/1.1\r\nHost: ADDR\r\n\r\n"},
		{"a query alone", "GET http://ADDR?q=/x HTTP/1.1\r\nHost: ADDR\r\n\r\n", "GET /?q=/x HTTP/1.1\r\nHost: ADDR\r\n\r\n"},
		{"OPTIONS of the whole server", "OPTIONS http://ADDR HTTP/1.1\r\nHost: ADDR\r\n\r\n", "OPTIONS * HTTP/1.1\r\nHost: ADDR\r\n\r\n"},
		{"OPTIONS of a path", "OPTIONS http://ADDR/ HTTP/1.1\r\nHost: ADDR\r\n\r\n", "OPTIONS / HTTP/1.1\r\nHost: ADDR\r\n\r\n"},
		{"userinfo", "GET http://u:p@ADDR/a@b HTTP/1.1\r\nHost: ADDR\r\n\r\n", "GET /a@b HTTP/1.1\r\nHost: ADDR\r\n\r\n"},
		{"a fragment", "GET http://ADDR/a#b HTTP/1.1\r\nHost: ADDR\r\n\r\n", "GET /a HTTP/1.1\r\nHost: ADDR\r\n\r\n"},
		{"scheme in capitals, odd path", "GET HTTP://ADDR//%2e/../ü HTTP/1.1\r\nHost: ADDR\r\n\r\n", "GET //%2e/../ü HTTP/1.1\r\nHost: ADDR\r\n\r\n"},
		{"a body", "POST http://ADDR/ HTTP/1.1\r\nHost: ADDR\r\nProxy-Connection: x\r\nContent-Length: 3\r\n\r\nabc", "POST / HTTP/1.1\r\nHost: ADDR\r\nContent-Length: 3\r\n\r\nabc"},
		{"chunks", "POST http://ADDR/ HTTP/1.1\r\nHost: ADDR\r\nTransfer-Encoding: chunked\r\n\r\n1;x\r\na\r\n0\r\nT: 1\r\n\r\n", "POST / HTTP/1.1\r\nHost: ADDR\r\nTransfer-Encoding: chunked\r\n\r\n1;x\r\na\r\n0\r\nT: 1\r\n\r\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, o := newRelay(t, &proxy.Server{}), newOrigin(t)
			sent := strings.ReplaceAll(tt.sent, "ADDR", o.addr())
			c := r.dial()
			c.send(sent)
			s := o.accept()
			s.expect(strings.ReplaceAll(tt.got, "ADDR", o.addr()))
			s.send(hello)
			c.expect(hello)
			c.closeWrite()
			s.expectEnd()
			rec := r.wait(1)[0]
			assert.Empty(t, rec.Err)
			assert.Equal(t, strings.Split(sent, " ")[1], rec.HTTP.URI)
			assert.Equal(t, "http", rec.HTTP.Scheme)
			assert.Equal(t, o.addr(), rec.Host)
			assert.EqualValues(t, len(sent), rec.InputBytes)
			assert.EqualValues(t, len(hello), rec.OutputBytes)
			assert.Empty(t, rec.HTTP.Request.Header.Get("Proxy-Authorization"))
			assert.Positive(t, rec.Timings.ResponseEnd)
		})
	}
}

// forwarded is a request in absolute-form with credentials.
func forwarded(addr, path string) string {
	return "GET http://" + addr + path + " HTTP/1.1\r\nHost: " + addr + "\r\nProxy-Authorization: Basic YW5uOnNlY3JldA==\r\n\r\n"
}

// rewritten is what the origin gets of it.
func rewritten(addr, path string) string {
	return "GET " + path + " HTTP/1.1\r\nHost: " + addr + "\r\n\r\n"
}

func TestForwardKeepsAlive(t *testing.T) {
	r, o := newRelay(t, &proxy.Server{}), newOrigin(t)
	c := r.dial()
	c.send(forwarded(o.addr(), "/1"))
	s := o.accept()
	s.expect(rewritten(o.addr(), "/1"))
	s.send(hello)
	c.expect(hello)
	c.send(forwarded(o.addr(), "/2") + forwarded(o.addr(), "/3"))
	s.expect(rewritten(o.addr(), "/2") + rewritten(o.addr(), "/3"))
	s.send(hello + empty)
	c.expect(hello + empty)
	third := forwarded(o.addr(), "/4")
	c.send(third[:20])
	c.send(third[20:])
	s.expect(rewritten(o.addr(), "/4"))
	s.send(hello)
	c.expect(hello)
	records := r.wait(4)
	for i, rec := range records {
		assert.EqualValues(t, i+1, rec.Seq)
		assert.Equal(t, records[0].SID, rec.SID)
	}
}

// A request for another target waits for the answers before it, and what came
// with it is not lost.
func TestForwardToAnotherTarget(t *testing.T) {
	r, a, b := newRelay(t, &proxy.Server{}), newOrigin(t), newOrigin(t)
	c := r.dial()
	c.send(forwarded(a.addr(), "/1") + forwarded(a.addr(), "/2") + forwarded(b.addr(), "/3") + forwarded(a.addr(), "/4"))
	sa := a.accept()
	sa.expect(rewritten(a.addr(), "/1") + rewritten(a.addr(), "/2"))
	accepted := make(chan *peer, 1)
	go func() { accepted <- b.accept() }()
	const slow = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
	sa.send(hello + slow)
	c.expect(hello + slow)
	select {
	case <-accepted:
		require.Fail(t, "released before the answers before it were complete")
	case <-time.After(50 * time.Millisecond):
	}
	sa.send("1\r\na\r\n0\r\n\r\n")
	c.expect("1\r\na\r\n0\r\n\r\n")
	sb := <-accepted
	sb.expect(rewritten(b.addr(), "/3"))
	sa.expectEnd()
	sb.send(hello)
	c.expect(hello)
	sa = a.accept()
	sa.expect(rewritten(a.addr(), "/4"))
	sa.send(empty)
	c.expect(empty)
	sb.expectEnd()
	records := r.wait(4)
	for i, rec := range records {
		assert.Equal(t, "/"+itoa(i+1), rec.HTTP.URI[len(rec.HTTP.URI)-2:])
		assert.Equal(t, records[0].SID, rec.SID, "one connection of the client's, one session")
		assert.EqualValues(t, i+1, rec.Seq)
		assert.Empty(t, rec.Err)
		assert.NotContains(t, string(rec.AppendJSON(nil)), "YW5u")
	}
	assert.Equal(t, b.addr(), records[2].Dst)
}

func TestForwardThenConnect(t *testing.T) {
	r, a, b := newRelay(t, &proxy.Server{}), newOrigin(t), newOrigin(t)
	c := r.dial()
	c.send(forwarded(a.addr(), "/"))
	sa := a.accept()
	sa.expect(rewritten(a.addr(), "/"))
	sa.send(hello)
	c.expect(hello)
	c.send("CONNECT " + b.addr() + " HTTP/1.1\r\nProxy-Authorization: x\r\n\r\n")
	sb := b.accept()
	c.expect("HTTP/1.1 200 Connection established\r\nProxy-Agent: proxyglass\r\n\r\n")
	c.send(get)
	sb.expect(get)
	sb.send(hello)
	c.expect(hello)
	records := r.wait(2)
	assert.Equal(t, "GET / 200 >hello", brief(records[1]), "inside the CONNECT, whose own record is not needed")
	assert.Equal(t, b.addr(), records[1].Host)
}

// What a client says to its proxy does not reach an origin, whatever else is
// wrong with the request.
func TestForwardKeepsSecrets(t *testing.T) {
	const secret = "Proxy-Authorization: Basic c2VjcmV0\r\n"
	for _, tt := range []struct{ name, second, answer string }{
		{"malformed", "GET http://ADDR/ HTTP/1.1\r\n" + secret + "Content-Length: x\r\n\r\n", "400"},
		{"garbage", "\x01\x02\x03\r\n" + secret + "\r\n", "400"},
		{"origin-form", "GET / HTTP/1.1\r\n" + secret + "\r\n", "400"},
		{"another scheme", "GET ftp://ADDR/ HTTP/1.1\r\n" + secret + "\r\n", "400"},
		{"too long", "GET http://ADDR/ HTTP/1.1\r\n" + secret + "X: " + strings.Repeat("x", 600<<10) + "\r\n\r\n", "431"},
		{"never whole", "GET http://ADDR/ HTTP/1.1\r\n" + secret, "408"},
		{"an HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "400"},
		{"a coding without end", "POST http://ADDR/ HTTP/1.1\r\n" + secret + "Transfer-Encoding: gzip\r\n\r\n", "400"},
		{"a chunk that is none", "POST http://ADDR/ HTTP/1.1\r\nHost: ADDR\r\nTransfer-Encoding: chunked\r\n\r\nGET http://ADDR/ HTTP/1.1\r\n" + secret + "\r\n", "400"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, o := newRelay(t, &proxy.Server{Front: &proxy.HTTP{HeaderTimeout: 50 * time.Millisecond}}), newOrigin(t)
			c := r.dial()
			c.send(forwarded(o.addr(), "/"))
			s := o.accept()
			s.expect(rewritten(o.addr(), "/"))
			s.send(hello)
			c.expect(hello)
			go io.WriteString(c, strings.ReplaceAll(tt.second, "ADDR", o.addr()))
			c.expect("HTTP/1.1 " + tt.answer)
			rest, _ := io.ReadAll(c)
			assert.Contains(t, string(rest), "\r\nConnection: close\r\n")
			assert.Contains(t, string(rest), "proxyglass: ")
			got, err := io.ReadAll(s)
			assert.NoError(t, err)
			assert.NotContains(t, string(got), "Proxy-Authorization")
			assert.NotContains(t, string(got), "Basic")
		})
	}
	t.Run("gone within the head", func(t *testing.T) {
		r, o := newRelay(t, &proxy.Server{}), newOrigin(t)
		c := r.dial()
		c.send(forwarded(o.addr(), "/"))
		s := o.accept()
		s.expect(rewritten(o.addr(), "/"))
		s.send(hello)
		c.expect(hello)
		c.send("GET http://" + o.addr() + "/ HTTP/1.1\r\n" + secret)
		c.closeWrite()
		s.expectEnd()
	})
	t.Run("the origin speaks first", func(t *testing.T) {
		for range 20 {
			r, o := newRelay(t, &proxy.Server{}), newOrigin(t)
			go func() {
				s := o.accept()
				s.send("SSH-2.0-x\r\n")
				got := make([]byte, len(rewritten(o.addr(), "/")))
				io.ReadFull(s, got)
				assert.Equal(t, rewritten(o.addr(), "/"), string(got))
				s.Close()
			}()
			c := r.dial()
			c.send(forwarded(o.addr(), "/"))
			io.ReadAll(c)
			r.close()
		}
	})
	t.Run("a Protocol that claims HTTP", func(t *testing.T) {
		p := &proxy.Pipeline{Protocols: []proxy.Protocol{claims{}}}
		r, o := newRelay(t, &proxy.Server{Pipeline: p}), newOrigin(t)
		c := r.dial()
		c.send(forwarded(o.addr(), "/"))
		o.accept().expect(rewritten(o.addr(), "/"))
	})
	t.Run("switched unasked", func(t *testing.T) {
		r, o := newRelay(t, &proxy.Server{}), newOrigin(t)
		c := r.dial()
		c.send(forwarded(o.addr(), "/"))
		s := o.accept()
		s.expect(rewritten(o.addr(), "/"))
		s.send("HTTP/1.1 101 Switching Protocols\r\n\r\n")
		c.expect("HTTP/1.1 101 Switching Protocols\r\n\r\n")
		c.send(forwarded(o.addr(), "/2"))
		s.expect(rewritten(o.addr(), "/2"))
	})
}

// With sniffing off a forwarded request has its record, and no more is looked at.
func TestForwardNoSniff(t *testing.T) {
	r, o := newRelay(t, &proxy.Server{Pipeline: &proxy.Pipeline{NoSniff: true}}), newOrigin(t)
	c := r.dial()
	c.send(forwarded(o.addr(), "/"))
	s := o.accept()
	s.expect(rewritten(o.addr(), "/"))
	s.send(hello)
	c.expect(hello)
	assert.Equal(t, "GET http://"+o.addr()+"/ 200...5", brief(r.wait(1)[0]))
}

// The origin has gone when the next request comes: the client is told by an end
// of the connection, as by any server that does not keep it alive.
func TestForwardOriginGone(t *testing.T) {
	r, a, b := newRelay(t, &proxy.Server{}), newOrigin(t), newOrigin(t)
	c := r.dial()
	c.send(forwarded(a.addr(), "/"))
	s := a.accept()
	s.expect(rewritten(a.addr(), "/"))
	s.send(hello)
	c.expect(hello)
	s.Close()
	c.expectEnd()
	c.send(forwarded(b.addr(), "/")) // which nobody could answer any more
	require.Len(t, only(t, r.wait(1)).HTTP.Response.Body, 5)
	r.close()
	b.l.(interface{ SetDeadline(time.Time) error }).SetDeadline(time.Now())
	_, err := b.l.Accept()
	assert.Error(t, err, "the request must not be made")
}

func TestForwardDialFails(t *testing.T) {
	gone := newOrigin(t)
	gone.l.Close()
	r, o := newRelay(t, &proxy.Server{}), newOrigin(t)
	c := r.dial()
	c.send(forwarded(gone.addr(), "/") + forwarded(o.addr(), "/"))
	s := o.accept()
	s.expect(rewritten(o.addr(), "/"))
	s.send(hello)
	answer := make([]byte, 4096)
	n, err := io.ReadAtLeast(c, answer, len(hello)+100)
	require.NoError(t, err)
	text := string(answer[:n])
	for !strings.HasSuffix(text, hello) {
		n, err := c.Read(answer)
		require.NoError(t, err)
		text += string(answer[:n])
	}
	assert.Contains(t, text, "HTTP/1.1 502 Bad Gateway\r\n")
	assert.Contains(t, text, "proxyglass: dial tcp "+gone.addr()+": connect: connection refused\n")
	records := r.wait(2)
	rec := records[0]
	assert.Equal(t, 502, rec.HTTP.StatusCode)
	assert.Contains(t, rec.Err, "connection refused")
	assert.Equal(t, gone.addr(), rec.Host)
	assert.Equal(t, "http", rec.Proto)
	assert.Contains(t, string(rec.HTTP.Response.Body), "refused")
	assert.EqualValues(t, len(forwarded(gone.addr(), "/")), rec.InputBytes)
	assert.EqualValues(t, strings.Index(text, hello), rec.OutputBytes)
	assert.Nil(t, rec.Timings)
	assert.NotContains(t, string(rec.AppendJSON(nil)), "YW5u")
	assert.Equal(t, "GET http://"+o.addr()+"/ 200 >hello", brief(records[1]))
}
