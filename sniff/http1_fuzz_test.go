package sniff

import (
	"bufio"
	"bytes"
	"net/http"
	"strings"
	"testing"
)

// seeds are heads with everything that may be odd about one.
var seeds = []string{
	benchRequest, benchResponse,
	"GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n", "GET / HTTP/1.1\nA: 1\n 2\n\n",
	"POST /a b HTTP/1.0\r\nContent-Length: 5, 5\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
	"HTTP/1.1 101 x\r\nUpgrade: websocket\r\nnone\r\nA : b\r\n\r\n", "GET / HTTP/1.1\r\n \r\n:\r\n\r\n",
	"GET  /  HTTP/1.1 \r\nExpect: 100-continue\r\nHost:\r\n a\r\n\r\n",
}

// FuzzHTTP1Head: no head makes the parsers panic, and of what net/http accepts
// they say the same.
func FuzzHTTP1Head(f *testing.F) {
	for _, s := range seeds {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		n := HTTP1HeadEnd(b, 0)
		for i := range min(len(b), 300) {
			if early := HTTP1HeadEnd(b[:i], 0); early != 0 && early != n {
				t.Fatalf("the head's end moves from %d to %d: %q", early, n, b)
			}
			if got := HTTP1HeadEnd(b, min(i, max(0, n-1))); got != n {
				t.Fatalf("the head's end is %d or %d, %d bytes searched: %q", n, got, i, b)
			}
		}
		head := string(b)
		if n > 0 {
			head = string(b[:n])
		}
		req, reqErr := ParseHTTP1Request(head)
		res, resErr := ParseHTTP1Response(head)
		for h, err := range map[*HTTP1Head]error{&req: reqErr, &res: resErr} {
			fields := 0
			for range h.Fields() {
				fields++
			}
			if fields != h.NumFields && err == nil {
				t.Fatalf("%d fields, said %d: %q", fields, h.NumFields, b)
			}
			for range h.Lines() {
			}
			h.Anomalies.Names(nil)
		}
		if n == 0 {
			return
		}
		compareRequest(t, head, &req, reqErr)
		compareResponse(t, head, &res, resErr)
	})
}

func compareRequest(t *testing.T, head string, h *HTTP1Head, err error) {
	theirs, terr := http.ReadRequest(bufio.NewReader(strings.NewReader(head)))
	if terr != nil || theirs.ProtoMajor != 1 {
		return
	}
	if err != nil {
		t.Fatalf("net/http accepts, we say %v: %q", err, head)
	}
	if h.Method != theirs.Method || strings.Trim(h.Target, " ") != strings.Trim(theirs.RequestURI, " ") || h.Proto != theirs.Proto {
		t.Fatalf("%q %q %q, net/http says %q %q %q", h.Method, h.Target, h.Proto, theirs.Method, theirs.RequestURI, theirs.Proto)
	}
	framing, err := h.RequestFraming()
	if err != nil {
		if theirs.ProtoAtLeast(1, 1) { // net/http ignores codings in HTTP/1.0
			t.Fatalf("net/http accepts, we say %v: %q", err, head)
		}
		return
	}
	if theirs.ProtoAtLeast(1, 1) && (framing == ByChunks) != (len(theirs.TransferEncoding) > 0) ||
		framing == ByLength && h.Length != theirs.ContentLength {
		t.Fatalf("framing %d, length %d; net/http says %v, %d: %q", framing, h.Length, theirs.TransferEncoding, theirs.ContentLength, head)
	}
	compareFields(t, head, h, theirs.Header)
}

func compareResponse(t *testing.T, head string, h *HTTP1Head, err error) {
	theirs, terr := http.ReadResponse(bufio.NewReader(strings.NewReader(head)), nil)
	if terr != nil || theirs.ProtoMajor != 1 || !isHTTP1Version(theirs.Proto) || theirs.StatusCode < 100 {
		return
	}
	if err != nil {
		t.Fatalf("net/http accepts, we say %v: %q", err, head)
	}
	if h.Status != theirs.StatusCode || h.Proto != theirs.Proto {
		t.Fatalf("%d %q, net/http says %d %q: %q", h.Status, h.Proto, theirs.StatusCode, theirs.Proto, head)
	}
	framing := h.ResponseFraming("GET")
	if theirs.ProtoAtLeast(1, 1) && (framing == ByChunks) != (len(theirs.TransferEncoding) > 0) ||
		framing == ByLength && h.Length != theirs.ContentLength {
		t.Fatalf("framing %d, length %d; net/http says %v, %d: %q", framing, h.Length, theirs.TransferEncoding, theirs.ContentLength, head)
	}
	compareFields(t, head, h, theirs.Header)
}

// compareFields compares the values of what net/http lists; it leaves some out,
// and joins those of one name.
func compareFields(t *testing.T, head string, h *HTTP1Head, theirs http.Header) {
	ours := http.Header{}
	for name, value := range h.Fields() {
		ours.Add(name, value)
	}
	for name, values := range theirs {
		if name == "Content-Length" || strings.HasSuffix(name, " ") {
			continue // net/http makes one of several; and takes white space for a part of the name
		}
		got := ours[name]
		if len(got) != len(values) {
			t.Fatalf("%s is %q, net/http says %q: %q", name, got, values, head)
		}
		for i := range got {
			if squeeze(got[i]) != squeeze(values[i]) {
				t.Fatalf("%s is %q, net/http says %q: %q", name, got, values, head)
			}
		}
	}
}

// squeeze makes runs of white space one: the two unfold differently.
func squeeze(s string) string { return string(bytes.Join(bytes.Fields([]byte(s)), []byte(" "))) }
