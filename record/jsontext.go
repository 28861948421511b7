package record

import (
	"encoding/base64"
	"strconv"
	"time"
	"unicode/utf8"
)

// encoder appends JSON to b. Every method appends; a key method writes the comma
// that is due before it. bad is set when a string was not UTF-8. The busiest
// methods work on a copy of b: each store of a slice through e is one that the
// garbage collector wants to know of.
type encoder struct {
	b   []byte
	bad bool
}

const hexDigits = "0123456789abcdef"

// key appends a comma unless the object has just been opened, then the key,
// which needs no escaping, and a colon.
func (e *encoder) key(k string) {
	e.b = appendKey(e.b, k)
}

func appendKey(b []byte, k string) []byte {
	if b[len(b)-1] != '{' {
		b = append(b, ',')
	}
	b = append(b, '"')
	b = append(b, k...)
	return append(b, '"', ':')
}

func (e *encoder) str(k, v string) {
	e.b = e.appendValue(appendKey(e.b, k), v)
}

// strSet is str for a key that is absent when the value is empty.
func (e *encoder) strSet(k, v string) {
	if v != "" {
		e.str(k, v)
	}
}

func (e *encoder) int(k string, v int64) {
	e.b = strconv.AppendInt(appendKey(e.b, k), v, 10)
}

// intSet is int for a key that is absent when the value is zero.
func (e *encoder) intSet(k string, v int64) {
	if v != 0 {
		e.int(k, v)
	}
}

func (e *encoder) bool(k string, v bool) {
	e.b = strconv.AppendBool(appendKey(e.b, k), v)
}

// boolSet is bool for a key that is absent when the value is false.
func (e *encoder) boolSet(k string, v bool) {
	if v {
		e.bool(k, v)
	}
}

// base64 appends bytes as a base64 string, and nil as null.
func (e *encoder) base64(k string, v []byte) {
	e.key(k)
	if v == nil {
		e.b = append(e.b, "null"...)
		return
	}
	b := append(e.b, '"')
	b = base64.StdEncoding.AppendEncode(b, v)
	e.b = append(b, '"')
}

func (e *encoder) hex(k string, v Hex) {
	b := append(appendKey(e.b, k), '"')
	b = append(b, v.digits...)
	e.b = append(b, '"')
}

// time appends an RFC 3339 time. What RFC 3339 cannot say is changed: a zone
// that is not a whole number of minutes below a day becomes UTC, a year of
// other than four digits the zero time.
func (e *encoder) time(k string, t time.Time) {
	if _, offset := t.Zone(); offset%60 != 0 || offset <= -24*3600 || offset >= 24*3600 {
		t = t.UTC()
	}
	if y := t.Year(); y < 0 || y > 9999 {
		t = time.Time{}
	}
	b := append(appendKey(e.b, k), '"')
	b = t.AppendFormat(b, time.RFC3339Nano)
	e.b = append(b, '"')
}

// value appends s as a JSON string (RFC 8259 section 7). All control characters
// are escaped, C1 and DEL too, since records go to terminals; so are U+2028 and
// U+2029, which some readers take for ends of lines. HTML is left alone. A byte
// that is not UTF-8 becomes U+FFFD.
func (e *encoder) value(s string) { e.b = e.appendValue(e.b, s) }

func (e *encoder) appendValue(b []byte, s string) []byte {
	b = append(b, '"')
	start := 0 // s[start:i] needs no escaping
	for i := 0; i < len(s); {
		if i+8 <= len(s) {
			if i += plain(s[i:]); i == len(s) {
				break
			}
		}
		c := s[i]
		if c-0x20 < 0x5f && c != '"' && c != '\\' {
			i++
			continue
		}
		if c < utf8.RuneSelf {
			b = appendEscape(append(b, s[start:i]...), rune(c))
			i++
			start = i
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			e.bad = true
			b = append(b, s[start:i]...)
			b = append(b, "\ufffd"...)
			start = i + size
		case r < 0xa0 || r == '\u2028' || r == '\u2029':
			b = appendEscape(append(b, s[start:i]...), r)
			start = i + size
		}
		i += size
	}
	b = append(b, s[start:]...)
	return append(b, '"')
}

// element appends s to an array.
func (e *encoder) element(s string) {
	b := e.b
	if b[len(b)-1] != '[' {
		b = append(b, ',')
	}
	e.b = e.appendValue(b, s)
}

// appendEscape appends the escape sequence of r, which is below U+10000.
func appendEscape(b []byte, r rune) []byte {
	switch r {
	case '"', '\\':
		return append(b, '\\', byte(r))
	case '\n':
		return append(b, '\\', 'n')
	case '\r':
		return append(b, '\\', 'r')
	case '\t':
		return append(b, '\\', 't')
	}
	return append(b, '\\', 'u',
		hexDigits[r>>12&15], hexDigits[r>>8&15], hexDigits[r>>4&15], hexDigits[r&15])
}

// plain returns the length of a run of bytes at the start of s that need no
// escaping: printable ASCII but for the quotation mark and the backslash. It
// looks at eight at once, and stops at eight that have another among them: a
// byte's high bit ends up set when it is one.
func plain(s string) (n int) {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	for ; len(s) >= 8; s = s[8:] {
		x := uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
			uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
		quote, backslash, del := x^ones*'"', x^ones*'\\', x^ones*0x7f
		if (x|(x-ones*' ')|(quote-ones)|(backslash-ones)|(del-ones))&highs != 0 {
			break
		}
		n += 8
	}
	return n
}
