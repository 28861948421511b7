package proxy_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/proxyglass/proxyglass/proxy"
)

const (
	get   = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
	get2  = "GET /2 HTTP/1.1\r\nHost: a\r\n\r\n"
	hello = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
	empty = "HTTP/1.1 204 No Content\r\n\r\n"
	reset = "connection reset by peer"
)

func TestHTTP1Exchanges(t *testing.T) {
	big := "X-Big: " + strings.Repeat("x", 100<<10) + "\r\n"
	huge := "X-Huge: " + strings.Repeat("x", 600<<10) + "\r\n"
	post := func(fields, body string) string {
		return "POST /p HTTP/1.1\r\nHost: a\r\n" + fields + "\r\n" + body
	}
	const cut = "!the connection ended before the exchange was complete"
	for _, tt := range []struct {
		name   string
		script script
		want   []string
	}{
		{"keep-alive", script{up(get), down(hello), up(get2), down(empty)}, []string{"GET / 200 >hello", "GET /2 204"}},
		{"pipelined, answers in one chunk", script{up(get + get2 + get), down(hello + empty + hello)},
			[]string{"GET / 200 >hello", "GET /2 204", "GET / 200 >hello"}},
		{"pipelined, cut anywhere", script{up(get + get2[:10]), up(get2[10:]), down(hello[:3]), down(hello[3:30]), down(hello[30:] + empty[:20]), down(empty[20:])},
			[]string{"GET / 200 >hello", "GET /2 204"}},
		{"every 1xx, then the answer", script{up(get), down("HTTP/1.1 100 Continue\r\n\r\n"), down("HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"), down(hello)},
			[]string{"GET / 200 >hello"}},
		{"HEAD", script{up("HEAD / HTTP/1.1\r\n\r\n"), down("HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n"), up(get), down(hello)},
			[]string{"HEAD / 200", "GET / 200 >hello"}},
		{"HEAD, chunked", script{up("HEAD / HTTP/1.1\r\n\r\n" + get), down("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + hello)},
			[]string{"HEAD / 200", "GET / 200 >hello"}},
		{"204 and 304 have no body", script{up(get + get), down("HTTP/1.1 204 a\r\nContent-Length: 5\r\n\r\nHTTP/1.1 304 b\r\nContent-Length: 5\r\n\r\n"), up(get2), down(hello)},
			[]string{"GET / 204", "GET / 304", "GET /2 200 >hello"}},
		{"chunked both ways, with extensions and trailers", script{
			up(post("Transfer-Encoding: chunked\r\n", "3;a=b\r\nabc\r\n1\r\nd\r\n0;x\r\nX-T: 1\r\n\r\n")),
			down("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, Chunked\r\n\r\n5\r\nhel"), down("lo\r\n00\r\nDigest: z\r\n"), down("\r\n")},
			[]string{"POST /p 200 <abcd (X-T: 1) >hello (Digest: z)"}},
		{"until close", script{up(get), down("HTTP/1.1 200 OK\r\n\r\nhello"), downFIN}, []string{"GET / 200 >hello"}},
		{"until close, with another coding", script{up(get), down("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nhello"), downFIN}, []string{"GET / 200 >hello"}},
		{"until close, reset instead", script{up(get), down("HTTP/1.1 200 OK\r\n\r\nhello"), downRST},
			[]string{"GET / 200 >hello !server to client: " + reset}},
		{"HTTP/1.0", script{up("GET / HTTP/1.0\r\n\r\n"), down("HTTP/1.0 200 OK\r\n\r\nhello"), downFIN}, []string{"GET / 200 >hello"}},

		{"Expect, accepted", script{up(post("Content-Length: 3\r\nExpect: 100-continue\r\n", "")), down("HTTP/1.1 100 Continue\r\n\r\n"), up("abc"), down(hello)},
			[]string{"POST /p 200 <abc >hello"}},
		{"Expect, not waited for", script{up(post("Content-Length: 3\r\nExpect: 100-continue\r\n", "abc")), down("HTTP/1.1 100 Continue\r\n\r\n" + hello)},
			[]string{"POST /p 200 <abc >hello"}},
		{"Expect, refused, no body", script{up(post("Content-Length: 3\r\nExpect: 100-continue\r\n", "")), down("HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n")},
			[]string{"POST /p 417"}},
		{"Expect, refused, another request in the place of the body", script{up(post("Content-Length: 300\r\nExpect: 100-continue\r\n", "")), down("HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n"), up(get), down(hello)},
			[]string{"POST /p 417", "GET / 200 >hello"}},
		{"Expect, refused, body all the same", script{up(post("Content-Length: 3\r\nExpect: 100-continue\r\n", "")), down("HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n"), up("abc"), up(get), down(hello)},
			[]string{"POST /p 401 <abc", "GET / 200 >hello"}},
		{"Expect, refused, body and another request in one chunk", script{up(post("Content-Length: 3\r\nExpect: 100-continue\r\n", "")), down("HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n"), up("abc" + get), down(hello)},
			[]string{"POST /p 401 <abc", "GET / 200 >hello"}},
		{"early answer, body completed", script{up(post("Content-Length: 6\r\n", "abc")), down("HTTP/1.1 413 Big\r\nContent-Length: 0\r\n\r\n"), up("def" + get), down(hello)},
			[]string{"POST /p 413 <abcdef", "GET / 200 >hello"}},
		{"early answer, body never completed", script{up(post("Content-Length: 6\r\n", "abc")), down("HTTP/1.1 413 Big\r\nContent-Length: 0\r\n\r\n"), downFIN},
			[]string{"POST /p 413 <abc [early-answer] " + cut}},
		{"answer to half a head", script{up("GET / HTTP/1.1\r\nCookie: "), down("HTTP/1.1 431 Too Large\r\nContent-Length: 0\r\n\r\n"), up("x\r\n\r\n")},
			[]string{"GET / 431"}},
		{"answer to half a head, the other never comes", script{up("GET / HTTP/1.1\r\nCookie: "), down("HTTP/1.1 431 Too Large\r\nContent-Length: 0\r\n\r\n"), downFIN},
			[]string{"  431 [early-answer] " + cut}},
		{"half a head", script{up("GET / HTTP/1.1\r\nHost: ")}, []string{"  0 " + cut}},
		{"no answer", script{up(get)}, []string{"GET / 0 " + cut}},
		{"half an answer's head", script{up(get), down("HTTP/1.1 200")}, []string{"GET / 0 " + cut}},
		{"hardly an answer", script{up(get), down("HTT")}, []string{"GET / 0 " + cut}},

		{"client gone within its body", script{up(post("Content-Length: 10\r\n", "abc")), upFIN}, []string{"POST /p 0 <abc " + cut}},
		{"client reset within its body", script{up(post("Content-Length: 10\r\n", "abc")), upRST}, []string{"POST /p 0 <abc !client to server: " + reset}},
		{"server gone within its body", script{up(get), down(hello[:len(hello)-2]), downFIN}, []string{"GET / 200 >hel " + cut}},
		{"server reset within its body", script{up(get), down(hello[:len(hello)-2]), downRST}, []string{"GET / 200 >hel !server to client: " + reset}},
		{"server gone within a chunk", script{up(get), down("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhe"), downFIN}, []string{"GET / 200 >he " + cut}},

		{"garbage before an answer", script{up(get), down("what?" + hello)}, []string{"GET / 200 >hello [garbage]"}},
		{"garbage before an answer, in pieces", script{up(get), down("HTTPS?"), down("\r\n"), down(hello)}, []string{"GET / 200 >hello [garbage]"}},
		{"garbage behind an answer", script{up(get), down(hello + "what?"), up(get2), down(empty)}, []string{"GET / 200 >hello [garbage]", "GET /2 204 [garbage]"}},
		{"garbage between exchanges", script{up(get), down(hello), down("what?"), up(get2), down(empty)}, []string{"GET / 200 >hello", "GET /2 204 [garbage]"}},
		{"garbage at the end", script{up(get), down(hello), down("what?")}, []string{"GET / 200 >hello", "http [garbage]"}},
		{"garbage without end", script{up(get), down(strings.Repeat("x", 100<<10)), up(get2)},
			[]string{"GET / 0 [garbage malformed-response] !response: sniff: malformed HTTP/1 message: no status line", "GET /2 0 " + cut}},
		{"an answer that nobody asked for", script{up(get), down(hello), down("HTTP/1.1 408 Timeout\r\n\r\n"), downFIN}, []string{"GET / 200 >hello", "http [garbage]"}},

		{"bad length", script{up("GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n"), down("HTTP/1.1 400 Bad\r\nContent-Length: 0\r\n\r\n"), up("xyz")},
			[]string{` 400 [malformed-request] !request: sniff: malformed HTTP/1 message: Content-Length "x"`}},
		{"second request is none", script{up(get), down(hello), up("\x00\x01\r\n\r\n"), down("HTTP/1.1 400 Bad\r\nContent-Length: 0\r\n\r\n"), down("bye")},
			[]string{"GET / 200 >hello", "  400 [malformed-request] !request: sniff: malformed HTTP/1 message: request line"}},
		{"pipelined request is none", script{up(get + "\x00\r\n\r\n"), down(hello), down(empty), up("more")},
			[]string{"GET / 200 >hello", "  204 [malformed-request] !request: sniff: malformed HTTP/1 message: request line"}},
		{"bad chunk in a request", script{up(post("Transfer-Encoding: chunked\r\n", "1\r\nab")), up("more"), down(hello)},
			[]string{"POST /p 200 <a >hello [malformed-request] !request: sniff: malformed HTTP/1 message: chunk data longer than its size"}},
		{"bad status line", script{up(get), down("HTTP/1.1 xyz\r\n\r\n"), down("more"), up(get2)},
			[]string{"GET / 0 [malformed-response] !response: sniff: malformed HTTP/1 message: status code", "GET /2 0 " + cut}},
		{"bad chunk in an answer", script{up(get), down("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"), up(get2)},
			[]string{"GET / 200 [malformed-response] !response: sniff: malformed HTTP/1 message: chunk size", "GET /2 0 " + cut}},
		{"heads of 100 KiB", script{up("GET / HTTP/1.1\r\n" + big + "\r\n"), down("HTTP/1.1 200 OK\r\n" + big + "Content-Length: 5\r\n\r\nhello"), up(get2), down(empty)},
			[]string{"GET / 200 >hello", "GET /2 204"}},
		{"request head over the cap", script{up("GET / HTTP/1.1\r\n" + huge + "\r\n"), down(hello)},
			[]string{"  200 >hello [head-too-long] !request: sniff: more held than allowed"}},
		{"response head over the cap", script{up(get), down("HTTP/1.1 200 OK\r\n" + huge + "\r\n"), up(get2), down(empty)},
			[]string{"GET / 0 [head-too-long] !response: sniff: more held than allowed", "GET /2 0 " + cut}},

		{"folded fields", script{up("GET / HTTP/1.1\r\nX: a\r\n  b\r\n\tc\r\nHost: h\r\n\r\n"), down("HTTP/1.1 200 OK\r\nContent-Length:\r\n 5\r\n\r\nhello")},
			[]string{"GET / 200 >hello [obs-fold]"}},
		{"LF alone", script{up("GET / HTTP/1.1\nHost: a\n\n"), down(hello)}, []string{"GET / 200 >hello [bare-lf]"}},
		{"length and coding", script{up(post("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n")), down(hello)},
			[]string{"POST /p 200 >hello [length-and-coding]"}},
		{"empty lines before requests", script{up("\r\n" + get), down(hello), up("\r\n\r\n" + get2), down(empty)}, []string{"GET / 200 >hello", "GET /2 204"}},
		{"white space in the request line", script{up("GET  /a b  HTTP/1.1 \r\n\r\n"), down(hello)}, []string{"GET /a b 200 >hello [space-in-target]"}},

		{"switched to what is unknown", script{up("GET / HTTP/1.1\r\nUpgrade: foo\r\n\r\n"), down("HTTP/1.1 101 Switch\r\nUpgrade: foo\r\n\r\n\x01\x02"), up("\x03\x04\x05"), down("\x06")},
			[]string{"GET / 101"}},
		{"upgrade declined", script{up("GET / HTTP/1.1\r\nUpgrade: h2c\r\n\r\n"), down(hello), up(get2), down(empty)}, []string{"GET / 200 >hello", "GET /2 204"}},
		{"switched unasked", script{up(get), down("HTTP/1.1 101 Switch\r\n\r\n"), up(get2), down(empty)}, []string{"GET / 101", "GET /2 204"}},
		{"CONNECT refused", script{up("CONNECT b:1 HTTP/1.1\r\n\r\n"), down("HTTP/1.1 403 No\r\nContent-Length: 5\r\n\r\nhello"), up(get), down(hello)},
			[]string{"CONNECT b:1 403 >hello", "GET / 200 >hello"}},
		{"status below 100", script{up(get), down("HTTP/1.1 099 Odd\r\nContent-Length: 5\r\n\r\nhello")}, []string{"GET / 99 >hello"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := briefs(tt.script.play(t, nil))
			for i := range min(len(tt.want), len(got)) {
				assert.Equal(t, strings.TrimSpace(tt.want[i]), strings.TrimSpace(got[i]))
			}
			assert.Len(t, got, len(tt.want), "%q", got)
		})
	}
}

func TestHTTP1Record(t *testing.T) {
	start := time.Now()
	l := newLine(t, &proxy.Pipeline{Labels: map[string]string{"k": "v"}}, proxy.Session{
		Host: "example.com:80", ClientID: "ann", ID: "session", Start: start, Dialled: start.Add(time.Millisecond),
	})
	const (
		req = "POST /a?b HTTP/1.1\r\nhOST: example.com\r\nX-Mixed-CASE: 1\r\nx-mixed-case: 2\r\nContent-Length: 3\r\n\r\nabc"
		ans = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nETag: x\r\n\r\nhello"
	)
	local, remote := l.client.RemoteAddr().String(), l.client.LocalAddr().String()
	dst, src := l.server.LocalAddr().String(), l.server.RemoteAddr().String()
	l.pass(req, ans)
	l.pass(get, ans)
	records := l.end()
	require.NoError(t, l.err)
	require.Len(t, records, 2)
	r := records[0]
	assert.Equal(t, "proxyglass", r.Service)
	assert.Equal(t, "tcp", r.Network)
	assert.Equal(t, []string{remote, local, remote, "127.0.0.1"}, []string{r.Remote, r.Local, r.Client, r.ClientIP})
	assert.Equal(t, []string{src, dst, "example.com:80", "example.com:80"}, []string{r.Src, r.Dst, r.Host, r.Route})
	assert.Equal(t, []string{"http", "ann", "session", "v"}, []string{r.Proto, r.ClientID, r.SID, r.Labels["k"]})
	assert.Equal(t, []string{"POST", "/a?b", "example.com", "HTTP/1.1", ""}, []string{r.HTTP.Method, r.HTTP.URI, r.HTTP.Host, r.HTTP.Proto, r.HTTP.Scheme})
	names := ""
	for _, f := range r.HTTP.Request.Header {
		names += f.Name + "=" + f.Value + " "
	}
	assert.Equal(t, "X-Mixed-CASE=1 x-mixed-case=2 Content-Length=3 ", names)
	assert.Equal(t, "x", r.HTTP.Response.Header.Get("ETag"))
	assert.EqualValues(t, 3, r.HTTP.Request.ContentLength)
	assert.EqualValues(t, 5, r.HTTP.Response.ContentLength)
	assert.EqualValues(t, 1, r.Seq)
	assert.WithinRange(t, r.Time, start, time.Now())
	assert.Equal(t, start.Add(time.Millisecond).Sub(r.Time), r.Timings.Dial)
	assert.Positive(t, r.Timings.RequestEnd)
	assert.Positive(t, r.Timings.ResponseFirstByte)
	assert.Nil(t, r.TLS)
	assert.EqualValues(t, 2, records[1].Seq)
	assert.Equal(t, "session", records[1].SID)
	assert.Less(t, records[1].Timings.Dial, r.Timings.Dial, "the dial precedes the second exchange by more")
}

func TestBodyCap(t *testing.T) {
	const limit = 100
	for _, tt := range []struct {
		name      string
		size, max int
		kept      int
		cut       bool
	}{
		{"below", limit - 1, limit, limit - 1, false},
		{"exactly", limit, limit, limit, false},
		{"above", limit + 1, limit, limit, true},
		{"much above", 300 << 10, limit, limit, true},
		{"by default", 64<<10 + 1, 0, 64 << 10, true},
		{"exactly, by default", 64 << 10, 0, 64 << 10, false},
		{"none", 5, -1, 0, true},
		{"none of nothing", 0, -1, 0, false},
	} {
		body := strings.Repeat("b", tt.size)
		length := "Content-Length: " + itoa(tt.size) + "\r\n\r\n"
		chunks := "Transfer-Encoding: chunked\r\n\r\n"
		chunked := "0\r\n\r\n"
		if tt.size > 0 {
			chunked = hex(tt.size-tt.size/2) + "\r\n" + body[tt.size/2:] + "\r\n"
			if tt.size > 1 {
				chunked += hex(tt.size/2) + "\r\n" + body[:tt.size/2] + "\r\n"
			}
			chunked += "0\r\n\r\n"
		}
		for _, s := range []struct {
			framing string
			script
		}{
			{"length", script{up("POST / HTTP/1.1\r\n" + length + body), down("HTTP/1.1 200 OK\r\n" + length + body)}},
			{"chunks", script{up("POST / HTTP/1.1\r\n" + chunks + chunked), down("HTTP/1.1 200 OK\r\n" + chunks + chunked)}},
			{"close", script{up("POST / HTTP/1.1\r\n" + length + body), down("HTTP/1.1 200 OK\r\n\r\n" + body), downFIN}},
		} {
			t.Run(tt.name+"/"+s.framing, func(t *testing.T) {
				r := only(t, s.play(t, &proxy.Pipeline{Capture: proxy.Capture{MaxBody: tt.max}}))
				assert.Empty(t, r.Err)
				assert.Len(t, r.HTTP.Request.Body, tt.kept)
				assert.Len(t, r.HTTP.Response.Body, tt.kept)
				assert.Equal(t, tt.cut, r.HTTP.Request.Truncated)
				assert.Equal(t, tt.cut, r.HTTP.Response.Truncated)
				assert.EqualValues(t, tt.size, r.HTTP.Request.ContentLength)
				assert.EqualValues(t, tt.size, r.HTTP.Response.ContentLength)
			})
		}
	}
}

// Requests that nobody answers take a bounded amount of memory.
func TestTooManyPipelined(t *testing.T) {
	const n = 1200
	records := script{up(strings.Repeat(get, n))}.play(t, nil)
	require.Len(t, records, 1025)
	last := records[1024]
	assert.Equal(t, "0 [too-many-requests] !request: proxy: too many requests without an answer", strings.TrimSpace(brief(last)))
	assert.EqualValues(t, len(get)*(n-1024), last.InputBytes)
}
