package sniff

import (
	"bufio"
	"net/http"
	"strings"
	"testing"
)

// What a browser and a usual server say.
const (
	benchRequest = "GET /assets/app.3f2a.js?v=12 HTTP/1.1\r\nHost: www.example.com\r\nConnection: keep-alive\r\n" +
		"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36\r\n" +
		"Accept: */*\r\nReferer: https://www.example.com/\r\nAccept-Encoding: gzip, deflate, br, zstd\r\n" +
		"Accept-Language: en-US,en;q=0.9\r\nCookie: session=0123456789abcdef0123456789abcdef; theme=dark\r\n" +
		"Sec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: no-cors\r\nSec-Fetch-Dest: script\r\n\r\n"
	benchResponse = "HTTP/1.1 200 OK\r\nDate: Wed, 02 Oct 2024 09:13:54 GMT\r\nServer: nginx\r\n" +
		"Content-Type: text/javascript; charset=utf-8\r\nContent-Length: 1024\r\nLast-Modified: Thu, 17 Oct 2019 07:18:26 GMT\r\n" +
		"Connection: keep-alive\r\nVary: Accept-Encoding\r\nETag: \"3147526947+gzip\"\r\nCache-Control: max-age=604800\r\n" +
		"X-Cache: HIT\r\nAccept-Ranges: bytes\r\n\r\n"
)

// BenchmarkHTTP1Heads is a request's head and its response's: found, parsed and
// gone over, beside net/http doing it.
func BenchmarkHTTP1Heads(b *testing.B) {
	b.Run("scan", func(b *testing.B) {
		b.ReportAllocs()
		request, response := []byte(benchRequest), []byte(benchResponse)
		for b.Loop() {
			HTTP1HeadEnd(request, 0)
			HTTP1HeadEnd(response, 0)
			req, _ := ParseHTTP1Request(benchRequest)
			res, _ := ParseHTTP1Response(benchResponse)
			n := 0
			for range req.Fields() {
				n++
			}
			for range res.Fields() {
				n++
			}
			if n != 22 {
				b.Fatal(n)
			}
		}
	})
	b.Run("net-http", func(b *testing.B) {
		b.ReportAllocs()
		var text strings.Reader
		r := bufio.NewReader(&text)
		for b.Loop() {
			text.Reset(benchRequest)
			r.Reset(&text)
			if _, err := http.ReadRequest(r); err != nil {
				b.Fatal(err)
			}
			text.Reset(benchResponse)
			r.Reset(&text)
			if _, err := http.ReadResponse(r, nil); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkHTTP1Chunks(b *testing.B) {
	body := []byte(strings.Repeat("400\r\n"+strings.Repeat("x", 1024)+"\r\n", 30) + "0\r\n\r\n")
	b.ReportAllocs()
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		var c HTTP1Chunks
		for rest := body; len(rest) > 0; {
			_, n, _ := c.Scan(rest)
			rest = rest[n:]
		}
	}
}
