package bypass

import (
	"net/netip"
	"slices"
	"sort"
)

// addrRanges are the address rules without a port. Once sorted, they are
// disjoint and in order.
type addrRanges []addrRange

type addrRange struct {
	lo, hi netip.Addr
	rule   string
}

// sorted puts rs in order and cuts off what an earlier range covers already.
// IPv4 and IPv6 do not mix: Addr's order has all of the one before the other.
func (rs addrRanges) sorted() addrRanges {
	slices.SortFunc(rs, func(a, b addrRange) int {
		if c := a.lo.Compare(b.lo); c != 0 {
			return c
		}
		return b.hi.Compare(a.hi)
	})
	out := rs[:0]
	for _, r := range rs {
		if n := len(out); n > 0 && !out[n-1].hi.Less(r.lo) {
			if !out[n-1].hi.Less(r.hi) {
				continue
			}
			r.lo = out[n-1].hi.Next()
		}
		out = append(out, r)
	}
	return slices.Clip(out)
}

// find is a binary search for the range that a lies in.
func (rs addrRanges) find(a netip.Addr) (*addrRange, bool) {
	i := sort.Search(len(rs), func(i int) bool { return !rs[i].hi.Less(a) })
	if i == len(rs) || a.Less(rs[i].lo) {
		return nil, false
	}
	return &rs[i], true
}
