package proxy

import (
	"context"
	"net"

	"github.com/proxyglass/proxyglass/record"
	"github.com/proxyglass/proxyglass/sniff"
)

// A Front is what a client meets first: it learns from the client where the
// connection is to go.
//
// Accept reads from c just what the client says to the proxy. What is meant for
// the target stays in c. It is called again on the same connection when the
// client has asked for a further target behind the first, which only some
// fronts know. It answers what it does not like itself, and then returns an
// error; io.EOF when the client went away without asking for anything. ctx ends
// with the server. Accept is called for many connections at once.
type Front interface {
	Accept(ctx context.Context, c *sniff.Conn) (*Request, error)
}

// A Request is what a client asks of a proxy.
type Request struct {
	// Network is "tcp" or "udp". Empty: "tcp".
	Network string
	// Host is the target, with its port.
	Host string
	// ClientID names the client, if it has authenticated.
	ClientID string
	// Connect is the CONNECT request for the record, Response left out. Nil:
	// it was none.
	Connect *record.HTTP
	// Granted tells the client that the target is connected, and adds the
	// answer to Connect. Nil: there is nothing to say.
	Granted func() error
	// Refused tells the client why it is not, with the status code that is the
	// result. It returns false when the connection cannot be used for a further
	// request. Nil: the connection is just closed.
	Refused func(err error) bool

	forward *forward     // how requests are to be rewritten on their way
	in, out int64        // bytes that were said and answered, where the target is refused
	request *record.HTTP // of a forwarded request that is not yet one of the flow's
}

// Fixed is a Front that sends every client to one target: a port forward.
type Fixed string

// Accept returns the target. It reads nothing.
func (f Fixed) Accept(context.Context, *sniff.Conn) (*Request, error) {
	return &Request{Host: string(f)}, nil
}

// A DialFunc connects to the target, a host and port. See net.Dialer.
type DialFunc func(ctx context.Context, network, address string) (net.Conn, error)
