package bypass

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// where says which names a domain rule means: its own, those below, or both.
type where uint8

const (
	self  where = 1 << iota // the name itself
	below                   // every name that ends in a dot and the name
)

// ports is an inclusive range of port numbers. As long as a rule has none of
// its own, it is all of them, the unknown port 0 included.
type ports struct{ lo, hi uint16 }

func everyPort() ports { return ports{0, 65535} }

func (p ports) contains(port uint16) bool { return p.lo <= port && port <= p.hi }

// suffix is what p looks like at the end of a rule.
func (p ports) suffix() string {
	switch {
	case p == everyPort():
		return ""
	case p.lo == p.hi:
		return ":" + strconv.Itoa(int(p.lo))
	}
	return fmt.Sprintf(":%d-%d", p.lo, p.hi)
}

// rule is one rule, read. Exactly one of its three forms is there: an address
// range (lo is valid), a pattern with wildcards (glob is set), or a name.
type rule struct {
	lo, hi netip.Addr   // a range of one family, both ends in it
	prefix netip.Prefix // the same, if it was written as CIDR
	glob   string       // "*" alone stands for every target
	name   string
	where  where
	ports  ports
}

// parseRule reads one rule of the grammar in the package comment. Its error is
// the reason alone; who calls says which rule it is about.
func parseRule(s string) (rule, error) {
	switch {
	case s == "":
		return rule{}, errors.New("empty rule")
	case strings.Contains(s, "//"):
		return rule{}, errors.New("a rule is a host, not a URL")
	case strings.Contains(s, "/"):
		return parseCIDR(s)
	}
	host, port, hasPort, err := splitPort(s)
	if err != nil {
		return rule{}, err
	}
	r := rule{ports: everyPort()}
	if hasPort {
		if r.ports, err = parsePorts(port); err != nil {
			return rule{}, err
		}
	}
	if r.lo, r.hi, err = parseRange(host); err != nil {
		return rule{}, err
	}
	if r.lo.IsValid() {
		if hasPort && r.lo != r.hi {
			return rule{}, errors.New("an address range takes no port")
		}
		return r, nil
	}
	return r, r.setName(host)
}

func parseCIDR(s string) (rule, error) {
	p, err := netip.ParsePrefix(s)
	if err != nil {
		if i := strings.LastIndexByte(s, ':'); i > strings.IndexByte(s, '/') {
			return rule{}, errors.New("a CIDR range takes no port")
		}
		return rule{}, errors.New("not a CIDR range (address/bits)")
	}
	if p.Addr().Is4In6() && p.Bits() >= 96 {
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	p = p.Masked()
	return rule{lo: p.Addr(), hi: lastAddr(p), prefix: p, ports: everyPort()}, nil
}

// lastAddr is the highest address in p.
func lastAddr(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for bit := p.Bits(); bit < len(b)*8; bit++ {
		b[bit/8] |= 0x80 >> (bit % 8)
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}

// splitPort splits a rule into its host and its port. A rule with several
// colons and no brackets is all host: an IPv6 address, or a range of them.
func splitPort(s string) (host, port string, hasPort bool, err error) {
	if rest, ok := strings.CutPrefix(s, "["); ok {
		host, rest, ok = strings.Cut(rest, "]")
		if !ok || !strings.Contains(host, ":") {
			return "", "", false, errors.New("brackets are for an IPv6 address")
		}
		if rest == "" {
			return host, "", false, nil
		}
		port, hasPort = strings.CutPrefix(rest, ":")
		if !hasPort {
			return "", "", false, errors.New("something other than a port follows the bracket")
		}
		return host, port, true, nil
	}
	host, port, hasPort = strings.Cut(s, ":")
	if hasPort && strings.Contains(port, ":") {
		return s, "", false, nil
	}
	if hasPort && host == "" {
		return "", "", false, errors.New("no host before the port (*:PORT means any host)")
	}
	return host, port, hasPort, nil
}

func parsePorts(s string) (ports, error) {
	first, last, isRange := strings.Cut(s, "-")
	if !isRange {
		last = first
	}
	lo, err1 := strconv.ParseUint(first, 10, 16)
	hi, err2 := strconv.ParseUint(last, 10, 16)
	if err1 != nil || err2 != nil || hi == 0 {
		return ports{}, errors.New("a port is a number from 1 to 65535, or two of them with a hyphen")
	}
	if lo > hi {
		return ports{}, errors.New("the port range ends before it begins")
	}
	return ports{uint16(lo), uint16(hi)}, nil
}

// parseRange reads an address, or two with a hyphen. It answers the zero Addr
// and no error for what looks like neither.
func parseRange(s string) (lo, hi netip.Addr, err error) {
	first, last, isRange := strings.Cut(s, "-")
	if lo, err = parseRuleAddr(first); err != nil || !isRange {
		return lo, lo, err
	}
	if !lo.IsValid() {
		return lo, lo, nil // a hyphen in a name
	}
	if hi, err = parseRuleAddr(last); err != nil {
		return netip.Addr{}, netip.Addr{}, err
	}
	switch {
	case !hi.IsValid():
		err = errors.New("an address range takes an address on either side of the hyphen")
	case lo.BitLen() != hi.BitLen():
		err = errors.New("the address range mixes IPv4 and IPv6")
	case hi.Less(lo):
		err = errors.New("the address range ends before it begins")
	}
	if err != nil {
		return netip.Addr{}, netip.Addr{}, err
	}
	return lo, hi, nil
}

// parseRuleAddr reads an address; the zero Addr and no error is something else.
func parseRuleAddr(s string) (netip.Addr, error) {
	// A name is the usual case among millions: do not have ParseAddr build an
	// error for each.
	if !strings.Contains(s, ":") && !endsInNumber(s) {
		return netip.Addr{}, nil
	}
	a, err := netip.ParseAddr(s)
	if err != nil {
		if strings.Contains(s, ":") {
			return netip.Addr{}, errors.New("not an IPv6 address (with a port it needs brackets)")
		}
		return netip.Addr{}, nil
	}
	if a.Zone() != "" {
		return netip.Addr{}, errors.New("a rule takes no IPv6 zone")
	}
	return a.Unmap(), nil
}

// setName reads a domain name or a pattern into r.
func (r *rule) setName(s string) error {
	for strings.Contains(s, "**") {
		s = strings.ReplaceAll(s, "**", "*")
	}
	if name, ok := strings.CutPrefix(s, "."); ok {
		if strings.Contains(s, "*") {
			return errors.New("a leading dot and a wildcard do not go together")
		}
		r.name, r.where = name, self|below
	} else if name, ok := strings.CutPrefix(s, "*."); ok && !strings.Contains(name, "*") {
		r.name, r.where = name, below
	} else if strings.Contains(s, "*") {
		name, err := ruleName(s)
		r.glob = name
		return err
	} else {
		r.name, r.where = s, self
	}
	var err error
	r.name, err = ruleName(r.name)
	return err
}

// String is the rule in its normal form.
func (r *rule) String() string {
	switch {
	case r.prefix.IsValid():
		return r.prefix.String()
	case r.lo != r.hi:
		return r.lo.String() + "-" + r.hi.String()
	case r.lo.Is6() && r.ports != everyPort():
		return "[" + r.lo.String() + "]" + r.ports.suffix()
	case r.lo.IsValid():
		return r.lo.String() + r.ports.suffix()
	case r.glob != "":
		return r.glob + r.ports.suffix()
	}
	return r.where.prefix() + r.name + r.ports.suffix()
}

// prefix is what w looks like at the beginning of a rule.
func (w where) prefix() string {
	switch w {
	case below:
		return "*."
	case self | below:
		return "."
	}
	return ""
}
