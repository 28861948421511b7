package sniff

import (
	"errors"
	"testing"
)

// FuzzDetect checks that no detector's final verdict flips.
func FuzzDetect(f *testing.F) {
	for _, head := range []string{
		"", tlsStart, mysqlStart, http2Preface, "\r\nGET / HTTP/1.1\r\n\r\n", "PRI * HTTP/2.0\r\n\r\n", "OPTIONS rtsp://a RTSP/1.0\r\n",
		"SSH-1.99-x\r\n", "EHLO a\r\n", "220-a\r\n220 FTP\r\n", "220 a ESMTP\r\n", "* PREAUTH \r\n", "+OK\r\n", "RFB 003.008\n",
		"H\x00\x00\x00\xffj\x04Host 'a'", "\x16\x03\x01\x00\x01\x01\x16\x03\x01\x00\x05\x00\x00\xff\x03\x03",
	} {
		f.Add([]byte(head))
	}
	f.Fuzz(func(t *testing.T, head []byte) {
		checkFinal(t, Detectors(), head)
		checkFinal(t, BannerDetectors(), head)
	})
}

// FuzzParseClientHello checks that a hello is in the bytes it was read from, is not much
// larger than they are, and that its beginnings are incomplete.
func FuzzParseClientHello(f *testing.F) {
	for _, name := range helloNames {
		b := readHex(f, name+".client")
		f.Add(b)
		f.Add(records(b[recordHeaderLen:], 50))
	}
	f.Add(clientHello(serverName("a"), extension(16, vector("\x02h2")), extension(51, vector("\x00\x1d"+vector("key")))))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := ParseClientHello(b)
		if err != nil {
			checkParseError(t, b, err)
			return
		}
		checkRaw(t, b, h.Raw, h.Len, func(b []byte) error { _, err := ParseClientHello(b); return err })
		checkExtensions(t, b, h.Extensions)
		if v := (tlsDetector{}).Detect(b); v != Yes && h.Version>>8 == 3 {
			t.Fatalf("a ClientHello, but the detector says %v", v)
		}
		numbers := len(h.CipherSuites) + len(h.SupportedVersions) + len(h.SupportedGroups) + len(h.SignatureAlgorithms) + len(h.KeyShares)
		if text := len(h.ServerName) + len(h.Random) + len(h.SessionID); 2*numbers+text+len(h.ALPN) > 2*len(b) {
			t.Fatalf("%d numbers and %d bytes of %d", numbers, text, len(b))
		}
		if text, hash := h.JA3(); len(hash) != 32 || len(text) > 8*len(b) {
			t.Fatalf("JA3 %q %q", text, hash)
		}
		if ja4 := h.JA4(OverTCP); len(ja4) != 36 {
			t.Fatalf("JA4 %q", ja4)
		}
		h.MaxVersion()
		h.HasECH()
	})
}

// FuzzParseServerHello checks the same of a ServerHello.
func FuzzParseServerHello(f *testing.F) {
	for _, name := range helloNames {
		b := readHex(f, name+".server")
		f.Add(b)
		f.Add(records(b[recordHeaderLen:], 50))
	}
	f.Add([]byte("\x14\x03\x03\x00\x01\x01\x15\x03\x03\x00\x02\x01\x70"))
	f.Add(serverHello(extension(43, "\x03\x04"), extension(16, vector("\x02h2"))))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := ParseServerHello(b)
		if err != nil {
			checkParseError(t, b, err)
			return
		}
		checkRaw(t, b, h.Raw, h.Len, func(b []byte) error { _, err := ParseServerHello(b); return err })
		checkExtensions(t, b, h.Extensions)
	})
}

// checkParseError checks that a stream does not stay incomplete for ever.
func checkParseError(t *testing.T, b []byte, err error) {
	if errors.Is(err, ErrIncomplete) && len(b) > MaxHelloStream+100 { // a ServerHello's forerunners are not counted
		t.Fatalf("%d bytes and still incomplete", len(b))
	}
}

func checkRaw(t *testing.T, b, raw []byte, n int, parse func([]byte) error) {
	if n != len(raw) || n > len(b) || &raw[0] != &b[0] {
		t.Fatalf("Raw is not the beginning of what was given: %d of %d", n, len(b))
	}
	if err := parse(raw); err != nil {
		t.Fatalf("Raw alone: %v", err)
	}
	for _, cut := range []int{0, 1, 5, 6, n / 2, n - 1} {
		if err := parse(raw[:min(cut, n-1)]); !errors.Is(err, ErrIncomplete) {
			t.Fatalf("%d bytes of %d: %v", cut, n, err)
		}
	}
}

func checkExtensions(t *testing.T, b []byte, list []Extension) {
	size := 0
	for _, e := range list {
		size += 4 + len(e.Data)
	}
	if size > len(b) {
		t.Fatalf("%d bytes of extensions in %d", size, len(b))
	}
}
