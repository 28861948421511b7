package proxy_test

import (
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/proxyglass/proxyglass/proxy"
	"github.com/proxyglass/proxyglass/record"
	"github.com/proxyglass/proxyglass/record/recordtest"
)

// A server that speaks first is heard at once, whatever it says.
func TestServerFirst(t *testing.T) {
	mysql := "J\x00\x00\x00\n8.0.32\x00\x14\x00\x00\x00" + strings.Repeat("a", 8) + "\x00" + strings.Repeat("b", 45)
	for _, tt := range []struct{ name, greeting, proto string }{
		{"SMTP", "220 mail.example ESMTP\r\n", "smtp"},
		{"SMTP, many lines", "220-mail.example\r\n220 ESMTP ready\r\n", "smtp"},
		{"SSH", "SSH-2.0-OpenSSH_9.6\r\n", "ssh"},
		{"MySQL", mysql, "mysql"},
		{"unknown", "\x00hello\r\n", ""},
		{"unknown, in two parts", "2", ""},
	} {
		for _, pieces := range []int{1, 1000} {
			t.Run(tt.name+"/"+itoa(pieces), func(t *testing.T) {
				l := newLine(t, &proxy.Pipeline{MITM: newTerminator()}, proxy.Session{Host: "h:1", Connect: &record.HTTP{Method: "CONNECT", URI: "h:1"}})
				for s := tt.greeting; s != ""; {
					n := min(pieces, len(s))
					pass(t, l.server, l.client, s[:n])
					s = s[n:]
				}
				l.pass("\x00from the client\r\n", "\x00and back")
				r := only(t, l.end())
				want := tt.proto
				if want == "" {
					want = "http" // of the CONNECT
				}
				assert.Equal(t, want, r.Proto)
				assert.Equal(t, "CONNECT", r.HTTP.Method)
				assert.EqualValues(t, 18, r.InputBytes)
				assert.EqualValues(t, len(tt.greeting)+9, r.OutputBytes)
			})
		}
	}
}

// A greeting that tells nothing leaves the word to the client.
func TestUnknownGreetingThenTheClientDecides(t *testing.T) {
	for _, greeting := range []string{"\x00", "220", strings.Repeat("220-terms\r\n", 1000)} {
		l := newLine(t, nil, proxy.Session{Host: "h:1"})
		pass(t, l.server, l.client, greeting)
		l.pass(get, hello)
		records := l.end()
		assert.Equal(t, "GET / 200 >hello [garbage]", brief(only(t, records)))

		for _, opened := range []bool{false, true} {
			p := &proxy.Pipeline{}
			if opened {
				p.MITM = newTerminator()
			}
			l = newLine(t, p, proxy.Session{Host: name + ":443"})
			pass(t, l.server, l.client, greeting)
			l.handshake(clientConfig(name), originConfig(name, nil))
			l.ask()
			r := only(t, l.endTLS())
			assert.Equal(t, "tls", r.Proto)
			assert.Equal(t, opened, r.TLS.Intercepted)
			assert.NotZero(t, r.TLS.ServerHello)
		}
	}
}

// What answers a client is no greeting, though it may look like one.
func TestAnswerIsNoGreeting(t *testing.T) {
	l := newLine(t, nil, proxy.Session{})
	pass(t, l.client, l.server, "GET") // may still be HTTP
	pass(t, l.server, l.client, "+OK\r\n")
	pass(t, l.client, l.server, " / HTTP/1.1\r\n\r\n")
	pass(t, l.server, l.client, hello)
	assert.Equal(t, "GET / 200 >hello [garbage]", brief(only(t, l.end())))
}

// A client that is recognised late is given up after the time-out, and nobody
// is kept waiting meanwhile.
func TestSniffTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, client := net.Pipe()
		server, theirs := net.Pipe()
		seen := &recordtest.Collector{}
		p := &proxy.Pipeline{Recorder: seen, SniffTimeout: time.Second}
		done := make(chan error, 1)
		go func() { done <- p.Serve(t.Context(), ours, server, proxy.Session{}) }()
		time.Sleep(time.Hour)
		start := time.Now()
		for _, part := range []string{"GET", " /", " HTTP/1.1\r\n\r\n"} {
			go client.Write([]byte(part))
			b := make([]byte, len(part))
			_, err := io.ReadFull(theirs, b)
			require.NoError(t, err)
			assert.Zero(t, time.Since(start), "nothing is held")
			time.Sleep(2 * time.Second)
			start = time.Now()
		}
		client.Close()
		theirs.Close()
		<-done
		p.Close(t.Context())
		r := only(t, seen.Records())
		assert.Empty(t, r.Proto, "given up")
		assert.Nil(t, r.HTTP)
		assert.EqualValues(t, len("GET / HTTP/1.1\r\n\r\n"), r.InputBytes)
	})
}

func TestUnknownProtocols(t *testing.T) {
	for up, proto := range map[string]string{
		"\x00\x01\x02":                        "",
		"SSH-2.0-client\r\n":                  "ssh",
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n":    "h2",
		"EHLO me\r\n":                         "smtp",
		"GET /\r\n":                           "",
		strings.Repeat("x", 20<<10):           "",
		"\x16\x03\x01\x00\x01\x00not a hello": "",
	} {
		l := newLine(t, &proxy.Pipeline{MITM: newTerminator()}, proxy.Session{})
		pass(t, l.client, l.server, up)
		pass(t, l.server, l.client, "answer")
		r := only(t, l.end())
		assert.Equal(t, proto, r.Proto, "%.20q", up)
		assert.EqualValues(t, len(up), r.InputBytes)
		assert.EqualValues(t, 6, r.OutputBytes)
		assert.Empty(t, r.Err)
	}
}

func TestNothingSaid(t *testing.T) {
	l := newLine(t, nil, proxy.Session{Host: "h:1"})
	r := only(t, l.end())
	assert.Zero(t, r.InputBytes)
	assert.Equal(t, "h:1", r.Host)
}

// With sniffing off a connection has the record of its CONNECT.
func TestNoSniff(t *testing.T) {
	connect := &record.HTTP{Method: "CONNECT", URI: "h:1", StatusCode: 200}
	l := newLine(t, &proxy.Pipeline{NoSniff: true, MITM: newTerminator()}, proxy.Session{Connect: connect})
	l.pass(get, hello)
	r := only(t, l.end())
	assert.Equal(t, "CONNECT h:1 200", brief(r))
	assert.Equal(t, "http", r.Proto)
	assert.EqualValues(t, len(get), r.InputBytes)
}
