package sniff

import (
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the golden files")

// readHex reads a flight of testdata/hello.
func readHex(t testing.TB, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "hello", name+".hex"))
	require.NoError(t, err)
	b, err := hex.DecodeString(strings.Join(strings.Fields(string(text)), ""))
	require.NoError(t, err)
	return b
}

// helloNames are the conversations of testdata/hello.
var helloNames = []string{"openssl", "chrome-pq-ech", "tls12-h2", "hello-retry", "alert", "tls13-draft23"}

func TestGoldenHellos(t *testing.T) {
	for _, name := range helloNames {
		t.Run(name, func(t *testing.T) {
			h, err := ParseClientHello(readHex(t, name+".client"))
			require.NoError(t, err)
			got := map[string]any{"client": describeClient(h)}
			s, err := ParseServerHello(readHex(t, name+".server"))
			if err != nil {
				got["error"] = err.Error()
			} else {
				got["server"] = describeServer(s)
			}
			text, err := json.MarshalIndent(got, "", "  ")
			require.NoError(t, err)
			golden := filepath.Join("testdata", "hello", name+".json")
			if *update {
				require.NoError(t, os.WriteFile(golden, append(text, '\n'), 0o644))
			}
			want, err := os.ReadFile(golden)
			require.NoError(t, err)
			assert.Equal(t, string(want), string(text)+"\n")
		})
	}
}

func describeClient(h *ClientHello) map[string]any {
	text, hash := h.JA3()
	return map[string]any{
		"len": h.Len, "recordVersion": h.RecordVersion, "version": h.Version,
		"random": hex.EncodeToString(h.Random), "sessionID": hex.EncodeToString(h.SessionID),
		"cipherSuites": hexList(h.CipherSuites), "compressionMethods": hex.EncodeToString(h.CompressionMethods),
		"extensions": describeExtensions(h.Extensions), "serverName": h.ServerName, "alpn": h.ALPN,
		"supportedVersions": hexList(h.SupportedVersions), "supportedGroups": hexList(h.SupportedGroups),
		"pointFormats": hex.EncodeToString(h.PointFormats), "signatureAlgorithms": hexList(h.SignatureAlgorithms),
		"keyShares": hexList(h.KeyShares), "malformed": h.Malformed,
		"ech": h.HasECH(), "maxVersion": VersionName(h.MaxVersion()), "ja3Text": text, "ja3": hash, "ja4": h.JA4(OverTCP),
	}
}

func describeServer(h *ServerHello) map[string]any {
	return map[string]any{
		"len": h.Len, "recordVersion": h.RecordVersion, "legacyVersion": h.LegacyVersion, "version": VersionName(h.Version),
		"random": hex.EncodeToString(h.Random), "sessionID": hex.EncodeToString(h.SessionID),
		"cipherSuite": CipherSuiteName(h.CipherSuite), "compressionMethod": h.CompressionMethod,
		"extensions": describeExtensions(h.Extensions), "alpn": h.ALPN,
		"helloRetryRequest": h.HelloRetryRequest, "malformed": h.Malformed,
	}
}

func hexList(list []uint16) string { return strings.Trim(fmt.Sprintf("%04x", list), "[]") }

func describeExtensions(list []Extension) []string {
	text := make([]string, len(list))
	for i, e := range list {
		text[i] = VersionName(e.Type)[2:] + " " + hex.EncodeToString(e.Data)
	}
	return text
}

// records puts a handshake message into records of up to size bytes each.
func records(msg []byte, size int) []byte {
	var b []byte
	for len(msg) > 0 {
		n := min(size, len(msg))
		b = append(b, recordHandshake, 3, 1, byte(n>>8), byte(n))
		b = append(b, msg[:n]...)
		msg = msg[n:]
	}
	return b
}

// message is a handshake message of a type.
func message(msgType byte, body string) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(len(body)))
	b[0] = msgType
	return append(b, body...)
}

// vector is a length of two bytes and what follows it.
func vector(parts ...string) string {
	s := strings.Join(parts, "")
	return string(binary.BigEndian.AppendUint16(nil, uint16(len(s)))) + s
}

func extension(extensionType uint16, data string) string {
	return string(binary.BigEndian.AppendUint16(nil, extensionType)) + vector(data)
}

var random = strings.Repeat("r", 32)

// clientHello is a ClientHello with these extensions, in one record.
func clientHello(extensions ...string) []byte {
	return records(message(1, "\x03\x03"+random+"\x00"+vector("\x13\x01")+"\x01\x00"+vector(extensions...)), maxRecordLen)
}

func serverName(name string) string { return extension(0, vector("\x00"+vector(name))) }

func TestClientHelloOverRecords(t *testing.T) {
	for _, name := range helloNames {
		whole := readHex(t, name+".client")
		want, err := ParseClientHello(whole)
		require.NoError(t, err)
		for _, size := range []int{1, 2, 3, 5, 7, 100, len(whole) - 6} {
			raw := records(whole[recordHeaderLen:], size)
			got, err := ParseClientHello(append(raw[:len(raw):len(raw)], "and what follows"...))
			require.NoError(t, err, "%s in records of %d", name, size)
			assert.Equal(t, raw, got.Raw)
			assert.Equal(t, len(raw), got.Len)
			a, b := describeClient(want), describeClient(got)
			for _, m := range []map[string]any{a, b} {
				delete(m, "len")
				delete(m, "recordVersion")
			}
			assert.Equal(t, a, b, "%s in records of %d", name, size)
			assert.Equal(t, Yes, tlsDetector{}.Detect(raw))
		}
	}
}

func TestHelloPrefixIsIncomplete(t *testing.T) {
	for _, name := range helloNames {
		for _, size := range []int{maxRecordLen, 3} {
			client := records(readHex(t, name+".client")[recordHeaderLen:], size)
			for n := range client {
				_, err := ParseClientHello(client[:n])
				require.ErrorIs(t, err, ErrIncomplete, "%s: %d bytes", name, n)
			}
		}
		server := readHex(t, name+".server")
		for n := range server {
			_, err := ParseServerHello(server[:n])
			require.ErrorIs(t, err, ErrIncomplete, "%s: %d bytes", name, n)
		}
	}
}

func TestClientHelloErrors(t *testing.T) {
	ok := "\x03\x03" + random
	for name, b := range map[string][]byte{
		"HTTP":                     []byte("GET / HTTP/1.1\r\n"),
		"SSL 2.0":                  []byte("\x80\x2e\x01\x00\x02"),
		"alert":                    []byte("\x15\x03\x01\x00\x02\x02\x28"),
		"version 2":                []byte("\x16\x02"),
		"empty record":             []byte("\x16\x03\x01\x00\x00"),
		"long record":              []byte("\x16\x03\x01\x40\x01"),
		"ServerHello":              []byte("\x16\x03\x01\x00\x7a\x02"),
		"second record's type":     []byte("\x16\x03\x01\x00\x01\x01\x17"),
		"no version":               records(message(1, "\x03"), maxRecordLen),
		"empty message":            records(message(1, ""), maxRecordLen),
		"short random":             records(message(1, "\x03\x03random"), maxRecordLen),
		"short session":            records(message(1, ok+"\x20abc"), maxRecordLen),
		"odd suites":               records(message(1, ok+"\x00\x00\x03abc\x01\x00"), maxRecordLen),
		"short suites":             records(message(1, ok+"\x00\x00\x04ab"), maxRecordLen),
		"no compression":           records(message(1, ok+"\x00\x00\x02ab"), maxRecordLen),
		"short compression":        records(message(1, ok+"\x00\x00\x02ab\x02\x00"), maxRecordLen),
		"half a length":            records(message(1, ok+"\x00\x00\x02ab\x01\x00\x00"), maxRecordLen),
		"short extensions":         records(message(1, ok+"\x00\x00\x02ab\x01\x00\x00\x09\x00"), maxRecordLen),
		"short extension":          clientHello("\x00\x00\x00\x05\x00"),
		"half an extension type":   clientHello("\x00"),
		"extension without length": clientHello("\x00\x00\x00"),
	} {
		h, err := ParseClientHello(b)
		assert.Nil(t, h, name)
		if assert.Error(t, err, name) {
			assert.NotErrorIs(t, err, ErrIncomplete, name)
			assert.True(t, strings.HasPrefix(err.Error(), "sniff: "), "%s: %v", name, err)
		}
	}
}

func TestClientHelloFields(t *testing.T) {
	alpn := func(list string) string { return extension(16, vector(list)) }
	for _, tt := range []struct {
		name       string
		extensions []string
		sni        string
		alpn       []string
		version    uint16
		malformed  bool
	}{
		{"none", nil, "", nil, 0x0303, false},
		{"name", []string{serverName("a.example")}, "a.example", nil, 0x0303, false},
		{"name as sent", []string{serverName("A.example.")}, "A.example.", nil, 0x0303, false},
		{"address as name", []string{serverName("192.0.2.1")}, "192.0.2.1", nil, 0x0303, false},
		{"other type before", []string{extension(0, vector("\x07"+vector("x")+"\x00"+vector("a")))}, "a", nil, 0x0303, false},
		{"two names", []string{extension(0, vector("\x00"+vector("a")+"\x00"+vector("b")))}, "a", nil, 0x0303, false},
		{"two extensions", []string{serverName("a"), serverName("b")}, "a", nil, 0x0303, true},
		{"empty name", []string{serverName("")}, "", nil, 0x0303, true},
		{"empty server_name", []string{extension(0, "")}, "", nil, 0x0303, true},
		{"name cut", []string{extension(0, vector("\x00\x00\x05abc"))}, "", nil, 0x0303, true},
		{"bytes after the names", []string{extension(0, vector("\x00"+vector("a"))+"x")}, "", nil, 0x0303, true},
		{"protocols", []string{alpn("\x02h2\x08http/1.1\x01x")}, "", []string{"h2", "http/1.1", "x"}, 0x0303, false},
		{"five protocols", []string{alpn("\x01a\x01b\x01c\x01d\x01e")}, "", []string{"a", "b", "c", "d", "e"}, 0x0303, false},
		{"empty protocol", []string{alpn("\x02h2\x00")}, "", nil, 0x0303, true},
		{"protocol cut", []string{alpn("\x02h2\x08http")}, "", nil, 0x0303, true},
		{"no protocols", []string{alpn("")}, "", nil, 0x0303, true},
		{"the rest is read", []string{alpn(""), serverName("a")}, "a", nil, 0x0303, true},
		{"versions", []string{extension(43, "\x06\x1a\x1a\x03\x04\x03\x03")}, "", nil, 0x0304, false},
		{"draft", []string{extension(43, "\x04\x7f\x1c\x03\x03")}, "", nil, 0x7f1c, false},
		{"draft and final", []string{extension(43, "\x04\x7f\x1c\x03\x04")}, "", nil, 0x0304, false},
		{"GREASE alone", []string{extension(43, "\x02\x1a\x1a")}, "", nil, 0x0303, false},
		{"private version", []string{extension(43, "\x04\xfb\x1a\x03\x04")}, "", nil, 0x0304, false},
		{"half a version", []string{extension(43, "\x03\x03\x04\x03")}, "", nil, 0x0303, true},
		{"key share cut", []string{extension(51, vector("\x00\x1d\x00\x20abc"))}, "", nil, 0x0303, true},
		{"types equal modulo 64", []string{extension(100, ""), extension(164, "")}, "", nil, 0x0303, false},
		{"one type twice", []string{extension(100, ""), extension(164, ""), extension(164, "")}, "", nil, 0x0303, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h, err := ParseClientHello(clientHello(tt.extensions...))
			require.NoError(t, err)
			assert.Equal(t, tt.sni, h.ServerName)
			assert.Equal(t, tt.alpn, h.ALPN)
			assert.Equal(t, tt.version, h.MaxVersion())
			assert.Equal(t, tt.malformed, h.Malformed)
			assert.Len(t, h.Extensions, len(tt.extensions))
			h.JA3()
			h.JA4(OverQUIC)
		})
	}
}

func TestClientHelloManyValues(t *testing.T) {
	var extensions []string
	for i := range 300 {
		extensions = append(extensions, extension(uint16(1000+i), "x"))
	}
	h, err := ParseClientHello(clientHello(extensions...))
	require.NoError(t, err)
	assert.Len(t, h.Extensions, 300)
	assert.True(t, h.Malformed)
	assert.Equal(t, "99", h.JA4(OverTCP)[6:8])

	suites := strings.Repeat("\x13\x01", 5000)
	h, err = ParseClientHello(records(message(1, "\x03\x00"+random+"\x00"+vector(suites)+"\x01\x00"), maxRecordLen))
	require.NoError(t, err)
	assert.Len(t, h.CipherSuites, 5000)
	assert.Empty(t, h.Extensions)
	assert.Equal(t, "ts3i990000_", h.JA4(OverTCP)[:11])
	assert.Equal(t, "_000000000000", h.JA4(OverTCP)[23:])
}

func TestJA4ALPN(t *testing.T) {
	for alpn, want := range map[string]string{
		"h2": "h2", "h": "hh", "http/1.1": "h1", "\xab": "ab", "\xab\xcd": "ad", "0\xab": "3b", "01\xab\xcd": "3d", "spdy/3.1": "s1",
	} {
		assert.Equal(t, want, string(appendJA4ALPN(nil, []string{alpn})), "%q", alpn)
	}
	assert.Equal(t, "00", string(appendJA4ALPN(nil, nil)))
}

func TestNames(t *testing.T) {
	assert.Equal(t, []string{"tls1.3", "tls1.2", "tls1.1", "tls1.0", "ssl3.0", "0x7f1c"},
		[]string{VersionName(0x0304), VersionName(0x0303), VersionName(0x0302), VersionName(0x0301), VersionName(0x0300), VersionName(0x7f1c)})
	assert.Equal(t, "TLS_AES_128_GCM_SHA256", CipherSuiteName(0x1301))
	assert.Equal(t, "0x00FF", CipherSuiteName(0x00ff))
}
