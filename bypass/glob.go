package bypass

import "strings"

// glob is a pattern in which each * stands for any bytes, dots and none
// included.
type glob struct {
	pattern string
	ports   ports
}

// match works on the spot and without recursion: at a mismatch it goes back to
// the last star and lets that one eat a byte more. At worst it takes the
// product of both lengths, which are bounded by maxName.
func (g *glob) match(name []byte) bool {
	p, i := 0, 0
	star, from := -1, 0
	for i < len(name) {
		switch {
		case p < len(g.pattern) && g.pattern[p] == '*':
			star, from = p, i
			p++
		case p < len(g.pattern) && g.pattern[p] == name[i]:
			p++
			i++
		case star >= 0:
			from++
			p, i = star+1, from
		default:
			return false
		}
	}
	return strings.Trim(g.pattern[p:], "*") == ""
}

// parent is the name of which everything that the pattern matches lies below:
// the whole labels behind the last star. It is empty when there are none.
func (g *glob) parent() string {
	tail := g.pattern[strings.LastIndexByte(g.pattern, '*')+1:]
	_, name, _ := strings.Cut(tail, ".")
	return name
}
