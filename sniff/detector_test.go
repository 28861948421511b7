package sniff

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

// Short forms of what sides say first.
const (
	tlsStart   = "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"
	mysqlStart = "J\x00\x00\x00\n8.0.32\x00\x14\x00\x00\x00Vz\bw+^\x04p\x00\xff\xff\xff"
)

func TestDetect(t *testing.T) {
	oneByteRecords := ""
	for _, c := range []byte(tlsStart[5:]) {
		oneByteRecords += "\x16\x03\x01\x00\x01" + string([]byte{c})
	}
	for _, tt := range []struct {
		name string
		head string
		want Protocol
		v    Verdict
	}{
		{"nothing", "", Unknown, More},
		{"binary", "\x00\x01", Unknown, No},

		{"TLS", tlsStart, TLS, Yes},
		{"TLS, one byte short", tlsStart[:10], Unknown, More},
		{"TLS in one-byte records", oneByteRecords, TLS, Yes},
		{"TLS, handshake type of its own record", "\x16\x03\x01\x00\x01\x01\x16\x03\x03\x01\x00\x00\x01\xfc\x03\x03", TLS, Yes},
		{"SSL 3.0", "\x16\x03\x00\x00\x2f\x01\x00\x00\x2b\x03\x00", TLS, Yes},
		{"TLS, empty record", "\x16\x03\x01\x00\x00", Unknown, No},
		{"TLS, record too long", "\x16\x03\x01\x40\x01", Unknown, No},
		{"TLS, longest record", "\x16\x03\x01\x40\x00\x01\x00\x3f\xfc\x03\x03", TLS, Yes},
		{"TLS, longer than 64 KiB", "\x16\x03\x01\x40\x00\x01\x01", Unknown, No},
		{"TLS ServerHello", "\x16\x03\x03\x00\x7a\x02", Unknown, No},
		{"TLS, another record after one byte", "\x16\x03\x01\x00\x01\x01\x14", Unknown, No},
		{"TLS alert", "\x15\x03\x01\x00\x02\x02\x28", Unknown, No},
		{"SSL 2.0 hello", "\x80\x2e\x01\x00\x02", Unknown, No},

		{"GET", "GET / HTTP/1.1\r\n", HTTP1, Yes},
		{"GET, no CR", "GET / HTTP/1.0\n", HTTP1, Yes},
		{"GET, CR of CRLF", "GET / HTTP/1.0\r", Unknown, More},
		{"GET without its line end", "GET / HTTP/1.1", Unknown, More},
		{"empty lines before", "\r\n\n\r\nGET / HTTP/1.1\r\n", HTTP1, Yes},
		{"too many empty lines", strings.Repeat("\n", 17), Unknown, No},
		{"bare CR before", "\rGET", Unknown, No},
		{"CONNECT", "CONNECT example.com:443 HTTP/1.1\r\n", HTTP1, Yes},
		{"OPTIONS", "OPTIONS * HTTP/1.1\r\n", HTTP1, Yes},
		{"longest registered", "UPDATEREDIRECTREF /a HTTP/1.1\r\n", HTTP1, Yes},
		{"unregistered", "wEIRD.method!1 /x HTTP/1.1\r\n", HTTP1, Yes},
		{"method too long", strings.Repeat("X", 33) + " / HTTP/1.1\r\n", Unknown, No},
		{"method no token", "GE(T / HTTP/1.1\r\n", Unknown, No},
		{"spaces in the target", "GET /a b c HTTP/1.1\r\n", HTTP1, Yes},
		{"space at the end", "GET / HTTP/1.1 \r\n", HTTP1, Yes},
		{"bytes over 127", "GET /\xc3\xa9 HTTP/1.1\r\n", HTTP1, Yes},
		{"no target", "GET HTTP/1.1\r\n", Unknown, No},
		{"blank target", "GET   HTTP/1.1\r\n", Unknown, No},
		{"control character", "GET /\x01", Unknown, No},
		{"CR in the line", "GET /\ra HTTP/1.1\r\n", Unknown, No},
		{"HTTP/0.9", "GET /\r\n", Unknown, No},
		{"HTTP/2 in a request", "GET / HTTP/2.0\r\n", Unknown, No},
		{"lower-case version", "GET / http/1.1\r\n", Unknown, No},
		{"RTSP", "OPTIONS rtsp://a/b RTSP/1.0\r\n", Unknown, No},
		{"SIP", "INVITE sip:a@b SIP/2.0\r\n", Unknown, No},
		{"ICAP", "REQMOD icap://a/b ICAP/1.0\r\n", Unknown, No},
		{"HTTP response", "HTTP/1.1 200 OK\r\n", Unknown, No},
		{"long target", "GET /" + strings.Repeat("a", 9000), HTTP1, Yes},
		{"long target, whole line", "GET /" + strings.Repeat("a", 9000) + " HTTP/1.1\r\n", HTTP1, Yes},
		{"long target, no end yet", "GET /" + strings.Repeat("a", 8000), Unknown, More},
		{"long text", "hello " + strings.Repeat("a", 9000), Unknown, No},

		{"HTTP/2", http2Preface + "\x00\x00\x12\x04", HTTP2, Yes},
		{"HTTP/2, short", http2Preface[:23], Unknown, More},
		{"HTTP/2, other", "PRI * HTTP/2.0\r\n\r\nXX", Unknown, No},

		{"SSH", "SSH-2.0-OpenSSH_9.7\r\n", SSH, Yes},
		{"SSH 1.99", "SSH-1.99-Cisco", SSH, Yes},
		{"SSH, short", "SSH-2.0", Unknown, More},
		{"SSH-like method", "SSH-IT / HTTP/1.1\r\n", HTTP1, Yes},

		{"EHLO", "EHLO client.example\r\n", SMTP, Yes},
		{"ehlo, bare", "ehlo\n", SMTP, Yes},
		{"HELO as a method", "HELO / HTTP/1.1\r\n", HTTP1, Yes},
		{"USER", "USER anonymous\r\n", Unknown, No},
	} {
		t.Run(tt.name, func(t *testing.T) { checkDetect(t, Detectors(), tt.head, tt.want, tt.v) })
	}
}

func TestDetectBanner(t *testing.T) {
	for _, tt := range []struct {
		name string
		head string
		want Protocol
		v    Verdict
	}{
		{"nothing", "", Unknown, More},
		{"SSH", "SSH-2.0-OpenSSH_9.7\r\n", SSH, Yes},
		{"SMTP", "220 mail.example.com ESMTP Postfix\r\n", SMTP, Yes},
		{"SMTP on a host named ftp", "220 ftp.example.com SMTP ready\r\n", SMTP, Yes},
		{"SMTP, second line", "220-terms apply\r\n220 Esmtp here\r\n", SMTP, Yes},
		{"SMTP, no line end", "220 mail.example.com ESMTP", Unknown, More},
		{"FTP", "220 (vsFTPd 3.0.5)\r\n", FTP, Yes},
		{"FTP on a host named smtp", "220 smtp.example.com FTP server ready.\r\n", FTP, Yes},
		{"FileZilla", "220-FileZilla Server 1.9.1\r\n", FTP, Yes},
		{"220 that names nothing", "220 ready\r\n", Unknown, No},
		{"220 that names a host only", "220 ftp.example.com\r\n", Unknown, No},
		{"220, lines going on", "220-terms\r\n text\r\n", Unknown, More},
		{"220, lines without end", "220-" + strings.Repeat("a\r\n", 2000), Unknown, No},
		{"2201", "2201", Unknown, No},
		{"IMAP", "* OK IMAP4rev1 ready\r\n", IMAP, Yes},
		{"IMAP, known client", "* PREAUTH ready\r\n", IMAP, Yes},
		{"IMAP, busy", "* BYE busy\r\n", IMAP, Yes},
		{"IMAP, other", "* OKAY", Unknown, No},
		{"POP3", "+OK POP3 ready\r\n", POP3, Yes},
		{"POP3, bare", "+OK\r\n", POP3, Yes},
		{"POP3, short", "+OK", Unknown, More},
		{"MySQL", mysqlStart, MySQL, Yes},
		{"MySQL, up to the nonce", mysqlStart[:20], Unknown, More},
		{"MySQL, host refused", "H\x00\x00\x00\xffj\x04Host 'a' is not allowed", MySQL, Yes},
		{"MySQL, sequence number", "J\x00\x00\x01\n", Unknown, No},
		{"MySQL, version no text", "J\x00\x00\x00\n\x01", Unknown, No},
		{"MySQL, packet too short for its version", "\x0c\x00\x00\x00\n8.0.32\x00\x14\x00\x00", Unknown, No},
		{"VNC", "RFB 003.008\n", VNC, Yes},
		{"HTTP response", "HTTP/1.1 400 Bad Request\r\n", Unknown, No},
		{"TLS alert", "\x15\x03\x01\x00\x02\x02\x28", Unknown, No},
	} {
		t.Run(tt.name, func(t *testing.T) { checkDetect(t, BannerDetectors(), tt.head, tt.want, tt.v) })
	}
}

// checkDetect checks the verdict about head, and that no shorter head had a final one that differs.
func checkDetect(t *testing.T, ds []Detector, head string, want Protocol, v Verdict) {
	t.Helper()
	gotP, gotV := Detect(ds, []byte(head))
	assert.Equal(t, want, gotP)
	assert.Equal(t, v, gotV, "got %v, want %v", gotV, v)
	checkFinal(t, ds, []byte(head))
}

// checkFinal checks that no final verdict about a prefix of head flips.
func checkFinal(t *testing.T, ds []Detector, head []byte) {
	t.Helper()
	for _, d := range ds {
		checkFinalFunc(t, head, func(b []byte) (Protocol, Verdict) { return d.Protocol(), d.Detect(b) })
	}
	checkFinalFunc(t, head, func(b []byte) (Protocol, Verdict) { return Detect(ds, b) })
}

func checkFinalFunc(t *testing.T, head []byte, detect func([]byte) (Protocol, Verdict)) {
	t.Helper()
	wantP, want := Unknown, More
	for n := range len(head) + 1 {
		p, v := detect(head[:n:n])
		if want != More && (v != want || p != wantP) {
			t.Fatalf("%s: verdict %v about %d bytes was %v (%s) about fewer: %.80q", p, v, n, want, wantP, head)
		}
		if n == 0 && v != More {
			t.Fatalf("%s: verdict %v about nothing", p, v)
		}
		wantP, want = p, v
	}
}

func TestVerdictString(t *testing.T) {
	assert.Equal(t, []string{"no", "more", "yes", "invalid"},
		[]string{No.String(), More.String(), Yes.String(), Verdict(3).String()})
}

func TestDetectorsAreFresh(t *testing.T) {
	Detectors()[0] = nil
	assert.NotNil(t, Detectors()[0])
	BannerDetectors()[0] = nil
	assert.NotNil(t, BannerDetectors()[0])
}

func TestDetectAllocs(t *testing.T) {
	client, server := Detectors(), BannerDetectors()
	for _, head := range []string{"GET /index.html HTTP/1.1\r\nHost: example.com\r\n\r\n", tlsStart, http2Preface, "EHLO a\r\n", "220 a ESMTP\r\n", mysqlStart} {
		b := []byte(head)
		assert.Zero(t, testing.AllocsPerRun(100, func() {
			Detect(client, b)
			Detect(server, b)
		}), "%q", head)
	}
}
