package proxy

import (
	"context"

	"github.com/proxyglass/proxyglass/sniff"
)

// A Protocol observes the connections that speak one application protocol. It
// is how a pipeline is taught a further one.
type Protocol interface {
	// Detector recognises the protocol by what the client says first.
	Detector() sniff.Detector
	// Observe is called once for a connection whose client speaks it. The
	// client's first bytes wait, unconsumed, in the Reader that Up is given;
	// nothing that the server says in answer to them has been seen. ctx ends
	// with the connection. What is given to Flow.Emit is what is recorded; of a
	// connection that came to its end without any, one record is made, with its
	// CONNECT and its byte counts.
	Observe(ctx context.Context, f *Flow) Observer
}

// An Observer looks on while a connection passes. Any of its functions may be
// nil.
type Observer struct {
	// Up and Down look on in the two directions, under the rules of
	// sniff.Parser; but a sniff.Stop only ends the looking, as any error does.
	Up, Down func(*sniff.Reader) error
	// Done is called once, when both directions have ended, with what passed
	// in all: the time to record what was left unfinished.
	Done func(sniff.Traffic)
}
