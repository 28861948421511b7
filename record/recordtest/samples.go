package recordtest

import (
	"bytes"
	"strings"
	"time"

	"github.com/proxyglass/proxyglass/record"
)

// Samples returns records of every shape: HTTP with bodies, a WebSocket frame,
// TLS not opened, DNS, an error, an empty record, one that is not UTF-8 and one of
// some 100 KiB. They are new with every call, and equal.
func Samples() []*record.Record {
	start := time.Date(2026, 3, 1, 12, 0, 0, 123456789, time.UTC)
	tls := &record.TLS{
		ServerName: "www.example.com", CipherSuite: "TLS_AES_128_GCM_SHA256", Proto: "h2", Version: "tls1.3",
		ClientHello: record.HexOf([]byte{22, 3, 1, 0, 4, 1, 0, 0, 0}), ServerHello: record.HexOf([]byte{22, 3, 3, 0, 4, 2, 0, 0, 0}),
		JA4: "t13d0000h2_000000000000_000000000000", Intercepted: true,
	}
	base := record.Record{
		Service: "recordtest", Network: "tcp", Remote: "192.0.2.1:40000", Local: "192.0.2.2:8080",
		Client: "192.0.2.1:40000", Src: "192.0.2.2:50000", Dst: "198.51.100.7:443",
		Host: "www.example.com:443", Proto: "tls", ClientIP: "192.0.2.1", Route: "www.example.com:443",
		InputBytes: 120, OutputBytes: 400, SID: "sample", Duration: 1500 * time.Microsecond, Time: start,
	}
	exchange := base
	exchange.Seq, exchange.TLS, exchange.HTTP = 1, tls, sampleHTTP([]byte("hello, world\n"))
	exchange.Labels = map[string]string{"site": "test"}
	exchange.Timings = &record.Timings{Dial: -time.Second, RequestEnd: 20, ResponseFirstByte: 1000}
	exchange.Anomalies = []string{"obs-fold"}

	frame := base
	frame.Seq, frame.TLS = 2, tls
	frame.HTTP = &record.HTTP{Host: "www.example.com", Method: "GET", Proto: "HTTP/1.1", URI: "/ws", StatusCode: 101}
	frame.WebSocket = &record.WebSocket{
		From: "client", Fin: true, Opcode: 1, Masked: true, MaskKey: 1114857390, Length: 5,
		Payload: []byte{0xc6, 0x3a, 0x1f, 0x2e, 0xc1},
	}

	observed := base
	observed.TLS = tls

	question := base
	question.Network, question.Proto = "udp", "dns"
	question.DNS = &record.DNS{ID: 7, Name: "example.com.", Class: "IN", Type: "A", Question: ";; q\n", Answer: ";; a\n"}

	failed := base
	failed.Dst, failed.Err = "", "dial tcp 198.51.100.7:443: connect: connection refused"

	odd := base
	odd.Host = "\xff\xfe:443"
	odd.HTTP = sampleHTTP(nil)
	odd.HTTP.Request.Header = record.Header{{Name: "X-\xff", Value: "a\x00\"b\n"}, {Name: "x-A", Value: ""}}

	large := base
	large.HTTP = sampleHTTP(bytes.Repeat([]byte("0123456789abcdef"), 100<<6))
	large.HTTP.Response.Truncated = true
	large.HTTP.URI = "/" + strings.Repeat("p", 5000)

	return []*record.Record{&exchange, &frame, &observed, &question, &failed, new(record.Record), &odd, &large}
}

func sampleHTTP(body []byte) *record.HTTP {
	return &record.HTTP{
		Host: "www.example.com", Method: "POST", Proto: "HTTP/1.1", Scheme: "https", URI: "/path?q=<1>", StatusCode: 200,
		Request: &record.Message{
			ContentLength: 2, Body: []byte("{}"),
			Header: record.Header{{Name: "accept", Value: "*/*"}, {Name: "Cookie", Value: "a=1"}, {Name: "COOKIE", Value: "b=2"}},
		},
		Response: &record.Message{
			ContentLength: int64(len(body)), Body: body,
			Header:  record.Header{{Name: "Content-Type", Value: "text/plain"}},
			Trailer: record.Header{{Name: "Server-Timing", Value: "db;dur=53"}},
		},
	}
}
