package proxy_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/proxyglass/proxyglass/proxy"
)

func TestHTTP1KeepAlive(t *testing.T) {
	l := newLine(t, nil, proxy.Session{Host: "example.com:80"})
	const (
		get  = "GET /a HTTP/1.1\r\nHost: example.com\r\nX-Mixed-CASE: 1\r\n\r\n"
		ok   = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nETag: x\r\n\r\nhello"
		post = "POST /b HTTP/1.1\r\nHost: example.com\r\nContent-Length: 3\r\n\r\nabc"
		no   = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
	)
	l.pass(get, ok)
	l.pass(post, no)
	records := l.end()
	assert.NoError(t, l.err)
	if !assert.Len(t, records, 2) {
		return
	}
	r := records[0]
	assert.Equal(t, "GET", r.HTTP.Method)
	assert.Equal(t, "/a", r.HTTP.URI)
	assert.Equal(t, "example.com", r.HTTP.Host)
	assert.Equal(t, "HTTP/1.1", r.HTTP.Proto)
	assert.Equal(t, 200, r.HTTP.StatusCode)
	assert.Equal(t, "X-Mixed-CASE", r.HTTP.Request.Header[0].Name)
	assert.Equal(t, "hello", string(r.HTTP.Response.Body))
	assert.EqualValues(t, 5, r.HTTP.Response.ContentLength)
	assert.EqualValues(t, len(get), r.InputBytes)
	assert.EqualValues(t, len(ok), r.OutputBytes)
	assert.Equal(t, "http", r.Proto)
	assert.Equal(t, "example.com:80", r.Host)
	assert.Empty(t, r.Err)
	assert.EqualValues(t, 1, r.Seq)
	r = records[1]
	assert.Equal(t, "abc", string(r.HTTP.Request.Body))
	assert.Equal(t, 404, r.HTTP.StatusCode)
	assert.EqualValues(t, len(post), r.InputBytes)
	assert.EqualValues(t, 2, r.Seq)
}
