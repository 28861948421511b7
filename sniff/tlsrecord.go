package sniff

import (
	"errors"
	"fmt"
)

// ErrIncomplete is what the parsers of this package answer, wrapped or not, when what they
// were given is the beginning of what they read, and more bytes are needed. Any other
// error of theirs is final.
var ErrIncomplete = errors.New("sniff: incomplete")

const (
	// MaxHelloMessage is how long, in bytes, a ClientHello or ServerHello message may be.
	MaxHelloMessage = 64 << 10
	// MaxHelloStream is how long, in bytes, the records that carry such a message may be together.
	// A stream whose parser still answers ErrIncomplete is never longer.
	MaxHelloStream = 2 * MaxHelloMessage

	recordHeaderLen = 5
	maxRecordLen    = 1 << 14 // of a record's fragment in clear, RFC 8446 section 5.1

	recordChangeCipherSpec = 20
	recordAlert            = 21
	recordHandshake        = 22

	handshakeHeaderLen   = 4
	handshakeClientHello = 1
	handshakeServerHello = 2
)

// checkRecordHeader reads the header of a TLS record of the given type in clear, and returns its
// fragment's length. Yes: it is one; More: b is too short to tell, but may become one. A
// fragment has at least one byte: empty ones are for application data only (RFC 8446 section 5.1).
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

// readHandshake reads the handshake message that b begins with, over as many records as
// it takes. It returns the message without its header, and the length of the records. The
// message aliases b when it lies in one record, else it is a copy.
func readHandshake(b []byte, msgType byte) (msg []byte, rawLen int, err error) {
	var head [handshakeHeaderLen]byte
	need := handshakeHeaderLen // bytes of the message with its header, once that is known
	for have, at := 0, 0; ; {
		n, v := checkRecordHeader(b[at:], recordHandshake)
		switch {
		case v == No:
			return nil, 0, fmt.Errorf("sniff: no TLS handshake record at byte %d", at)
		case v == More:
			return nil, 0, ErrIncomplete
		case at+recordHeaderLen+n > MaxHelloStream:
			return nil, 0, fmt.Errorf("sniff: TLS handshake message in records of more than %d bytes", MaxHelloStream)
		}
		fragment := b[at+recordHeaderLen : min(len(b), at+recordHeaderLen+n)]
		if have < handshakeHeaderLen {
			copy(head[have:], fragment)
			need, err = handshakeNeed(head[:min(handshakeHeaderLen, have+len(fragment))], msgType)
			if err != nil {
				return nil, 0, err
			}
		}
		if len(fragment) < n {
			return nil, 0, ErrIncomplete
		}
		have += n
		at += recordHeaderLen + n
		if have >= need {
			if have == n { // all in this one record
				return fragment[handshakeHeaderLen:need], at, nil
			}
			return joinFragments(b[:at], have)[handshakeHeaderLen:need], at, nil
		}
	}
}

// handshakeNeed returns how many bytes the message has whose header begins with head,
// header included; the header's own length while head is short of it.
func handshakeNeed(head []byte, msgType byte) (int, error) {
	if len(head) > 0 && head[0] != msgType {
		return 0, fmt.Errorf("sniff: TLS handshake message of type %d, not %d", head[0], msgType)
	}
	if len(head) < handshakeHeaderLen {
		return handshakeHeaderLen, nil
	}
	n := handshakeHeaderLen + (int(head[1])<<16 | int(head[2])<<8 | int(head[3]))
	if n > MaxHelloMessage {
		return 0, fmt.Errorf("sniff: TLS handshake message of %d bytes, more than %d", n, MaxHelloMessage)
	}
	return n, nil
}

// joinFragments copies the fragments of the whole records that b consists of; total is their length.
func joinFragments(b []byte, total int) []byte {
	joined := make([]byte, 0, total)
	for len(b) > 0 {
		end := recordHeaderLen + (int(b[3])<<8 | int(b[4]))
		joined = append(joined, b[recordHeaderLen:end]...)
		b = b[end:]
	}
	return joined
}

// A cursor reads the presentation language of RFC 8446 section 3 from the front of what is left.
// Each method says whether there was enough, and takes nothing when there was not.
type cursor []byte

func (c *cursor) take(n int) ([]byte, bool) {
	if len(*c) < n {
		return nil, false
	}
	b := (*c)[:n:n]
	*c = (*c)[n:]
	return b, true
}

func (c *cursor) uint16() (uint16, bool) {
	b, ok := c.take(2)
	if !ok {
		return 0, false
	}
	return uint16(b[0])<<8 | uint16(b[1]), true
}

// vector8 takes a vector with a length of one byte, vector16 one of two.
func (c *cursor) vector8() ([]byte, bool) {
	if len(*c) < 1 || len(*c) < 1+int((*c)[0]) {
		return nil, false
	}
	n := 1 + int((*c)[0])
	b, _ := c.take(n)
	return b[1:], true
}

func (c *cursor) vector16() ([]byte, bool) {
	if len(*c) < 2 {
		return nil, false
	}
	n := 2 + (int((*c)[0])<<8 | int((*c)[1]))
	b, ok := c.take(n)
	if !ok {
		return nil, false
	}
	return b[2:], true
}
