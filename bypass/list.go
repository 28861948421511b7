package bypass

import (
	"context"
	"net/netip"
	"strings"
)

// List is a set of rules. It matches a target when one of its rules matches one
// of the target's names. It does not change, so it is safe for concurrent use.
//
// The zero value has no rules and matches nothing. A nil *List is what is left
// of a [Parse] whose error nobody looked at: it answers [ErrNotLoaded].
//
// Match allocates nothing for names in ASCII; the package comment says what its
// time grows with.
type List struct {
	n int // rules as given

	// names has an entry for each name that a rule is about. The entry's two
	// low bits are the where of the rules without a port; the others are an
	// index into extras, 0 for none.
	names  table
	extras []extra
	// Bit n of a mask is set when there are names of n labels (the last bit: or
	// more) with the where in question. It saves most looks into names.
	selfDepths, belowDepths uint64

	ranges addrRanges
	addrs  map[netip.Addr][]ports // addresses with a port

	everything []ports // of the rules with * as host
	globs      []glob  // those without a parent
}

type entry uint32

func (e entry) where() where { return where(e & 3) }
func (e entry) extra() int   { return int(e >> 2) }

// extra is what few names have.
type extra struct {
	ported []portRule
	globs  []glob // whose parent the name is
}

type portRule struct {
	where where
	ports ports
}

// Len is the number of rules, counting those that say the same.
func (l *List) Len() int {
	if l == nil {
		return 0
	}
	return l.n
}

// Match says whether a rule matches one of t's names. Its error is [ErrTarget]
// or, for a nil List, [ErrNotLoaded]. It does not look at ctx.
func (l *List) Match(ctx context.Context, t Target) (bool, error) {
	q := query{port: t.Port}
	return l.find(&q, &t)
}

// Explain says which rule matches t, in its normal form: lower case, A-labels,
// CIDR without host bits, no final dot. Of several it is one; rules for the
// same name that together come to another rule are told as that one.
func (l *List) Explain(t Target) (rule string, ok bool) {
	q := query{port: t.Port, why: &rule}
	ok, err := l.find(&q, &t)
	return rule, ok && err == nil
}

// query is one question to a list.
type query struct {
	port   uint16
	noPort bool    // a rule would match if the port was known and right
	why    *string // takes the rule that matched, if not nil
}

// opens says whether p lets the port through, and notes what cannot be told.
func (q *query) opens(p ports) bool {
	if p.contains(q.port) {
		return true
	}
	q.noPort = q.noPort || q.port == 0
	return false
}

func (l *List) find(q *query, t *Target) (bool, error) {
	if l == nil {
		return false, ErrNotLoaded
	}
	if l.n == 0 {
		return false, nil
	}
	if l.findEverything(q) || t.Addr.IsValid() && l.findAddr(q, t.Addr.Unmap().WithZone("")) {
		return true, nil
	}
	known := t.Addr.IsValid()
	var unknown error
	names := [...]string{hostOnly(t.Host), hostOnly(t.SNI), hostOnly(t.Authority)}
	for i, name := range names {
		// Most targets have the same name three times.
		if name == "" || i > 0 && name == names[0] || i > 1 && name == names[1] {
			continue
		}
		known = true
		matched, err := l.findHost(q, name)
		if matched {
			return true, nil
		}
		unknown = first(unknown, err)
	}
	switch {
	case unknown != nil:
		return false, unknown
	case !known:
		return false, errNoName
	case q.noPort:
		return false, errNoPort
	}
	return false, nil
}

func (l *List) findEverything(q *query) bool {
	for _, p := range l.everything {
		if q.opens(p) {
			if q.why != nil {
				*q.why = "*" + p.suffix()
			}
			return true
		}
	}
	return false
}

// findAddr looks a up, which is neither IPv4 in IPv6 nor has a zone.
func (l *List) findAddr(q *query, a netip.Addr) bool {
	if r, ok := l.ranges.find(a); ok {
		if q.why != nil {
			*q.why = r.rule
		}
		return true
	}
	if len(l.addrs) > 0 {
		for _, p := range l.addrs[a] {
			if q.opens(p) {
				if q.why != nil {
					*q.why = (&rule{lo: a, hi: a, ports: p}).String()
				}
				return true
			}
		}
	}
	if len(l.globs) > 0 {
		var buf [len("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")]byte
		return q.tryGlobs(l.globs, a.AppendTo(buf[:0]))
	}
	return false
}

// findHost looks up a name of the target, which may be an address.
func (l *List) findHost(q *query, host string) (bool, error) {
	if a, ok := targetAddr(host); ok {
		return l.findAddr(q, a), nil
	}
	var buf [maxName]byte
	name := strings.TrimSuffix(host, ".")
	labels := fold(&buf, name)
	if labels == 0 && !isASCII(name) {
		ascii, err := toASCII(name)
		if err != nil {
			return false, errBadName
		}
		if a, ok := targetAddr(ascii); ok { // fullwidth digits, say
			return l.findAddr(q, a), nil
		}
		name = strings.TrimSuffix(ascii, ".")
		labels = fold(&buf, name)
	}
	if labels == 0 {
		return false, errBadName
	}
	return l.findName(q, buf[:len(name)], labels), nil
}

// fold writes name to buf in lower case and counts its labels. It answers 0 for
// what is not a host name in ASCII.
func fold(buf *[maxName]byte, name string) (labels int) {
	if len(name) == 0 || len(name) > maxName || name[len(name)-1] == '.' {
		return 0
	}
	labels = 1
	for i := range len(name) {
		c := lower(name[i])
		if c == '.' {
			labels++
		} else if c == 0 {
			return 0
		}
		buf[i] = c
	}
	return labels
}

// findName looks up the name and then each name above it.
func (l *List) findName(q *query, name []byte, labels int) bool {
	w, depths := self, l.selfDepths
	for above := name; ; {
		if depths&depth(labels) != 0 {
			if e := l.names.get(above); e != 0 && l.tryEntry(q, e, w, above, name) {
				return true
			}
		}
		if labels--; labels == 0 {
			break
		}
		for above[0] != '.' {
			above = above[1:]
		}
		above = above[1:]
		w, depths = below, l.belowDepths
	}
	return q.tryGlobs(l.globs, name)
}

// depth is the bit of names with so many labels.
func depth(labels int) uint64 { return 1 << min(labels, 63) }

// tryEntry tries what rules say about key, which is the name looked for
// (w is self) or one above it (w is below).
func (l *List) tryEntry(q *query, e entry, w where, key, name []byte) bool {
	if e.where()&w != 0 {
		if q.why != nil {
			*q.why = e.where().prefix() + string(key)
		}
		return true
	}
	if e.extra() == 0 {
		return false
	}
	x := &l.extras[e.extra()]
	for _, r := range x.ported {
		if r.where&w != 0 && q.opens(r.ports) {
			if q.why != nil {
				*q.why = r.where.prefix() + string(key) + r.ports.suffix()
			}
			return true
		}
	}
	return w == below && q.tryGlobs(x.globs, name)
}

func (q *query) tryGlobs(globs []glob, name []byte) bool {
	for i := range globs {
		if g := &globs[i]; g.match(name) && q.opens(g.ports) {
			if q.why != nil {
				*q.why = g.pattern + g.ports.suffix()
			}
			return true
		}
	}
	return false
}
