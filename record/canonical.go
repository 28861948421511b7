package record

import "strings"

// equalFold reports whether a and b are equal under ASCII case folding, which is
// how field names compare (RFC 9110 section 5.1).
func equalFold(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := 0; i < len(a); i++ {
		if a[i] != b[i] && lower(a[i]) != lower(b[i]) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

func upper(c byte) byte {
	if 'a' <= c && c <= 'z' {
		return c - 'a' + 'A'
	}
	return c
}

// isToken reports whether s is a token (RFC 9110 section 5.6.2). net/http leaves
// the case of field names alone that are none.
func isToken(s string) bool {
	for i := 0; i < len(s); i++ {
		if !tokenBytes[s[i]] {
			return false
		}
	}
	return s != ""
}

// tokenBytes are the bytes of a token.
var tokenBytes = func() (is [256]bool) {
	const others = "!#$%&'*+-.^_`|~"
	for c := range is {
		switch c := byte(c); {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.IndexByte(others, c) >= 0:
			is[c] = true
		}
	}
	return is
}()
