package mitm

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

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
	literal := name
	if strings.HasPrefix(literal, "[") && strings.HasSuffix(literal, "]") {
		literal = literal[1 : len(literal)-1]
	}
	if addr, err := netip.ParseAddr(literal); err == nil {
		if addr.Zone() != "" {
			return "", netip.Addr{}, fmt.Errorf("%w (it has a zone): %.300q", errName, name)
		}
		addr = addr.Unmap()
		return addr.String(), addr, nil
	}
	dns := strings.TrimSuffix(name, ".")
	for i := range len(dns) {
		if dns[i] >= 0x80 {
			ascii, err := idna.Lookup.ToASCII(dns)
			if err != nil {
				return "", netip.Addr{}, fmt.Errorf("%w (%v): %.300q", errName, err, name)
			}
			dns = ascii
			break
		}
	}
	if !isDNSName(dns) {
		return "", netip.Addr{}, fmt.Errorf("%w: %.300q", errName, name)
	}
	return strings.ToLower(dns), netip.Addr{}, nil
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
