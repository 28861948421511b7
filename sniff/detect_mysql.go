package sniff

import "bytes"

// mysqlDetector recognises the first packet of a MySQL or MariaDB server
// (https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase.html):
// a greeting of protocol version 10 with a printable server version, or the error
// that refuses a client before any greeting. More ends after 147 bytes.
type mysqlDetector struct{}

const (
	mysqlMaxVersion = 128 // bytes of the server version
	mysqlMaxPacket  = 512 // bytes of the first packet
)

func (mysqlDetector) Protocol() Protocol { return MySQL }

// Detect reads int<3> payload length, int<1> sequence number, and the payload.
func (mysqlDetector) Detect(head []byte) Verdict {
	length := 0
	for i, c := range head[:min(len(head), 4)] {
		if i < 3 {
			length |= int(c) << (8 * i)
		}
		if i == 2 && (length < 8 || length > mysqlMaxPacket) || i == 3 && c != 0 {
			return No
		}
	}
	if len(head) < 5 {
		return More
	}
	payload := head[4:min(len(head), 4+length)]
	switch payload[0] {
	case 10:
		return mysqlGreeting(payload[1:], length-1)
	case 0xff:
		return mysqlRefusal(payload[1:])
	}
	return No
}

// mysqlGreeting reads what is there of a greeting of length bytes: a version that ends in NUL,
// the thread's number (4 bytes), half of the nonce (8), and NUL.
func mysqlGreeting(b []byte, length int) Verdict {
	version := bytes.IndexByte(b[:min(len(b), mysqlMaxVersion+1)], 0)
	text := b
	if version >= 0 {
		text = b[:version]
	}
	const filler = 1 + 4 + 8 // bytes from the version's NUL to the other
	switch {
	case len(text) > 0 && !isDigit(text[0]) || hasControl(text) || version == 0:
		return No
	case version < 0:
		return moreIf(len(b) <= mysqlMaxVersion && len(b) < length)
	case version+filler >= length:
		return No
	case version+filler >= len(b):
		return More
	}
	return yesIf(b[version+filler] == 0)
}

// mysqlRefusal reads an error's number, among those of the server (1000 to 1999), and
// the beginning of its text.
func mysqlRefusal(b []byte) Verdict {
	if len(b) >= 2 {
		if code := int(b[0]) | int(b[1])<<8; code < 1000 || code > 1999 {
			return No
		}
		if hasControl(b[2:min(len(b), 7)]) {
			return No
		}
	}
	if len(b) < 7 {
		return More
	}
	return Yes
}
