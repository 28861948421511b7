package mitm

import (
	"errors"
	"fmt"
	"slices"
)

// Protocol names of RFC 7301's registry that are treated in a way of their
// own.
const (
	protoHTTP1 = "http/1.1"
	protoHTTP2 = "h2"
)

// ErrNoProtocol is what a [HandshakeError] of the client's side wraps when
// nothing the client offers by ALPN can be opened: see [Openable] and
// [Terminator].ALPN. The client was sent the alert no_application_protocol, the
// origin nothing.
var ErrNoProtocol = errors.New("mitm: no protocol that the client offers (ALPN) can be opened")

// spoken tells whether a connection may be opened for a protocol. It is the one
// place that keeps HTTP/2 out: a client that got h2 would speak what nobody
// here understands yet. All others are passed on, known or not.
func spoken(proto string) bool { return proto != protoHTTP2 }

// speakable returns the protocols that are spoken, in their order. The slice
// that was given is left as it is.
func speakable(protos []string) []string {
	return slices.DeleteFunc(slices.Clone(protos), func(p string) bool { return !spoken(p) })
}

// Openable reports whether a client with this ALPN offer (RFC 7301; nil for
// none, which is fine) can be opened: not if it offers h2 and nothing else,
// for HTTP/2 is not spoken yet. Who is not should be left alone, since
// Terminate can but refuse it.
func Openable(alpn []string) bool {
	return len(alpn) == 0 || slices.ContainsFunc(alpn, spoken)
}

// offer is what the origin is offered for a client's own offer.
func (t *Terminator) offer(client []string) ([]string, error) {
	if len(client) == 0 {
		return nil, nil
	}
	offer := speakable(client)
	if len(t.alpn) > 0 {
		offer = slices.DeleteFunc(offer, func(p string) bool { return !slices.Contains(t.alpn, p) })
	}
	if len(offer) == 0 {
		return nil, fmt.Errorf("%w: it offers %.300q", ErrNoProtocol, client)
	}
	return offer, nil
}

// fallback is the protocol for a client whose origin could not be reached, to
// be told so in.
func fallback(offer []string) string {
	switch {
	case len(offer) == 0:
		return ""
	case slices.Contains(offer, protoHTTP1):
		return protoHTTP1
	}
	return offer[0]
}
