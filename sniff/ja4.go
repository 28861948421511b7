package sniff

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
)

// A Transport says what carried a ClientHello, as the letter that JA4 begins with.
type Transport byte

// The transports that JA4 tells apart.
const (
	OverTCP  Transport = 't'
	OverQUIC Transport = 'q'
	OverDTLS Transport = 'd'
)

// JA4 returns the hello's JA4 fingerprint
// (https://github.com/FoxIO-LLC/ja4/blob/main/technical_details/JA4.md), such as
// "t13d1516h2_8daaf6152771_e5627efa2ab1": the transport, the highest version offered, whether there is a
// server_name, how many suites and extensions, the first and last character of the first
// ALPN protocol; then hashes of the sorted suites, and of the sorted extensions with the signature
// algorithms. GREASE is left out, so a client that shuffles its extensions has one.
func (h *ClientHello) JA4(over Transport) string {
	suites := make([]uint16, 0, 64)
	for _, s := range h.CipherSuites {
		if !isGREASE(s) {
			suites = append(suites, s)
		}
	}
	extensions := make([]uint16, 0, 32)
	count := 0
	name := byte('i')
	for _, e := range h.Extensions {
		if isGREASE(e.Type) {
			continue
		}
		count++
		switch e.Type {
		case extServerName:
			name = 'd'
		case extALPN:
		default:
			extensions = append(extensions, e.Type)
		}
	}
	slices.Sort(suites)
	slices.Sort(extensions)

	b := make([]byte, 0, 36)
	b = append(b, byte(over))
	b = append(b, ja4Version(h.highestVersion())...)
	b = append(b, name)
	b = appendTwoDigits(b, len(suites))
	b = appendTwoDigits(b, count)
	b = appendJA4ALPN(b, h.ALPN)
	b = append(b, '_')
	b = appendJA4Hash(b, suites, nil)
	b = append(b, '_')
	b = appendJA4Hash(b, extensions, h.SignatureAlgorithms)
	return string(b)
}

// highestVersion is JA4's: by number alone, private versions included.
func (h *ClientHello) highestVersion() uint16 {
	highest := uint16(0)
	for _, v := range h.SupportedVersions {
		if v > highest && !isGREASE(v) {
			highest = v
		}
	}
	if highest == 0 {
		return h.Version
	}
	return highest
}

func ja4Version(version uint16) string {
	switch version {
	case 0x0304:
		return "13"
	case 0x0303:
		return "12"
	case 0x0302:
		return "11"
	case 0x0301:
		return "10"
	case 0x0300:
		return "s3"
	case 0x0002:
		return "s2"
	case 0xfeff:
		return "d1"
	case 0xfefd:
		return "d2"
	case 0xfefc:
		return "d3"
	}
	return "00"
}

func appendTwoDigits(b []byte, n int) []byte {
	n = min(n, 99)
	return append(b, '0'+byte(n/10), '0'+byte(n%10))
}

// appendJA4ALPN appends the first and the last character of the first protocol, of its hex form where
// one of them is neither letter nor digit.
func appendJA4ALPN(b []byte, alpn []string) []byte {
	if len(alpn) == 0 {
		return append(b, "00"...)
	}
	first, last := alpn[0][0], alpn[0][len(alpn[0])-1]
	if isAlnum(first) && isAlnum(last) {
		return append(b, first, last)
	}
	const digits = "0123456789abcdef"
	return append(b, digits[first>>4], digits[last&15])
}

// appendJA4Hash appends the beginning of the SHA-256 of list and, after an underscore, of more.
// No list has zeros.
func appendJA4Hash(b []byte, list, more []uint16) []byte {
	if len(list) == 0 {
		return append(b, "000000000000"...)
	}
	text := appendHexList(make([]byte, 0, 512), list)
	if len(more) > 0 {
		text = appendHexList(append(text, '_'), more)
	}
	sum := sha256.Sum256(text)
	return hex.AppendEncode(b, sum[:6])
}

// appendHexList appends the numbers, but for GREASE, with commas between.
func appendHexList(b []byte, list []uint16) []byte {
	at := len(b)
	for _, v := range list {
		if isGREASE(v) {
			continue
		}
		if len(b) > at {
			b = append(b, ',')
		}
		b = hex.AppendEncode(b, []byte{byte(v >> 8), byte(v)})
	}
	return b
}
