package proxy_test

import (
	"encoding/base64"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/proxyglass/proxyglass/proxy"
)

func basic(user string) string {
	return "Proxy-Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(user)) + "\r\n"
}

func TestAuth(t *testing.T) {
	for _, tt := range []struct {
		name, field string
		user        string // empty: refused
	}{
		{"right", basic("ann:secret"), "ann"},
		{"a colon in the password", basic("bob:a:b"), "bob"},
		{"an empty password", basic("eve:"), "eve"},
		{"scheme in other case", "proxy-authorization: bASIC   " + base64.StdEncoding.EncodeToString([]byte("ann:secret")) + "\r\n", "ann"},
		{"folded", "Proxy-Authorization: Basic\r\n " + base64.StdEncoding.EncodeToString([]byte("ann:secret")) + "\r\n", "ann"},
		{"missing", "", ""},
		{"meant for the origin", "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte("ann:secret")) + "\r\n", ""},
		{"wrong password", basic("ann:Secret"), ""},
		{"no password", basic("ann"), ""},
		{"empty password", basic("ann:"), ""},
		{"unknown user", basic("joe:"), ""},
		{"no user", basic(":"), ""},
		{"no base64", "Proxy-Authorization: Basic ann:secret\r\n", ""},
		{"another scheme", "Proxy-Authorization: Bearer " + base64.StdEncoding.EncodeToString([]byte("ann:secret")) + "\r\n", ""},
		{"nothing behind the scheme", "Proxy-Authorization: Basic\r\n", ""},
		{"the first counts", basic("ann:wrong") + basic("ann:secret"), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			front := &proxy.HTTP{Realm: `te"st`, Users: map[string]string{"ann": "secret", "bob": "a:b", "eve": ""}}
			r, o := newRelay(t, &proxy.Server{Front: front}), newOrigin(t)
			c := r.dial()
			connect := "CONNECT " + o.addr() + " HTTP/1.1\r\n"
			c.send(connect + tt.field + "\r\n")
			if tt.user == "" {
				c.expect("HTTP/1.1 407 Proxy Authentication Required\r\n")
				rest := "Content-Type: text/plain; charset=utf-8\r\nProxy-Agent: proxyglass\r\n" +
					"Proxy-Authenticate: Basic realm=\"test\", charset=\"UTF-8\"\r\nContent-Length: 42\r\n\r\n" +
					"proxyglass: proxy authentication required\n"
				c.expect(rest)
				c.send(connect + basic("ann:secret") + "\r\n") // on the same connection
			}
			s := o.accept()
			c.expect("HTTP/1.1 200 ")
			s.Close()
			io.ReadAll(c)
			c.Close()
			rec := only(t, r.wait(1))
			want := tt.user
			if want == "" {
				want = "ann"
			}
			assert.Equal(t, want, rec.ClientID)
			json := string(rec.AppendJSON(nil))
			assert.NotContains(t, json, "Proxy-Authorization")
			assert.NotContains(t, json, "c2VjcmV0")
		})
	}
}

// With a body behind it a request cannot be answered and forgotten.
func TestAuthRefusesABody(t *testing.T) {
	r := newRelay(t, &proxy.Server{Front: &proxy.HTTP{Users: map[string]string{}}})
	c := r.dial()
	c.send("POST http://a/ HTTP/1.1\r\nContent-Length: 99\r\n\r\nGET http://b/ HTTP/1.1\r\n\r\n")
	answer, err := io.ReadAll(c)
	require.NoError(t, err)
	assert.Contains(t, string(answer), "HTTP/1.1 407 ")
	assert.Equal(t, 1, strings.Count(string(answer), "HTTP/1.1"))
	assert.Contains(t, string(answer), "Connection: close")
}

// Each request is asked for its credentials, also on a connection that stands.
func TestAuthOnAKeptConnection(t *testing.T) {
	front := &proxy.HTTP{Users: map[string]string{"ann": "1", "bob": "2"}}
	r, o := newRelay(t, &proxy.Server{Front: front}), newOrigin(t)
	c := r.dial()
	ask := func(field string) { c.send("GET http://" + o.addr() + "/ HTTP/1.1\r\n" + field + "\r\n") }
	answered := func(s *peer) {
		s.expect("GET / HTTP/1.1\r\nHost: " + o.addr() + "\r\n\r\n")
		s.send(hello)
		c.expect(hello)
	}
	ask(basic("ann:1"))
	s := o.accept()
	answered(s)
	ask(basic("ann:1"))
	answered(s)
	ask(basic("bob:2"))
	s.expectEnd()
	s = o.accept() // another user's requests go by a connection of their own
	answered(s)
	ask("")
	s.expectEnd()
	c.expect("HTTP/1.1 407 ")
	records := r.wait(3)
	users := ""
	for _, rec := range records {
		users += rec.ClientID + " "
		assert.NotContains(t, string(rec.AppendJSON(nil)), "Basic ")
	}
	assert.Equal(t, "ann ann bob ", users)
}
