package sniff

// tlsDetector recognises a ClientHello of SSL 3.0 to TLS 1.3 (RFC 8446 sections 4.1.2
// and 5.1): handshake records whose first message is a client_hello of a possible
// length and version. The message may be spread over records of any size, one byte
// each included; by 36 bytes the verdict is there, as a rule after 11.
//
// The SSL 2.0 compatible hello (RFC 5246 appendix E.2) is not recognised.
type tlsDetector struct{}

func (tlsDetector) Protocol() Protocol { return TLS }

func (tlsDetector) Detect(head []byte) Verdict {
	seen := 0 // bytes of the handshake message
	for {
		n, v := checkRecordHeader(head, recordHandshake)
		if v != Yes {
			return v
		}
		head = head[recordHeaderLen:]
		for _, c := range head[:min(n, len(head))] {
			if !clientHelloByte(seen, c) {
				return No
			}
			if seen++; seen == clientHelloSure {
				return Yes
			}
		}
		if len(head) < n {
			return More
		}
		head = head[n:]
	}
}

// clientHelloSure is how much of a handshake message tells that it is a ClientHello:
// its type, its length and legacy_version.
const clientHelloSure = 6

// clientHelloByte says whether byte i of a handshake message can be c in a ClientHello.
// Only lengths up to 64 KiB pass, those that ParseClientHello reads.
func clientHelloByte(i int, c byte) bool {
	switch i {
	case 0:
		return c == handshakeClientHello
	case 1: // the length's upper byte
		return c == 0
	case 4: // legacy_version's major
		return c == 3
	}
	return true
}
