package bypass

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
)

// maxProblems is how many bad rules an error spells out. It counts the others:
// somebody may feed us an image of a million lines.
const maxProblems = 100

// Parse makes a list of rules; the package comment has their grammar. When
// rules are bad there is no list, and the error names all of them (a hundred at
// most, and how many more) with their place, counted from 1, and what is wrong.
// Space around a rule does not count. Without rules the list matches nothing.
func Parse(rules ...string) (*List, error) {
	var p parser
	for i, s := range rules {
		p.add("rule", i+1, strings.TrimSpace(s))
	}
	return p.list()
}

// Must is [Parse] for rules that stand in the program: it panics when one is bad.
func Must(rules ...string) *List {
	l, err := Parse(rules...)
	if err != nil {
		panic(err)
	}
	return l
}

// ParseReader reads a list from r to its end: one rule a line, empty lines and
// what follows a # ignored. Errors are as those of [Parse], with line numbers,
// or those of r. The whole text is read before it is parsed; the caller limits r
// where its length is not under control.
func ParseReader(r io.Reader) (*List, error) {
	var text strings.Builder
	if _, err := io.Copy(&text, r); err != nil {
		return nil, fmt.Errorf("bypass: %w", err)
	}
	return parseText(text.String())
}

func parseText(text string) (*List, error) {
	var p parser
	line := 0
	text = strings.TrimPrefix(text, "\ufeff") // the mark that some editors leave
	for s := range strings.Lines(text) {
		line++
		s, _, _ = strings.Cut(s, "#")
		if s = strings.TrimSpace(s); s != "" {
			p.add("line", line, s)
		}
	}
	return p.list()
}

// parser collects rules into a list, and what is wrong with the others.
type parser struct {
	l        List
	problems []string
	more     int
}

func (p *parser) add(what string, number int, s string) {
	r, err := parseRule(s)
	if err == nil {
		err = p.l.add(&r)
	}
	if err == nil {
		p.l.n++
		return
	}
	if len(p.problems) == maxProblems {
		p.more++
		return
	}
	const most = 64
	if len(s) > most {
		s = s[:most] + "..."
	}
	p.problems = append(p.problems, fmt.Sprintf("%s %d %q: %v", what, number, s, err))
}

func (p *parser) list() (*List, error) {
	if len(p.problems) > 0 {
		if p.more > 0 {
			p.problems = append(p.problems, fmt.Sprintf("and %d more", p.more))
		}
		return nil, errors.New("bypass: " + strings.Join(p.problems, "; "))
	}
	p.l.ranges = p.l.ranges.sorted()
	p.l.names.records = slices.Clone(p.l.names.records)
	return &p.l, nil
}

var errFull = errors.New("the list is full")

// add puts r where find looks for it.
func (l *List) add(r *rule) error {
	switch {
	case r.lo.IsValid() && r.ports == everyPort():
		l.ranges = append(l.ranges, addrRange{r.lo, r.hi, r.String()})
	case r.lo.IsValid():
		if l.addrs == nil {
			l.addrs = map[netip.Addr][]ports{}
		}
		l.addrs[r.lo] = append(l.addrs[r.lo], r.ports)
	case r.glob == "*":
		l.everything = append(l.everything, r.ports)
	case r.glob != "":
		return l.addGlob(glob{strings.Clone(r.glob), r.ports}) // not the text it was cut from
	default:
		return l.addName(r)
	}
	return nil
}

func (l *List) addGlob(g glob) error {
	parent := g.parent()
	if parent == "" {
		l.globs = append(l.globs, g)
		return nil
	}
	x, err := l.extra(parent)
	if err != nil {
		return err
	}
	x.globs = append(x.globs, g)
	l.belowDepths |= depth(1 + strings.Count(parent, "."))
	return nil
}

func (l *List) addName(r *rule) error {
	if r.ports == everyPort() {
		if !l.names.set(r.name, l.names.get([]byte(r.name))|entry(r.where)) {
			return errFull
		}
	} else {
		x, err := l.extra(r.name)
		if err != nil {
			return err
		}
		x.ported = append(x.ported, portRule{r.where, r.ports})
	}
	at := depth(1 + strings.Count(r.name, "."))
	if r.where&self != 0 {
		l.selfDepths |= at
	}
	if r.where&below != 0 {
		l.belowDepths |= at
	}
	return nil
}

// extra is the extra of name, made if need be.
func (l *List) extra(name string) (*extra, error) {
	e := l.names.get([]byte(name))
	if e.extra() == 0 {
		if len(l.extras) == 0 {
			l.extras = make([]extra, 1) // 0 stands for none
		}
		if e |= entry(len(l.extras) << 2); e.extra() != len(l.extras) || !l.names.set(name, e) {
			return nil, errFull
		}
		l.extras = append(l.extras, extra{})
	}
	return &l.extras[e.extra()], nil
}
