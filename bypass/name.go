package bypass

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
)

const (
	maxName  = 253 // bytes of a domain name in text form (RFC 1035, section 2.3.4)
	maxLabel = 63  // bytes of a label
	maxIDN   = 4 * maxName
)

// lower maps what host names are made of to lower case and the rest to 0. The
// underscore is no letter of host names (RFC 952), but names with it exist and
// are looked up, so it stands for itself.
func lower(c byte) byte {
	switch {
	case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '-', c == '_', c == '.':
		return c
	case 'A' <= c && c <= 'Z':
		return c | 0x20
	}
	return 0
}

// ruleName brings the name or the pattern of a rule into normal form, or says
// what is wrong with it. What is in normal form already is not copied.
func ruleName(s string) (string, error) {
	s = strings.TrimSuffix(s, ".") // the root's
	name := strings.ToLower(s)
	if !isASCII(s) {
		var err error
		if name, err = ruleIDN(s); err != nil {
			return "", err
		}
	}
	if len(name) > maxName {
		return "", fmt.Errorf("longer than %d bytes", maxName)
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" {
			return "", errors.New("a label is empty")
		}
		if len(label) > maxLabel {
			return "", fmt.Errorf("a label is longer than %d bytes", maxLabel)
		}
	}
	for i := range len(name) {
		if c := name[i]; c != '*' && lower(c) == 0 {
			return "", fmt.Errorf("%q cannot stand in a host name", c)
		}
	}
	if endsInNumber(name) {
		return "", errors.New("not an IP address, and no domain name ends in a number")
	}
	return name, nil
}

// ruleIDN turns the labels of an internationalised name into A-labels. In a
// pattern that works label by label, and not for a label with a wildcard in it.
func ruleIDN(s string) (string, error) {
	if !strings.Contains(s, "*") {
		return toASCII(s)
	}
	labels := strings.Split(s, ".")
	for i, label := range labels {
		if isASCII(label) {
			labels[i] = strings.ToLower(label)
			continue
		}
		if strings.Contains(label, "*") {
			return "", errors.New("a label is either internationalised or has a wildcard")
		}
		var err error
		if labels[i], err = toASCII(label); err != nil {
			return "", err
		}
	}
	return strings.Join(labels, "."), nil
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// hostOnly drops a port from a target's name, and the brackets of IPv6.
func hostOnly(s string) string {
	i := strings.IndexByte(s, ':')
	switch {
	case i < 0:
		return s
	case s[0] == '[':
		host, _, _ := strings.Cut(s[1:], "]")
		return host
	case strings.IndexByte(s[i+1:], ':') < 0:
		return s[:i]
	}
	return s // IPv6
}

// targetAddr reads a target's name as an address. The short and the octal and
// hexadecimal forms of IPv4 ("127.1", "0177.0.0.1", "0x7f000001") are addresses
// too: that is how the C library's inet_aton, curl and browsers (URL Standard,
// "IPv4 parser") read them, and what a name made of numbers cannot be is a
// domain. So a rule about an address holds however a client spells it.
func targetAddr(s string) (netip.Addr, bool) {
	if strings.IndexByte(s, ':') >= 0 {
		a, err := netip.ParseAddr(s)
		return a.Unmap().WithZone(""), err == nil
	}
	if s = strings.TrimSuffix(s, "."); !endsInNumber(s) {
		return netip.Addr{}, false
	}
	return parseIPv4(s)
}

// endsInNumber says whether the last label is a number, which makes s an IPv4
// address or an error, but never a domain name (URL Standard, "ends in a number").
func endsInNumber(s string) bool {
	label := s[strings.LastIndexByte(s, '.')+1:]
	if label == "" || label[0] < '0' || label[0] > '9' {
		return false
	}
	digits := 0
	for digits < len(label) && '0' <= label[digits] && label[digits] <= '9' {
		digits++
	}
	if digits == len(label) {
		return true
	}
	_, ok := parseNumber(label)
	return ok
}

// parseIPv4 reads one to four numbers; the last fills the bytes that are left.
func parseIPv4(s string) (netip.Addr, bool) {
	var ip uint64
	for parts := 1; parts <= 4; parts++ {
		part, rest, more := strings.Cut(s, ".")
		n, ok := parseNumber(part)
		if !ok {
			return netip.Addr{}, false
		}
		if !more {
			left := uint(8 * (5 - parts))
			ip = ip<<left | n
			b := [4]byte{byte(ip >> 24), byte(ip >> 16), byte(ip >> 8), byte(ip)}
			return netip.AddrFrom4(b), n < 1<<left
		}
		if n > 255 {
			return netip.Addr{}, false
		}
		ip = ip<<8 | n
		s = rest
	}
	return netip.Addr{}, false
}

// parseNumber reads a number that is decimal, octal after 0, or hexadecimal
// after 0x, and less than 2 to the 33rd.
func parseNumber(s string) (n uint64, ok bool) {
	base := uint64(10)
	switch {
	case s == "":
		return 0, false
	case len(s) >= 2 && s[0] == '0' && s[1]|0x20 == 'x':
		s, base = s[2:], 16
	case len(s) >= 2 && s[0] == '0':
		s, base = s[1:], 8
	}
	for i := range len(s) {
		d := uint64(s[i] - '0')
		if c := s[i] | 0x20; 'a' <= c && c <= 'f' {
			d = uint64(c-'a') + 10
		}
		if d >= base || n > 1<<32 {
			return 0, false
		}
		n = n*base + d
	}
	return n, true
}
