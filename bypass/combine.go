package bypass

import (
	"context"
	"fmt"
	"strings"
)

// Combinators treat an error as what it is, an unknown (Kleene's three-valued
// logic): they answer true or false when that is the answer whatever the
// unknown would turn out to be, and the error otherwise. So a wrong answer can
// come out of no arrangement, for a list that closes and for one that admits.

// combinator is a Matcher made of others. Its explain does what [Explain] does.
type combinator interface {
	Matcher
	explain(ctx context.Context, t Target) (why string, matched bool, err error)
}

// Any matches what at least one of ms matches. When none does, but one or more
// answer an error, that is the answer (the first one). Without matchers it
// matches nothing. A nil Matcher answers an error.
func Any(ms ...Matcher) Matcher { return anyOf(ms) }

// All matches what every one of ms matches. When none says no, but one or more
// answer an error, that is the answer (the first one). Without matchers it
// matches everything. A nil Matcher answers an error.
func All(ms ...Matcher) Matcher { return allOf(ms) }

// Not matches what m does not match; an error stays an error. Since a list is
// asked once with all names of a target, Not of a list matches targets none of
// whose names is on the list: as a bypass list it is a whitelist of what may be
// opened, for which one listed name is enough. A nil Matcher answers an error.
func Not(m Matcher) Matcher { return not{m} }

// None matches nothing. Not(None()) matches everything.
func None() Matcher { return anyOf(nil) }

// Network matches what m matches, on one network only: "tcp" or "udp". Targets
// of the other network never match, and m is not asked about them. Any other
// network answers an error.
func Network(network string, m Matcher) Matcher { return onNetwork{network, m} }

type anyOf []Matcher

func (ms anyOf) Match(ctx context.Context, t Target) (bool, error) {
	var unknown error
	for _, m := range ms {
		matched, err := ask(ctx, m, t)
		if err != nil {
			unknown = first(unknown, err)
		} else if matched {
			return true, nil
		}
	}
	return false, unknown
}

func (ms anyOf) explain(ctx context.Context, t Target) (string, bool, error) {
	var unknown error
	for _, m := range ms {
		why, matched, err := Explain(ctx, m, t)
		if err != nil {
			unknown = first(unknown, err)
		} else if matched {
			return why, true, nil
		}
	}
	if unknown != nil {
		return "", false, unknown
	}
	return "no rule matches", false, nil
}

type allOf []Matcher

func (ms allOf) Match(ctx context.Context, t Target) (bool, error) {
	var unknown error
	for _, m := range ms {
		matched, err := ask(ctx, m, t)
		if err != nil {
			unknown = first(unknown, err)
		} else if !matched {
			return false, nil
		}
	}
	return unknown == nil, unknown
}

func (ms allOf) explain(ctx context.Context, t Target) (string, bool, error) {
	var unknown error
	var whys []string
	for _, m := range ms {
		why, matched, err := Explain(ctx, m, t)
		if err != nil {
			unknown = first(unknown, err)
		} else if !matched {
			return why, false, nil
		}
		whys = append(whys, why)
	}
	if unknown != nil {
		return "", false, unknown
	}
	if len(whys) == 0 {
		return "everything matches", true, nil
	}
	return strings.Join(whys, " and "), true, nil
}

type not struct{ m Matcher }

func (n not) Match(ctx context.Context, t Target) (bool, error) {
	matched, err := ask(ctx, n.m, t)
	return !matched && err == nil, err
}

func (n not) explain(ctx context.Context, t Target) (string, bool, error) {
	why, matched, err := Explain(ctx, n.m, t)
	if err != nil {
		return "", false, err
	}
	return fmt.Sprintf("not (%s)", why), !matched, nil
}

type onNetwork struct {
	network string
	m       Matcher
}

func (n onNetwork) Match(ctx context.Context, t Target) (bool, error) {
	if same, err := n.same(t); err != nil || !same {
		return false, err
	}
	return ask(ctx, n.m, t)
}

func (n onNetwork) explain(ctx context.Context, t Target) (string, bool, error) {
	same, err := n.same(t)
	if err != nil {
		return "", false, err
	}
	if !same {
		return "the network is not " + n.network, false, nil
	}
	why, matched, err := Explain(ctx, n.m, t)
	if err != nil {
		return "", false, err
	}
	return n.network + ": " + why, matched, nil
}

// same says whether t is on n's network. Names that are neither tcp nor udp are
// an error on either side: nobody knows what was meant.
func (n onNetwork) same(t Target) (bool, error) {
	var of string
	switch t.Network {
	case "", "tcp", "tcp4", "tcp6":
		of = "tcp"
	case "udp", "udp4", "udp6":
		of = "udp"
	default:
		return false, errNetwork
	}
	if n.network != "tcp" && n.network != "udp" {
		return false, errNetwork
	}
	return of == n.network, nil
}

// first keeps the first error of several.
func first(a, b error) error {
	if a != nil {
		return a
	}
	return b
}
