package sniff

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// fieldsOf lists a head's fields as "name=value".
func fieldsOf(h *HTTP1Head) []string {
	list := []string{}
	for name, value := range h.Fields() {
		list = append(list, name+"="+value)
	}
	return list
}

func TestParseHTTP1Request(t *testing.T) {
	for _, tt := range []struct {
		name, head             string
		method, target, proto  string
		host, upgrade          string
		length                 int64
		coded, chunked, expect bool
		odd                    HTTP1Anomalies
		fields                 []string
	}{
		{name: "plain", head: "GET /a?b HTTP/1.1\r\nHost: h\r\nX-A:1\r\n\r\n", method: "GET", target: "/a?b", proto: "HTTP/1.1", host: "h", length: -1, fields: []string{"Host=h", "X-A=1"}},
		{name: "no fields", head: "GET / HTTP/1.0\r\n\r\n", method: "GET", target: "/", proto: "HTTP/1.0", length: -1},
		{name: "any method", head: "m!# * HTTP/1.1\r\n\r\n", method: "m!#", target: "*", proto: "HTTP/1.1", length: -1},
		{name: "case and repetition are kept", head: "GET / HTTP/1.1\r\nhOsT: a\r\nHost: b\r\nX: 1\r\nx: 2\r\n\r\n", method: "GET", target: "/", proto: "HTTP/1.1", host: "a", length: -1, fields: []string{"hOsT=a", "Host=b", "X=1", "x=2"}},
		{name: "white space around values", head: "GET / HTTP/1.1\r\nA: \t b c \t\r\nB:\r\nC: \r\n\r\n", method: "GET", target: "/", proto: "HTTP/1.1", length: -1, fields: []string{"A=b c", "B=", "C="}},
		{name: "colons in values", head: "GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", method: "GET", target: "/", proto: "HTTP/1.1", host: "[::1]:80", length: -1, fields: []string{"Host=[::1]:80"}},
		{name: "framing by length", head: "GET / HTTP/1.1\r\ncontent-LENGTH: 0042\r\n\r\n", method: "GET", target: "/", proto: "HTTP/1.1", length: 42, fields: []string{"content-LENGTH=0042"}},
		{name: "the largest length", head: "GET / HTTP/1.1\r\nContent-Length: 9223372036854775807\r\n\r\n", method: "GET", target: "/", proto: "HTTP/1.1", length: 1<<63 - 1, fields: []string{"Content-Length=9223372036854775807"}},
		{name: "repeated length", head: "GET / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 5, 5\r\n\r\n", method: "GET", target: "/", proto: "HTTP/1.1", length: 5, odd: RepeatedLength, fields: []string{"Content-Length=5", "Content-Length=5, 5"}},
		{name: "framing by chunks", head: "GET / HTTP/1.1\r\nTransfer-Encoding: gzip, CHUNKED\r\n\r\n", method: "GET", target: "/", proto: "HTTP/1.1", length: -1, coded: true, chunked: true, fields: []string{"Transfer-Encoding=gzip, CHUNKED"}},
		{name: "codings over two fields", head: "GET / HTTP/1.1\r\nTransfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n", method: "GET", target: "/", proto: "HTTP/1.1", length: -1, coded: true, chunked: true, fields: []string{"Transfer-Encoding=gzip", "Transfer-Encoding=chunked"}},
		{name: "a coding that is not chunked", head: "GET / HTTP/1.1\r\nTransfer-Encoding: chunked, gzip\r\n\r\n", method: "GET", target: "/", proto: "HTTP/1.1", length: -1, coded: true, fields: []string{"Transfer-Encoding=chunked, gzip"}},
		{name: "length and coding", head: "GET / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", method: "GET", target: "/", proto: "HTTP/1.1", length: 5, coded: true, chunked: true, odd: LengthAndCoding, fields: []string{"Content-Length=5", "Transfer-Encoding=chunked"}},
		{name: "upgrade and expectation", head: "GET / HTTP/1.1\r\nUpgrade: websocket\r\nExpect: 100-Continue\r\n\r\n", method: "GET", target: "/", proto: "HTTP/1.1", length: -1, upgrade: "websocket", expect: true, fields: []string{"Upgrade=websocket", "Expect=100-Continue"}},
		{name: "folds", head: "GET / HTTP/1.1\r\nA: 1\r\n 2\r\n\t \t3 \r\n   \r\nB: x\r\n\r\n", method: "GET", target: "/", proto: "HTTP/1.1", length: -1, odd: ObsFold, fields: []string{"A=1 2 3", "B=x"}},
		{name: "folds of what counts", head: "GET / HTTP/1.1\r\nContent-Length:\r\n 5\r\nTransfer-Encoding: gzip,\r\n\tchunked\r\nHost:\r\n h\r\n\r\n", method: "GET", target: "/", proto: "HTTP/1.1", length: 5, coded: true, chunked: true, host: "h", odd: ObsFold | LengthAndCoding, fields: []string{"Content-Length=5", "Transfer-Encoding=gzip, chunked", "Host=h"}},
		{name: "a fold before the first field", head: "GET / HTTP/1.1\r\n A: 1\r\n B: 2\r\nC: 3\r\n\r\n", method: "GET", target: "/", proto: "HTTP/1.1", length: -1, odd: ObsFold, fields: []string{"C=3"}},
		{name: "nothing but a fold", head: "GET / HTTP/1.1\r\n A: 1\r\n\r\n", method: "GET", target: "/", proto: "HTTP/1.1", length: -1, odd: ObsFold},
		{name: "a fold of what is no field", head: "GET / HTTP/1.1\r\nnone\r\n a: b\r\nC: 3\r\n\r\n", method: "GET", target: "/", proto: "HTTP/1.1", length: -1, odd: ObsFold | NoColon, fields: []string{"C=3"}},
		{name: "LF alone", head: "GET / HTTP/1.1\nHost: h\nA: 1\r\n\n", method: "GET", target: "/", proto: "HTTP/1.1", host: "h", length: -1, odd: BareLF, fields: []string{"Host=h", "A=1"}},
		{name: "no colon, no name", head: "GET / HTTP/1.1\r\nnone\r\n: x\r\nA: 1\r\n\r\n", method: "GET", target: "/", proto: "HTTP/1.1", length: -1, odd: NoColon, fields: []string{"A=1"}},
		{name: "space before the colon", head: "GET / HTTP/1.1\r\nContent-Length \t: 5\r\n\r\n", method: "GET", target: "/", proto: "HTTP/1.1", length: 5, odd: SpaceBeforeColon, fields: []string{"Content-Length=5"}},
		{name: "spaces in the target", head: "GET /a b\tc HTTP/1.1\r\n\r\n", method: "GET", target: "/a b\tc", proto: "HTTP/1.1", length: -1, odd: SpaceInTarget},
		{name: "more spaces than needed", head: "GET   /a   HTTP/1.1  \r\n\r\n", method: "GET", target: "/a", proto: "HTTP/1.1", length: -1},
		{name: "CR within", head: "GET / HTTP/1.1\r\nA: b\rc\r\r\n\r\n", method: "GET", target: "/", proto: "HTTP/1.1", length: -1, fields: []string{"A=b\rc"}},
		{name: "no UTF-8", head: "GET /\xff HTTP/1.1\r\n\xfe: \xff\x00\r\n\r\n", method: "GET", target: "/\xff", proto: "HTTP/1.1", length: -1, fields: []string{"\xfe=\xff\x00"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			assert.Equal(t, len(tt.head), HTTP1HeadEnd([]byte(tt.head+"more"), 0))
			h, err := ParseHTTP1Request(tt.head)
			require.NoError(t, err)
			assert.Equal(t, []string{tt.method, tt.target, tt.proto, tt.host, tt.upgrade}, []string{h.Method, h.Target, h.Proto, h.Host, h.Upgrade})
			assert.Equal(t, tt.length, h.Length)
			assert.Equal(t, []bool{tt.coded, tt.chunked, tt.expect}, []bool{h.Coded, h.Chunked, h.Expects100})
			assert.Equal(t, tt.odd.Names(nil), h.Anomalies.Names(nil))
			assert.Equal(t, append([]string{}, tt.fields...), fieldsOf(&h))
			assert.Equal(t, len(tt.fields), h.NumFields)
			for range h.Fields() {
				break
			}
		})
	}
}

// More fields than are indexed, with and without a fold: the same as few.
func TestParseHTTP1ManyFields(t *testing.T) {
	for _, n := range []int{23, 24, 25, 300} {
		for _, fold := range []string{"", "\r\n more"} {
			var want []string
			text := "GET / HTTP/1.1\r\n"
			for i := range n {
				name := "N" + strings.Repeat("n", i)
				text += name + ": v" + fold + "\r\n"
				want = append(want, name+"="+strings.ReplaceAll("v"+fold, "\r\n", ""))
			}
			h, err := ParseHTTP1Request(text + "\r\n")
			require.NoError(t, err)
			assert.Equal(t, want, fieldsOf(&h))
			assert.Equal(t, n, h.NumFields)
		}
	}
}

func TestParseHTTP1RequestErrors(t *testing.T) {
	for _, head := range []string{
		"", "\r\n\r\n", "GET\r\n\r\n", "GET /\r\n\r\n", " / HTTP/1.1\r\n\r\n", "GET  HTTP/1.1\r\n\r\n", "GET / HTTP/2.0\r\n\r\n", "GET / HTTP/1.x\r\n\r\n",
		"GET / http/1.1\r\n\r\n", "GET / HTTP/1.11\r\n\r\n", "GET / RTSP/1.0\r\n\r\n",
		"GET / HTTP/1.1\r\nContent-Length: \r\n\r\n", "GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", "GET / HTTP/1.1\r\nContent-Length: +1\r\n\r\n",
		"GET / HTTP/1.1\r\nContent-Length: 1x\r\n\r\n", "GET / HTTP/1.1\r\nContent-Length: 0x1\r\n\r\n", "GET / HTTP/1.1\r\nContent-Length: 1 2\r\n\r\n",
		"GET / HTTP/1.1\r\nContent-Length: 9223372036854775808\r\n\r\n", "GET / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n",
		"GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", "GET / HTTP/1.1\r\nContent-Length: 1, 2\r\n\r\n", "GET / HTTP/1.1\r\nContent-Length: 1,\r\n\r\n",
	} {
		_, err := ParseHTTP1Request(head)
		assert.ErrorIs(t, err, ErrHTTP1, "%q", head)
	}
}

func TestParseHTTP1Response(t *testing.T) {
	for _, tt := range []struct {
		head, proto, reason string
		status              int
		bad                 bool
	}{
		{head: "HTTP/1.1 200 OK\r\n\r\n", proto: "HTTP/1.1", status: 200, reason: "OK"},
		{head: "HTTP/1.0 404 Not Found\r\n\r\n", proto: "HTTP/1.0", status: 404, reason: "Not Found"},
		{head: "HTTP/1.1 200\r\n\r\n", proto: "HTTP/1.1", status: 200},
		{head: "HTTP/1.1 200 \r\n\r\n", proto: "HTTP/1.1", status: 200},
		{head: "HTTP/1.1   200 OK\r\n\r\n", proto: "HTTP/1.1", status: 200, reason: "OK"},
		{head: "HTTP/1.1 000 a  b\n\n", proto: "HTTP/1.1", reason: "a  b"},
		{head: "HTTP/1.1 999 \xff\r\n\r\n", proto: "HTTP/1.1", status: 999, reason: "\xff"},
		{head: "HTTP/1.1\r\n\r\n", bad: true},
		{head: "HTTP/1.1 20 OK\r\n\r\n", bad: true},
		{head: "HTTP/1.1 2000\r\n\r\n", bad: true},
		{head: "HTTP/1.1 2x0 OK\r\n\r\n", bad: true},
		{head: "HTTP/1.1 +20 OK\r\n\r\n", bad: true},
		{head: "HTTP/2.0 200 OK\r\n\r\n", bad: true},
		{head: "ICY 200 OK\r\n\r\n", bad: true},
		{head: "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", bad: true},
	} {
		h, err := ParseHTTP1Response(tt.head)
		if tt.bad {
			assert.ErrorIs(t, err, ErrHTTP1, "%q", tt.head)
			continue
		}
		require.NoError(t, err, "%q", tt.head)
		assert.Equal(t, tt.status, h.Status, "%q", tt.head)
		assert.Equal(t, []string{tt.proto, tt.reason}, []string{h.Proto, h.Reason}, "%q", tt.head)
	}
}

func TestHTTP1Framing(t *testing.T) {
	for _, tt := range []struct {
		method, start, fields string
		want                  HTTP1Framing
		bad                   bool
	}{
		{start: "GET / HTTP/1.1", want: NoBody},
		{start: "POST / HTTP/1.1", fields: "Content-Length: 0\r\n", want: NoBody},
		{start: "GET / HTTP/1.1", fields: "Content-Length: 1\r\n", want: ByLength},
		{start: "GET / HTTP/1.1", fields: "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n", want: ByChunks},
		{start: "GET / HTTP/1.1", fields: "Transfer-Encoding: gzip\r\n", bad: true},
		{start: "GET / HTTP/1.1", fields: "Transfer-Encoding:\r\n", bad: true},

		{method: "GET", start: "HTTP/1.1 200 OK", want: UntilClose},
		{method: "GET", start: "HTTP/1.1 200 OK", fields: "Content-Length: 0\r\n", want: NoBody},
		{method: "GET", start: "HTTP/1.1 200 OK", fields: "Content-Length: 1\r\n", want: ByLength},
		{method: "GET", start: "HTTP/1.1 200 OK", fields: "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n", want: ByChunks},
		{method: "GET", start: "HTTP/1.1 200 OK", fields: "Content-Length: 1\r\nTransfer-Encoding: gzip\r\n", want: UntilClose},
		{method: "HEAD", start: "HTTP/1.1 200 OK", fields: "Transfer-Encoding: chunked\r\n", want: NoBody},
		{method: "GET", start: "HTTP/1.1 204 OK", fields: "Content-Length: 1\r\n", want: NoBody},
		{method: "GET", start: "HTTP/1.1 304 OK", fields: "Content-Length: 1\r\n", want: NoBody},
		{method: "GET", start: "HTTP/1.1 103 OK", fields: "Content-Length: 1\r\n", want: NoBody},
		{method: "CONNECT", start: "HTTP/1.1 200 OK", fields: "Content-Length: 1\r\n", want: NoBody},
		{method: "CONNECT", start: "HTTP/1.1 403 OK", fields: "Content-Length: 1\r\n", want: ByLength},
		{method: "CONNECT", start: "HTTP/1.1 099 OK", fields: "Content-Length: 1\r\n", want: ByLength},
		{method: "connect", start: "HTTP/1.1 200 OK", fields: "Content-Length: 1\r\n", want: ByLength},
	} {
		head := tt.start + "\r\n" + tt.fields + "\r\n"
		if tt.method != "" {
			h, err := ParseHTTP1Response(head)
			require.NoError(t, err)
			assert.Equal(t, tt.want, h.ResponseFraming(tt.method), "%s %q", tt.method, head)
			continue
		}
		h, err := ParseHTTP1Request(head)
		require.NoError(t, err)
		got, err := h.RequestFraming()
		assert.Equal(t, tt.bad, err != nil, "%q", head)
		assert.Equal(t, tt.want, got, "%q", head)
	}
}

// A head that comes in pieces is found as soon as it is whole, wherever it was
// cut, and no sooner.
func TestHTTP1HeadEndInPieces(t *testing.T) {
	for _, head := range []string{
		"GET / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\n\n", "GET / HTTP/1.1\n\r\n", "GET / HTTP/1.1\r\n\n",
		"GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n", "GET / HTTP/1.1\r\nA: b\r\r\n\r\r\n\r\n",
	} {
		b := []byte(head + "\r\n\r\nbehind")
		for cut := range len(head) {
			assert.Zero(t, HTTP1HeadEnd(b[:cut], 0), "%q", b[:cut])
			for second := cut; second <= len(b); second++ {
				want := 0
				if second >= len(head) {
					want = len(head)
				}
				require.Equal(t, want, HTTP1HeadEnd(b[:second], cut), "%q cut at %d and %d", head, cut, second)
			}
		}
	}
	assert.Zero(t, HTTP1HeadEnd(nil, 0))
}

func TestHTTP1Lines(t *testing.T) {
	h, err := ParseHTTP1Request("GET / HTTP/1.1\r\n skipped\r\nA: 1\n  folded\r\nnone\r\nB:2\r\n\r\n")
	require.NoError(t, err)
	var lines []string
	for line := range h.Lines() {
		lines = append(lines, line)
	}
	assert.Equal(t, []string{"A: 1\n", "  folded\r\n", "none\r\n", "B:2\r\n"}, lines)
}

func TestHTTP1AnomalyNames(t *testing.T) {
	assert.Empty(t, HTTP1Anomalies(0).Names(nil))
	all := HTTP1Anomalies(1<<len(anomalyNames) - 1)
	assert.Len(t, all.Names([]string{"first"}), 1+len(anomalyNames))
	assert.Equal(t, []string{"x", "bare-lf"}, BareLF.Names([]string{"x"}))
}

func TestHTTP1Allocs(t *testing.T) {
	assert.Zero(t, testing.AllocsPerRun(100, func() {
		b := []byte(nil)
		HTTP1HeadEnd(b, 0)
		h, err := ParseHTTP1Request(benchRequest)
		if _, ferr := h.RequestFraming(); err != nil || ferr != nil {
			t.Fatal(err, ferr)
		}
		r, err := ParseHTTP1Response(benchResponse)
		if err != nil || r.ResponseFraming("GET") != ByLength {
			t.Fatal(err)
		}
		n := 0
		for range h.Fields() {
			n++
		}
		if n != h.NumFields {
			t.Fatal(n)
		}
	}))
}
