package bypass

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
)

// Target is what a connection goes to, by every name that is known for it.
// One place can be named in several ways: a client may ask for an address and
// put a name into its ClientHello, or ask for a name that resolves to an
// address nobody wrote down. A rule matches a target when it matches any of
// its names, so a caller fills in all it knows and asks once.
//
// The zero value names nothing; see [ErrTarget] for what that does.
type Target struct {
	// Network is "tcp" or "udp"; a trailing 4 or 6, as the net package writes
	// it, is ignored. Empty: tcp.
	Network string

	// Host is what the client asked for, in a CONNECT request or a SOCKS
	// request: a domain name or an IP address. A port, if there is one, is
	// ignored. Empty: unknown.
	Host string

	// Addr is the address that was or will be dialled. The zero Addr: unknown,
	// and rules about addresses then see only names that are addresses
	// themselves.
	Addr netip.Addr

	// Port is the destination port. 0: unknown; see [ErrTarget].
	Port uint16

	// SNI is the server name of the TLS ClientHello (RFC 6066, section 3).
	// Empty: none.
	SNI string

	// Authority is the Host header field or the :authority pseudo-header field
	// (RFC 9110, section 7.2). A port in it is ignored: the port that counts is
	// Port. Empty: none.
	Authority string
}

// Matcher says whether a target is one of those it stands for. What follows
// from a match is the caller's affair: a bypass list keeps what it matches
// closed, an allow list lets in what it matches.
//
// Match is called for each connection, from many goroutines at once, so it is
// safe for concurrent use and answers from memory: what has to be fetched is
// fetched elsewhere, as [File] and [HTTP] do. A Match that must wait all the
// same ends when ctx does.
//
// An error means "unknown", and the bool beside it is false and means nothing.
// Callers fail closed: on an error a target is not opened, and not admitted.
type Matcher interface {
	Match(ctx context.Context, t Target) (bool, error)
}

// Explainer is implemented by a [Matcher] that can name the rule that decided.
// Explain answers the rule and true when the target matches, and an empty
// string and false when it does not or when that cannot be told. It is for
// people who want to know, not for the traffic's path: it may allocate.
//
// [List], [File] and [HTTP] are Explainers. The function [Explain] also sees
// through combinators.
type Explainer interface {
	Explain(t Target) (rule string, ok bool)
}

var (
	// ErrNotLoaded is the answer of a source whose rules have never been
	// loaded, and of a nil *[List]. Test for it with errors.Is.
	ErrNotLoaded = errors.New("bypass: rules not loaded")

	// ErrTarget is the answer of a [List] when no rule matches, but one might
	// if the target were known better. It is the error for a target without
	// any name, when there are rules; for one without a port, when only rules
	// with a port match its names; and for one with a name that is not a host
	// name: an internationalised one that IDNA refuses, one that ends in two
	// dots, has other characters than letters, digits, hyphens, underscores and
	// dots, or more than 253 bytes. Test for it with errors.Is.
	ErrTarget = errors.New("bypass: target cannot be judged")

	errNoName  = fmt.Errorf("%w: it has no name", ErrTarget)
	errNoPort  = fmt.Errorf("%w: its port is unknown", ErrTarget)
	errBadName = fmt.Errorf("%w: one of its names is not a host name", ErrTarget)
	errNil     = errors.New("bypass: nil Matcher")
	errNetwork = errors.New("bypass: unknown network")
)

// Explain asks m about t like [Matcher.Match] and says why it answers so:
// which rule matched, in its normal form, and through which combinators and
// sources. When nothing matched, why says so in a few words. The text is for
// people; its form may change.
func Explain(ctx context.Context, m Matcher, t Target) (why string, matched bool, err error) {
	if c, ok := m.(combinator); ok {
		return c.explain(ctx, t)
	}
	if matched, err = ask(ctx, m, t); err != nil {
		return "", false, err
	}
	if !matched {
		return "no rule matches", false, nil
	}
	if e, ok := m.(Explainer); ok {
		if rule, ok := e.Explain(t); ok {
			return rule, true, nil
		}
	}
	return fmt.Sprintf("matched by a %T", m), true, nil
}

// ask is m.Match, but for a nil Matcher, which knows nothing.
func ask(ctx context.Context, m Matcher, t Target) (bool, error) {
	if m == nil {
		return false, errNil
	}
	return m.Match(ctx, t)
}

var (
	_ Explainer = (*List)(nil)
	_ Explainer = (*File)(nil)
	_ Explainer = (*HTTP)(nil)
	_ Matcher   = (*List)(nil)
	_ Matcher   = (*File)(nil)
	_ Matcher   = (*HTTP)(nil)
)
