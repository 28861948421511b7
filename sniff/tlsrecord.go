package sniff

const (
	recordHeaderLen = 5
	maxRecordLen    = 1 << 14 // of a record's fragment in clear, RFC 8446 section 5.1

	recordChangeCipherSpec = 20
	recordAlert            = 21
	recordHandshake        = 22

	handshakeHeaderLen   = 4
	handshakeClientHello = 1
	handshakeServerHello = 2
)

// checkRecordHeader reads the header of a TLS record of the given type in clear, and returns its fragment's
// length. Yes: it is one; More: b is too short to tell, but may become one. A fragment has
// at least one byte, since empty ones are for application data only (RFC 8446 section 5.1).
func checkRecordHeader(b []byte, recordType byte) (length int, v Verdict) {
	switch {
	case len(b) > 0 && b[0] != recordType,
		len(b) > 1 && b[1] != 3,
		len(b) > 2 && b[2] > 4,
		len(b) > 3 && int(b[3]) > maxRecordLen>>8:
		return 0, No
	case len(b) < recordHeaderLen:
		return 0, More
	}
	length = int(b[3])<<8 | int(b[4])
	return length, yesIf(0 < length && length <= maxRecordLen)
}
