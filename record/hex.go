package record

import (
	"encoding/hex"
	"fmt"
	"strings"
)

// Hex is a string of bytes that is kept as the hexadecimal digits (RFC 4648
// section 8, lower case) that records show: a connection's hellos are encoded
// once, and not again for each of its records. The zero value is the empty
// string. Hex values can be compared.
type Hex struct{ digits string }

// HexOf returns b as Hex; it keeps nothing of b.
func HexOf(b []byte) Hex {
	var digits strings.Builder // hex.EncodeToString makes a copy more
	digits.Grow(hex.EncodedLen(len(b)))
	hex.NewEncoder(&digits).Write(b)
	return Hex{digits.String()}
}

// ParseHex returns the Hex with these digits, in either case. The error says
// what is wrong with them.
func ParseHex(digits string) (Hex, error) {
	b, err := hex.DecodeString(digits)
	if err != nil {
		return Hex{}, fmt.Errorf("record: %w", err)
	}
	return HexOf(b), nil
}

// Bytes returns the bytes themselves, nil if there are none.
func (h Hex) Bytes() []byte {
	if h.digits == "" {
		return nil
	}
	b, _ := hex.DecodeString(h.digits) // digits are never others
	return b
}

// String returns the digits.
func (h Hex) String() string { return h.digits }

// Len is the number of bytes.
func (h Hex) Len() int { return len(h.digits) / 2 }

// UnmarshalText is ParseHex.
func (h *Hex) UnmarshalText(text []byte) (err error) {
	*h, err = ParseHex(string(text))
	return err
}

// MarshalText returns the digits. The error is nil.
func (h Hex) MarshalText() ([]byte, error) { return []byte(h.digits), nil }
