package sniff

import (
	"crypto/tls"
	"errors"
	"fmt"
	"sync"
)

// A ServerHello is what a TLS server says first (RFC 8446 section 4.1.3, RFC 5246 section
// 7.4.1.3), or its HelloRetryRequest (RFC 8446 section 4.1.4), which has the same form. Its byte slices
// alias what was given to [ParseServerHello], except after a message that was spread over
// several records.
type ServerHello struct {
	// Raw is the TLS records that carry the message, headers included, and what records were passed
	// over before them. The last one is whole, so it may hold the server's next messages.
	Raw []byte
	Len int // len(Raw)

	RecordVersion     uint16      // of the record that the message begins in
	LegacyVersion     uint16      // the message's own version field
	Version           uint16      // the version selected: supported_versions where that is there, else LegacyVersion
	Random            []byte      // 32 bytes
	SessionID         []byte      // legacy_session_id_echo, up to 255 bytes
	CipherSuite       uint16      // the suite selected
	CompressionMethod byte        // 0 but for old SSL
	Extensions        []Extension // in the order sent

	// ALPN is the protocol selected where it is in clear: up to TLS 1.2. TLS 1.3 has it
	// in EncryptedExtensions. Empty: none, or not to be seen.
	ALPN string

	// HelloRetryRequest says that the server asks for another ClientHello.
	HelloRetryRequest bool

	// Malformed says that the message, though read, breaks a rule: see ClientHello.
	Malformed bool

	extensions [8]Extension // enough for the usual hello
}

// An AlertError is the alert with which a server refused a ClientHello (RFC 8446 section 6).
type AlertError struct {
	Level       uint8 // 1 is a warning, 2 fatal
	Description uint8 // of the registry "TLS Alerts"
}

// Error names the alert, as crypto/tls does.
func (e *AlertError) Error() string {
	return "sniff: TLS alert instead of a ServerHello: " + tls.AlertError(e.Description).Error()
}

const (
	alertWarning          = 1
	alertUnrecognizedName = 112 // RFC 6066 section 3: may be sent as a warning before a ServerHello
)

// helloRetryRandom is the Random that makes a ServerHello a HelloRetryRequest (RFC 8446 section 4.1.3).
const helloRetryRandom = "\xcf\x21\xad\x74\xe5\x9a\x61\x11\xbe\x1d\x8c\x02\x1e\x65\xb8\x91" +
	"\xc2\xa2\x11\x16\x7a\xbb\x8c\x5e\x07\x9e\x09\xe2\xc8\xa8\x33\x9c"

var errServerHello = errors.New("sniff: ServerHello with a length that does not fit")

// ParseServerHello reads the ServerHello that b, the stream of a server or what is left of it after
// a HelloRetryRequest, begins with. A change_cipher_spec record (RFC 8446 appendix D.4) and a warning
// that the name is not known (RFC 6066 section 3) may come before it.
//
// The error is an [*AlertError] when the server refuses, [ErrIncomplete] when b is
// the beginning of what may be a ServerHello; any but the last is final. Limits and aliasing are those of
// [ParseClientHello].
func ParseServerHello(b []byte) (*ServerHello, error) {
	start, err := skipBeforeServerHello(b)
	if err != nil {
		return nil, err
	}
	msg, n, err := readHandshake(b[start:], handshakeServerHello)
	if err != nil {
		return nil, err
	}
	n += start
	h := &ServerHello{Raw: b[:n:n], Len: n, RecordVersion: uint16(b[start+1])<<8 | uint16(b[start+2])}
	if !h.parse(msg) {
		return nil, errServerHello
	}
	return h, nil
}

// skipBeforeServerHello returns the length of the records that may come before a ServerHello: one
// of each kind.
func skipBeforeServerHello(b []byte) (int, error) {
	start := 0
	if len(b) > 0 && b[0] == recordChangeCipherSpec {
		fragment, err := readRecord(b, recordChangeCipherSpec, 1)
		if err != nil {
			return 0, err
		}
		start = recordHeaderLen + len(fragment)
		b = b[start:]
	}
	if len(b) == 0 || b[0] != recordAlert {
		return start, nil
	}
	fragment, err := readRecord(b, recordAlert, 2)
	if err != nil {
		return 0, err
	}
	if alert := (AlertError{fragment[0], fragment[1]}); alert != (AlertError{alertWarning, alertUnrecognizedName}) {
		return 0, &alert
	}
	return start + recordHeaderLen + len(fragment), nil
}

// readRecord returns the fragment, of a given length, of the record that b begins with.
func readRecord(b []byte, recordType byte, length int) ([]byte, error) {
	n, v := checkRecordHeader(b, recordType)
	switch {
	case v == No || v == Yes && n != length:
		return nil, fmt.Errorf("sniff: malformed TLS record of type %d", recordType)
	case v == More || len(b) < recordHeaderLen+n:
		return nil, ErrIncomplete
	}
	return b[recordHeaderLen : recordHeaderLen+n], nil
}

// parse reads the message without its header.
func (h *ServerHello) parse(msg []byte) bool {
	c := cursor(msg)
	var ok bool
	if h.LegacyVersion, ok = c.uint16(); !ok {
		return false
	}
	h.Version = h.LegacyVersion
	if h.Random, ok = c.take(32); !ok {
		return false
	}
	h.HelloRetryRequest = string(h.Random) == helloRetryRandom
	if h.SessionID, ok = c.vector8(); !ok {
		return false
	}
	if h.CipherSuite, ok = c.uint16(); !ok {
		return false
	}
	method, ok := c.take(1)
	if !ok {
		return false
	}
	h.CompressionMethod = method[0]
	if len(c) == 0 { // no extensions
		return true
	}
	if h.Extensions, ok = readExtensions(&c, h.extensions[:0]); !ok {
		return false
	}
	versionOK, alpnOK := h.readVersion(), h.readALPN()
	h.Malformed = len(c) > 0 || repeatsType(h.Extensions) || !versionOK || !alpnOK
	return true
}

// readVersion reads RFC 8446 section 4.2.1, and says whether it parsed or was not there.
func (h *ServerHello) readVersion() bool {
	data, ok := h.Extension(extSupportedVersions)
	if !ok {
		return true
	}
	if len(data) != 2 {
		return false
	}
	h.Version = uint16(data[0])<<8 | uint16(data[1])
	return true
}

// readALPN reads RFC 7301 section 3.1: a list of exactly one name.
func (h *ServerHello) readALPN() bool {
	data, ok := h.Extension(extALPN)
	if !ok {
		return true
	}
	c := cursor(data)
	list, ok := c.vector16()
	if !ok || len(c) > 0 {
		return false
	}
	c = list
	name, ok := c.vector8()
	if !ok || len(name) == 0 || len(c) > 0 {
		return false
	}
	h.ALPN = protocolName(name)
	return true
}

// Extension returns the content of the first extension of a type, and whether there is one.
func (h *ServerHello) Extension(extensionType uint16) (data []byte, ok bool) {
	return findExtension(h.Extensions, extensionType)
}

// VersionName returns "tls1.3", "tls1.2", "tls1.1", "tls1.0" or "ssl3.0", and for any other version
// four digits such as "0x7f1c".
func VersionName(version uint16) string {
	switch version {
	case 0x0304:
		return "tls1.3"
	case 0x0303:
		return "tls1.2"
	case 0x0302:
		return "tls1.1"
	case 0x0301:
		return "tls1.0"
	case 0x0300:
		return "ssl3.0"
	}
	return fmt.Sprintf("0x%04x", version)
}

// CipherSuiteName returns a suite's name in the registry "TLS Cipher Suites" where crypto/tls knows it,
// such as "TLS_AES_128_GCM_SHA256", else four digits such as "0x00FF".
func CipherSuiteName(suite uint16) string {
	if name, ok := suiteNames()[suite]; ok {
		return name
	}
	return tls.CipherSuiteName(suite)
}

// suiteNames are crypto/tls's names, which it would gather anew for each asking.
var suiteNames = sync.OnceValue(func() map[uint16]string {
	names := map[uint16]string{}
	for _, suites := range [][]*tls.CipherSuite{tls.CipherSuites(), tls.InsecureCipherSuites()} {
		for _, s := range suites {
			names[s.ID] = s.Name
		}
	}
	return names
})
