package sniff

// What detectors share: verdicts about prefixes, and classes of bytes.

// yesIf is a final verdict.
func yesIf(b bool) Verdict {
	if b {
		return Yes
	}
	return No
}

// moreIf is More or No.
func moreIf(b bool) Verdict {
	if b {
		return More
	}
	return No
}

// matchPrefix says whether head begins with want, or may still come to.
func matchPrefix(head []byte, want string) Verdict {
	n := min(len(head), len(want))
	switch {
	case string(head[:n]) != want[:n]:
		return No
	case n < len(want):
		return More
	}
	return Yes
}

// matchPrefixFold is matchPrefix for letters of either case; want is in capitals.
func matchPrefixFold(head []byte, want string) Verdict {
	n := min(len(head), len(want))
	switch {
	case !equalFold(head[:n], want[:n]):
		return No
	case n < len(want):
		return More
	}
	return Yes
}

// containsFold says whether b holds want, which is in capitals, in either case.
func containsFold(b []byte, want string) bool {
	for i := 0; i+len(want) <= len(b); i++ {
		if upper(b[i]) == want[0] && equalFold(b[i:i+len(want)], want) {
			return true
		}
	}
	return false
}

// equalFold compares ASCII letters without their case; want has b's length and is in capitals.
func equalFold(b []byte, want string) bool {
	for i, c := range b {
		if upper(c) != want[i] {
			return false
		}
	}
	return true
}

// upper returns the capital of an ASCII letter, and any other byte as it is.
func upper(c byte) byte {
	if 'a' <= c && c <= 'z' {
		return c - ('a' - 'A')
	}
	return c
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func isAlnum(c byte) bool { return isDigit(c) || 'A' <= upper(c) && upper(c) <= 'Z' }

// isTokenChar says whether c is a tchar of RFC 9110 section 5.6.2.
func isTokenChar(c byte) bool {
	const ( // the punctuation among them, by c and by c-64
		low  = 1<<'!' | 1<<'#' | 1<<'$' | 1<<'%' | 1<<'&' | 1<<'\'' | 1<<'*' | 1<<'+' | 1<<'-' | 1<<'.'
		high = 1<<('^'-64) | 1<<('_'-64) | 1<<('`'-64) | 1<<('|'-64) | 1<<('~'-64)
	)
	return isAlnum(c) || c < 64 && low>>c&1 != 0 || c >= 64 && c < 128 && high>>(c-64)&1 != 0
}

// hasControl says whether an ASCII control character is in b.
func hasControl(b []byte) bool {
	for _, c := range b {
		if c < ' ' || c == 0x7f {
			return true
		}
	}
	return false
}

// trimCR cuts one CR off the end.
func trimCR(b []byte) []byte {
	if n := len(b); n > 0 && b[n-1] == '\r' {
		return b[:n-1]
	}
	return b
}
