package main

import (
	"fmt"
	"strings"

	"github.com/proxyglass/proxyglass/bypass"
)

// matcher matches the targets that are not opened: those that the flag -bypass
// names, and those that -mitm does not. "all" and "none" are no rules; nothing
// at all is a mistake, lest an unset variable in a script open everything.
func matcher(mitm, never string) (bypass.Matcher, error) {
	closed := bypass.Not(bypass.None()) // none: everything stays closed
	switch mitm {
	case "none":
	case "all":
		closed = bypass.None()
	default:
		list, err := rules("-mitm", mitm)
		if err != nil {
			return nil, err
		}
		closed = bypass.Not(list)
	}
	if never == "" {
		return closed, nil
	}
	list, err := rules("-bypass", never)
	if err != nil {
		return nil, err
	}
	return bypass.Any(list, closed), nil
}

func rules(name, list string) (*bypass.List, error) {
	l, err := bypass.Parse(strings.Split(list, ",")...)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return l, nil
}
