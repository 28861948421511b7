package sniff

import (
	"crypto/md5"
	"encoding/hex"
	"strconv"
)

// JA3 returns the hello's JA3 fingerprint (https://github.com/salesforce/ja3): the text, which is
//
//	version,suites,extensions,groups,point formats
//
// in decimal, each list in its order with - between, GREASE left out; and its MD5 in hex, which is what is
// compared. Version is the message's legacy_version.
//
// Since clients shuffle their extensions, one client has many; see JA4.
func (h *ClientHello) JA3() (text, hash string) {
	b := make([]byte, 0, 512)
	b = strconv.AppendUint(b, uint64(h.Version), 10)
	b = append(b, ',')
	b = appendJA3List(b, h.CipherSuites)
	b = append(b, ',')
	at := len(b)
	for _, e := range h.Extensions {
		b = appendJA3(b, at, e.Type)
	}
	b = append(b, ',')
	b = appendJA3List(b, h.SupportedGroups)
	b = append(b, ',')
	at = len(b)
	for _, f := range h.PointFormats {
		b = appendJA3(b, at, uint16(f))
	}
	sum := md5.Sum(b)
	return string(b), hex.EncodeToString(sum[:])
}

func appendJA3List(b []byte, list []uint16) []byte {
	at := len(b)
	for _, v := range list {
		b = appendJA3(b, at, v)
	}
	return b
}

// appendJA3 appends v to the list that begins at b[at:].
func appendJA3(b []byte, at int, v uint16) []byte {
	if isGREASE(v) {
		return b
	}
	if len(b) > at {
		b = append(b, '-')
	}
	return strconv.AppendUint(b, uint64(v), 10)
}
