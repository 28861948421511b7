package main_test

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/proxyglass/proxyglass/record"
)

// A turn is what the client sends, what the server answers when all of that has
// come, and what the records should say of it.
type turn struct {
	name             string
	request, respond string
	want             []want
}

// want is what is checked of one record.
type want struct {
	method, uri          string
	status               int
	requestN, responseN  int64 // lengths of the bodies
	anomaly              string
	requestH, responseH  record.Header
	requestT, responseT  record.Header
	request_, responseOf string // bodies; empty: not looked at
}

var long = strings.Repeat("0123456789abcdef", 100<<10/16)

// conversation is odd, and none of our business.
var conversation = []turn{
	{
		"mixed case, repeated fields, odd spaces",
		"GET /case?a=%41 HTTP/1.1\r\nhOST: x.test\r\nx-A: 1\r\nX-a:2\r\nX-A: \t3 \t\r\nx-empty:\r\n\r\n",
		"HTTP/1.1 200\r\nCONTENT-length: 2\r\nset-cookie: a=1\r\nSet-COOKIE: b=2\r\n\r\nhi",
		[]want{{
			method: "GET", uri: "/case?a=%41", status: 200, responseN: 2,
			requestH:  record.Header{{Name: "X-A", Value: "1"}, {Name: "X-A", Value: "2"}, {Name: "X-A", Value: "3"}, {Name: "X-Empty", Value: ""}},
			responseH: record.Header{{Name: "Content-Length", Value: "2"}, {Name: "Set-Cookie", Value: "a=1"}, {Name: "Set-Cookie", Value: "b=2"}},
		}},
	},
	{
		"103 and then 200",
		"\r\nGET /early HTTP/1.1\r\nHost: x.test\r\n\r\n",
		"HTTP/1.1 103 Early Hints\r\nLink: </s.css>; rel=preload\r\n\r\nHTTP/1.1 103 Again\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
		[]want{{method: "GET", uri: "/early", status: 200, responseH: record.Header{{Name: "Content-Length", Value: "0"}}}},
	},
	{
		"chunk extensions and trailers",
		"POST /chunks HTTP/1.1\r\nHost: x.test\r\nTransfer-Encoding: chunked\r\n\r\n" +
			"00A;name=\"a;\\\"b\"\r\n0123456789\r\n1 ; x\r\na\r\n000;last\r\nX-Sum: 1\r\nx-sum: 2\r\n\r\n",
		"HTTP/1.1 200 OK\r\ntransfer-encoding: CHUNKED\r\nTrailer: X-T\r\n\r\n5;ext\r\nhello\r\n0\r\nx-t: late\r\n\r\n",
		[]want{{
			method: "POST", uri: "/chunks", status: 200, requestN: 11, responseN: 5,
			requestT:  record.Header{{Name: "X-Sum", Value: "1"}, {Name: "X-Sum", Value: "2"}},
			responseT: record.Header{{Name: "X-T", Value: "late"}},
			request_:  "0123456789a", responseOf: "hello",
		}},
	},
	{
		"obsolete folding",
		"GET /fold HTTP/1.1\r\nHost: x.test\r\nX-Folded: one\r\n\ttwo\r\n   three\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-Folded: four\r\n five\r\n\r\n",
		[]want{{
			method: "GET", uri: "/fold", status: 200, anomaly: "obs-fold",
			requestH:  record.Header{{Name: "X-Folded", Value: "one two three"}},
			responseH: record.Header{{Name: "Content-Length", Value: "0"}, {Name: "X-Folded", Value: "four five"}},
		}},
	},
	{
		"heads of 100 KiB",
		"GET /long HTTP/1.1\r\nHost: x.test\r\nX-Long: " + long + "\r\n\r\n",
		"HTTP/1.1 200 OK\r\nX-Long: " + long + "\r\nContent-Length: 0\r\n\r\n",
		[]want{{
			method: "GET", uri: "/long", status: 200,
			requestH:  record.Header{{Name: "X-Long", Value: long}},
			responseH: record.Header{{Name: "X-Long", Value: long}, {Name: "Content-Length", Value: "0"}},
		}},
	},
	{
		"pipelining, and answers without a body",
		"HEAD /head HTTP/1.1\r\nHost: x.test\r\n\r\n" +
			"GET /204 HTTP/1.1\r\nHost: x.test\r\n\r\n" +
			"DELETE /304 HTTP/1.1\r\nHost: x.test\r\nContent-Length: 3\r\n\r\nabc" +
			"GET /last HTTP/1.1\r\nHost: x.test\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" +
			"HTTP/1.1 204 No Content\r\n\r\n" +
			"HTTP/1.1 304 Not Modified\r\nContent-Length: 77\r\nTransfer-Encoding: chunked\r\n\r\n" +
			"HTTP/1.1 404 Not Found\r\nContent-Length: 3\r\n\r\nno!",
		[]want{
			{method: "HEAD", uri: "/head", status: 200, responseH: record.Header{{Name: "Content-Length", Value: "1000"}}},
			{method: "GET", uri: "/204", status: 204},
			{method: "DELETE", uri: "/304", status: 304, requestN: 3, request_: "abc"},
			{method: "GET", uri: "/last", status: 404, responseN: 3, responseOf: "no!"},
		},
	},
	{
		"line feeds alone, and a method that nobody knows",
		"FROB /lf HTTP/1.1\nHost: x.test\n\n",
		"HTTP/1.1 299 Odd\nContent-Length: 1\n\n!",
		[]want{{method: "FROB", uri: "/lf", status: 299, responseN: 1}},
	},
	{
		"garbage after an answer",
		"GET /garbage HTTP/1.1\r\nHost: x.test\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok\x00\x01 and more that nobody asked for\r\n",
		[]want{{method: "GET", uri: "/garbage", status: 200, responseN: 2, responseOf: "ok"}},
	},
	{
		"after the garbage; until the connection ends",
		"GET /close HTTP/1.0\r\n\r\n",
		"HTTP/1.0 200 OK\r\nServer: old\r\n\r\nall that comes",
		[]want{{method: "GET", uri: "/close", status: 200, responseN: 14, responseOf: "all that comes"}},
	},
}

// TestVerbatim holds the conversation through the inspector and compares what
// comes out at either end with what went in.
func TestVerbatim(t *testing.T) {
	t.Parallel()
	for _, w := range []way{tunnel, opened} {
		for _, flags := range [][]string{nil, {"-records", "none"}, {"-sniff=false"}, {"-body", "0"}, {"-mitm", "none"}} {
			t.Run(fmt.Sprint(w.name, flags), func(t *testing.T) {
				t.Parallel()
				p := start(t, flags...)
				roots := caFile()
				if p.passesTLS() {
					roots = pki.rootsFile
				}
				converse(t, p, w, roots)
				all := p.stop()
				if flags == nil {
					compare(t, all)
				}
			})
		}
	}
}

// passesTLS reports whether the program has said that it opens nothing.
func (p *inspector) passesTLS() bool { return strings.Contains(p.err.String(), "TLS is not opened") }

func converse(t *testing.T, p *inspector, w way, roots string) {
	t.Helper()
	server := make(chan error, 1)
	var cert *tls.Certificate
	if w.name == opened.name {
		cert = &pki.good
	}
	addr := serve(t, cert, func(c net.Conn) { server <- answer(c) })
	c := p.connect(addr)
	if cert != nil {
		c = tls.Client(c, trust(t, roots, "origin.test"))
	}
	for _, turn := range conversation {
		require.NoError(t, dribble(c, turn.request), turn.name)
		got := make([]byte, len(turn.respond))
		_, err := io.ReadFull(c, got)
		require.NoError(t, err, turn.name)
		require.True(t, turn.respond == string(got), "%s: got %.200q", turn.name, got)
	}
	rest, err := io.ReadAll(c)
	assert.NoError(t, err, "the end is as orderly as it was")
	assert.Empty(t, rest)
	assert.NoError(t, <-server)
	c.Close()
}

// answer is the server's part of the conversation.
func answer(c net.Conn) error {
	for _, turn := range conversation {
		got := make([]byte, len(turn.request))
		if _, err := io.ReadFull(c, got); err != nil {
			return fmt.Errorf("%s: %w", turn.name, err)
		}
		if !bytes.Equal(got, []byte(turn.request)) {
			return fmt.Errorf("%s: %.200q", turn.name, got)
		}
		if err := dribble(c, turn.respond); err != nil {
			return err
		}
	}
	return nil
}

// dribble writes in pieces of all sizes.
func dribble(w io.Writer, s string) error {
	for i, size := 0, 1; len(s) > 0; i++ {
		n := min(size, len(s))
		if _, err := io.WriteString(w, s[:n]); err != nil {
			return err
		}
		s = s[n:]
		size = []int{1, 2, 40, 3, 4000}[i%5]
	}
	return nil
}

// compare checks the records of the conversation.
func compare(t *testing.T, all []*entry) {
	t.Helper()
	i, sent, counted := 0, 0, int64(0)
	for _, turn := range conversation {
		sent += len(turn.respond)
		for _, w := range turn.want {
			require.Greater(t, len(all), i, turn.name)
			e := all[i]
			i++
			counted += e.OutputBytes
			h := e.HTTP
			require.NotNil(t, h, turn.name)
			assert.Equal(t, w.method, h.Method, turn.name)
			assert.Equal(t, w.uri, h.URI, turn.name)
			assert.Equal(t, w.status, h.StatusCode, turn.name)
			assert.Empty(t, e.Err, turn.name)
			if w.anomaly != "" {
				assert.Contains(t, e.Anomalies, w.anomaly, turn.name)
			}
			side(t, turn.name+": request", h.Request, w.requestN, w.request_, w.requestH, w.requestT)
			side(t, turn.name+": response", h.Response, w.responseN, w.responseOf, w.responseH, w.responseT)
			if len(turn.want) == 1 {
				assert.EqualValues(t, len(turn.request), e.InputBytes, turn.name)
			}
		}
	}
	for _, e := range all[i:] {
		assert.Nil(t, e.HTTP.Response, "a record too many: %s %s", e.HTTP.Method, e.HTTP.URI)
	}
	assert.Len(t, all, i)
	assert.EqualValues(t, sent, counted, "every byte of the server is counted once")
}

func side(t *testing.T, name string, m *record.Message, n int64, body string, header, trailer record.Header) {
	t.Helper()
	require.NotNil(t, m, name)
	assert.Equal(t, n, m.ContentLength, name)
	if body != "" {
		assert.Equal(t, body, string(m.Body), name)
	}
	if header != nil {
		assert.Equal(t, header, m.Header, name)
	}
	assert.Equal(t, trailer, m.Trailer, name)
}
