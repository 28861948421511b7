package sniff

import (
	"bytes"
	"crypto/tls"
	"errors"
	"net"
	"testing"
	"time"
)

// BenchmarkParseClientHello is of a browser's hello with a post-quantum key share. crypto/tls, which parses it
// as a server does before GetConfigForClient, is the comparison.
func BenchmarkParseClientHello(b *testing.B) {
	hello := readHex(b, "chrome-pq-ech.client")
	b.Run("sniff", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(int64(len(hello)))
		for b.Loop() {
			if _, err := ParseClientHello(hello); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("sniff-one-byte-records", func(b *testing.B) {
		b.ReportAllocs()
		raw := records(hello[recordHeaderLen:], 1)
		for b.Loop() {
			if _, err := ParseClientHello(raw); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("crypto-tls", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(int64(len(hello)))
		seen := errors.New("seen")
		config := &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return nil, seen }}
		for b.Loop() {
			err := tls.Server(&fakeConn{r: bytes.NewReader(hello)}, config).Handshake()
			if !errors.Is(err, seen) {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkFingerprint(b *testing.B) {
	h, err := ParseClientHello(readHex(b, "chrome-pq-ech.client"))
	if err != nil {
		b.Fatal(err)
	}
	b.Run("JA3", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			h.JA3()
		}
	})
	b.Run("JA4", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			h.JA4(OverTCP)
		}
	})
}

// BenchmarkDetect is of first chunks as they come, with the built-in detectors.
func BenchmarkDetect(b *testing.B) {
	client, server := Detectors(), BannerDetectors()
	for _, bb := range []struct {
		name string
		ds   []Detector
		head []byte
		want Protocol
	}{
		{"TLS", client, readHex(b, "chrome-pq-ech.client"), TLS},
		{"HTTP1", client, []byte("GET /static/js/main.4f3c2b1a.js?v=20240101 HTTP/1.1\r\nHost: www.example.com\r\nUser-Agent: Mozilla/5.0\r\nAccept: */*\r\n\r\n"), HTTP1},
		{"HTTP2", client, []byte(http2Preface + "\x00\x00\x12\x04\x00\x00\x00\x00\x00"), HTTP2},
		{"SSH", client, []byte("SSH-2.0-OpenSSH_9.7\r\n"), SSH},
		{"binary", client, []byte("\x00\x00\x00\x2a\x05\x01"), Unknown},
		{"banner-SMTP", server, []byte("220 mail.example.com ESMTP Postfix\r\n"), SMTP},
		{"banner-MySQL", server, []byte(mysqlStart), MySQL},
	} {
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if p, _ := Detect(bb.ds, bb.head); p != bb.want {
					b.Fatal(p)
				}
			}
		})
	}
}

// fakeConn is a connection with a client that sends its hello and takes whatever comes.
type fakeConn struct{ r *bytes.Reader }

func (c *fakeConn) Read(b []byte) (int, error)       { return c.r.Read(b) }
func (c *fakeConn) Write(b []byte) (int, error)      { return len(b), nil }
func (c *fakeConn) Close() error                     { return nil }
func (c *fakeConn) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (c *fakeConn) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (c *fakeConn) SetDeadline(time.Time) error      { return nil }
func (c *fakeConn) SetReadDeadline(time.Time) error  { return nil }
func (c *fakeConn) SetWriteDeadline(time.Time) error { return nil }
