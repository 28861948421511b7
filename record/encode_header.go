package record

import (
	"cmp"
	"slices"
	"strings"
	"unicode/utf8"
)

// maxPairwise bounds the header sections whose equal names are found by comparing
// all pairs; larger ones are sorted, which takes memory but not quadratic time.
const maxPairwise = 32

// header appends an object from canonical names to lists of values. A name has
// one key however often and in whatever case it occurs.
func (e *encoder) header(k string, h Header) {
	e.key(k)
	e.b = append(e.b, '{')
	if !validNames(h) {
		e.bad = true
		h = repairNames(h)
	}
	if len(h) <= maxPairwise {
		e.headerPairwise(h)
	} else {
		e.headerSorted(h)
	}
	e.b = append(e.b, '}')
}

func (e *encoder) headerPairwise(h Header) {
	var done uint64 // bit i: field i has been written with an earlier one of its name
	for i := range h {
		if done&(1<<i) != 0 {
			continue
		}
		e.name(h[i].Name)
		e.value(h[i].Value)
		for j := i + 1; j < len(h); j++ {
			if sameName(h[i].Name, h[j].Name) {
				done |= 1 << j
				e.element(h[j].Value)
			}
		}
		e.b = append(e.b, ']')
	}
}

// headerSorted chains the fields of each name by way of a sorted index and
// writes the chains in the order of their first fields.
func (e *encoder) headerSorted(h Header) {
	index := make([]int32, len(h))
	for i := range index {
		index[i] = int32(i)
	}
	slices.SortFunc(index, func(i, j int32) int {
		return cmp.Or(compareNames(h[i].Name, h[j].Name), cmp.Compare(i, j))
	})
	next := make([]int32, len(h)) // the next field of the same name; 0: none
	later := make([]bool, len(h)) // not the first of its name
	for n := 1; n < len(index); n++ {
		if i, j := index[n-1], index[n]; sameName(h[i].Name, h[j].Name) {
			next[i], later[j] = j, true
		}
	}
	for i := range h {
		if later[i] {
			continue
		}
		e.name(h[i].Name)
		for j := int32(i); ; j = next[j] {
			e.element(h[j].Value)
			if next[j] == 0 {
				break
			}
		}
		e.b = append(e.b, ']')
	}
}

// name appends the key of a field in net/http's canonical form and opens the list
// of its values. A token has no byte that needs escaping.
func (e *encoder) name(name string) {
	b := e.b
	if b[len(b)-1] != '{' {
		b = append(b, ',')
	}
	if !isToken(name) {
		e.b = append(e.appendValue(b, name), ':', '[')
		return
	}
	b = append(b, '"')
	start := len(b)
	b = append(b, name...)
	first := true
	for i, c := range b[start:] {
		if first {
			b[start+i] = upper(c)
		} else if 'A' <= c && c <= 'Z' {
			b[start+i] = c + 'a' - 'A'
		}
		first = c == '-'
	}
	e.b = append(b, '"', ':', '[')
}

// sameName reports whether two names have the same canonical form. Names that
// are no tokens have no other form than their own.
func sameName(a, b string) bool {
	return len(a) == len(b) && (a == b || equalFold(a, b) && isToken(a))
}

// compareNames orders names so that those with the same canonical form stand
// together: by lower case, the non-tokens among equal ones as they are.
func compareNames(a, b string) int {
	for i := 0; i < len(a) && i < len(b); i++ {
		if x, y := lower(a[i]), lower(b[i]); x != y {
			return cmp.Compare(x, y)
		}
	}
	if len(a) != len(b) {
		return cmp.Compare(len(a), len(b))
	}
	if isToken(a) {
		return 0
	}
	return cmp.Compare(a, b)
}

func validNames(h Header) bool {
	for i := range h {
		if !utf8.ValidString(h[i].Name) {
			return false
		}
	}
	return true
}

// repairNames returns a copy of h with U+FFFD for each byte of a name that is not
// UTF-8, so that names which become equal by that are merged.
func repairNames(h Header) Header {
	repaired := slices.Clone(h)
	for i, f := range repaired {
		var name strings.Builder
		for _, r := range f.Name { // a bad byte is read as U+FFFD
			name.WriteRune(r)
		}
		repaired[i].Name = name.String()
	}
	return repaired
}
