package sniff

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestServerHelloOverRecords(t *testing.T) {
	whole := readHex(t, "tls12-h2.server")
	raw := records(whole[recordHeaderLen:], 1)
	got, err := ParseServerHello(append(raw[:len(raw):len(raw)], 0x17))
	require.NoError(t, err)
	assert.Equal(t, raw, got.Raw)
	assert.Equal(t, "h2", got.ALPN)
}

func serverHello(extensions ...string) []byte {
	return records(message(2, "\x03\x03"+random+"\x00\x13\x01\x00"+vector(extensions...)), maxRecordLen)
}

func TestServerHelloRecordsBefore(t *testing.T) {
	hello := serverHello(extension(43, "\x03\x04"))
	ccs, warning := "\x14\x03\x03\x00\x01\x01", "\x15\x03\x03\x00\x02\x01\x70"
	for _, before := range []string{"", ccs, warning, ccs + warning} {
		b := append([]byte(before), hello...)
		for n := range b {
			_, err := ParseServerHello(b[:n])
			require.ErrorIs(t, err, ErrIncomplete)
		}
		h, err := ParseServerHello(append(b[:len(b):len(b)], "more"...))
		require.NoError(t, err)
		assert.Equal(t, b, h.Raw)
		assert.Equal(t, uint16(0x0304), h.Version)
		assert.Equal(t, uint16(0x0303), h.LegacyVersion)
		assert.Equal(t, uint16(0x0301), h.RecordVersion)
	}
}

func TestServerHelloAlert(t *testing.T) {
	_, err := ParseServerHello([]byte("\x15\x03\x03\x00\x02\x02\x46"))
	var alert *AlertError
	require.True(t, errors.As(err, &alert))
	assert.Equal(t, AlertError{2, 70}, *alert)
	assert.Equal(t, "sniff: TLS alert instead of a ServerHello: tls: protocol version not supported", err.Error())
}

func TestServerHelloErrors(t *testing.T) {
	for name, b := range map[string][]byte{
		"HTTP":              []byte("HTTP/1.1 400 Bad Request\r\n"),
		"ClientHello":       clientHello(),
		"long alert":        []byte("\x15\x03\x03\x00\x03\x02\x46"),
		"long cipher spec":  []byte("\x14\x03\x03\x00\x02"),
		"two cipher specs":  []byte("\x14\x03\x03\x00\x01\x01\x14"),
		"short":             records(message(2, "\x03\x03"+random+"\x00\x13"), maxRecordLen),
		"no compression":    records(message(2, "\x03\x03"+random+"\x00\x13\x01"), maxRecordLen),
		"half an extension": serverHello("\x00\x00\x00"),
	} {
		h, err := ParseServerHello(b)
		assert.Nil(t, h, name)
		if assert.Error(t, err, name) {
			assert.NotErrorIs(t, err, ErrIncomplete, name)
		}
	}
}

func TestServerHelloMalformed(t *testing.T) {
	for _, tt := range []struct {
		name       string
		extensions []string
	}{
		{"long version", []string{extension(43, "\x03\x04\x00")}},
		{"two protocols", []string{extension(16, vector("\x02h2\x01x"))}},
		{"no protocol", []string{extension(16, vector(""))}},
		{"twice", []string{extension(43, "\x03\x03"), extension(43, "\x03\x03")}},
	} {
		h, err := ParseServerHello(serverHello(tt.extensions...))
		require.NoError(t, err)
		assert.True(t, h.Malformed, tt.name)
		assert.Equal(t, uint16(0x0303), h.Version)
		assert.Empty(t, h.ALPN)
	}
	after := records(message(2, "\x03\x03"+random+"\x00\x13\x01\x00"+vector(extension(43, "\x03\x04"))+"x"), maxRecordLen)
	h, err := ParseServerHello(after)
	require.NoError(t, err)
	assert.True(t, h.Malformed)
	assert.Equal(t, uint16(0x0304), h.Version, "what can be read is read")
}
