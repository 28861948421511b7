package mitm

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// errName is what is wrong with a name that no certificate is signed for.
var errName = errors.New("mitm: not a DNS name or an IP address")

const (
	maxName  = 253 // octets of a DNS name in text, RFC 1035, section 2.3.4
	maxLabel = 63  // octets of a label, the same
)

// canonical returns the one spelling of a name that is signed and cached: DNS
// names in lower case, as A-labels (RFC 5890) and without a trailing dot, IP
// addresses as netip prints them. A name that is in it already comes back as
// it is, without allocation. The address is valid when the name is one.
//
// The letters of a DNS name may include the underscore, which is no letter of
// a host name but is met in them.
func canonical(name string) (string, netip.Addr, error) {
	text := strings.TrimSuffix(name, ".")
	if strings.HasPrefix(text, "[") && strings.HasSuffix(text, "]") {
		text = text[1 : len(text)-1]
	}
	if !isASCII(text) {
		ascii, err := idna.Lookup.ToASCII(text)
		if err != nil || !utf8.ValidString(text) {
			return "", netip.Addr{}, fmt.Errorf("%w: %.300q", errName, name)
		}
		text = strings.TrimSuffix(ascii, ".") // there are other dots
	}
	if addr, err := netip.ParseAddr(text); err == nil {
		if addr.Zone() != "" {
			return "", netip.Addr{}, fmt.Errorf("%w (it has a zone): %.300q", errName, name)
		}
		addr = addr.Unmap()
		return addr.String(), addr, nil
	}
	if !isDNSName(text) {
		return "", netip.Addr{}, fmt.Errorf("%w: %.300q", errName, name)
	}
	return strings.ToLower(text), netip.Addr{}, nil
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

func isDNSName(name string) bool {
	if len(name) > maxName {
		return false
	}
	label := 0
	for i := range len(name) {
		switch c := name[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_':
			label++
		case c == '.' && label > 0:
			label = 0
		default:
			return false
		}
		if label > maxLabel {
			return false
		}
	}
	return label > 0
}
