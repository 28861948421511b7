package sniff

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
)

// A Parser looks on while one direction of a connection passes. r is a
// [*Reader]; what the parser has read from it is held back and goes to the
// other side when the parser asks for more, or returns.
//
// A parser blocks only in r. It shares what it learns with the parser of the
// other direction under a mutex, and takes "not there" as unknown: a server may
// answer early. Whatever a peer says in answer to some bytes, the parser of
// those bytes has already seen them. It caps what it allocates, and hands
// results over without waiting.
//
// When it returns, or panics, what it holds is released and the rest of the
// direction is copied without looking; its error is in [Direction.Parser] and
// changes nothing on the wire. One error is different: [Stop].
//
// Once the stream has ended, the reading methods return io.EOF; a parser
// returns that as it is, or nil.
type Parser func(r io.Reader) error

// Stop is returned by a [Parser] to end the relay at a boundary. What the
// parser has consumed is released; what it holds beyond is read again from the
// Conn it came from. The other direction is interrupted (its parser's reads
// fail), keeps in the same way what it had not consumed, and Relay returns. It
// needs a *Conn on both sides: a plain net.Conn cannot take bytes back.
var Stop = errors.New("sniff: stop the relay")

// A PanicError is a parser's panic, contained.
type PanicError struct {
	Value any    // what the parser panicked with
	Stack []byte // of its goroutine, as debug.Stack prints it
}

func (e *PanicError) Error() string { return fmt.Sprintf("sniff: parser panicked: %v", e.Value) }

// Traffic is what a relay moved, and how it ended.
type Traffic struct {
	Up   Direction // client to server
	Down Direction // server to client
}

// Direction is one direction's part of [Traffic].
type Direction struct {
	Bytes  int64 // written to the other side
	Parser error // what the parser returned, or its *PanicError; nil for none and for io.EOF
	End    error // how the stream ended: nil in order (FIN, close_notify) or stopped
}

// ErrCut is the [Direction.End] of a TLS stream that ended without a
// close_notify (RFC 8446 section 6.1): it may lack its tail.
var ErrCut = errors.New("sniff: stream cut: no close_notify")

// Relay moves bytes between client and server until both directions have
// ended, with a [Parser] looking on in each; a nil parser looks at nothing.
//
// The bytes written are the bytes read, in their order. An end passes on as it
// came: FIN as FIN, close_notify as close_notify, a cut TLS stream as a cut, a
// reset as a reset; where the other side cannot be half-closed it is closed.
// Back-pressure is the connections' own. Relay does not close them otherwise.
//
// Whether a TLS stream was cut can only be seen where the TLS connection was
// made over a *Conn: elsewhere every end counts as a close_notify.
//
// When ctx ends, both directions are interrupted and Relay returns ctx's error.
// Other errors tell how a direction ended that did not end in order; nil means
// that both did, or that a parser returned [Stop]. Traffic is always set. No
// goroutine outlives the call.
func Relay(ctx context.Context, client, server net.Conn, up, down Parser) (Traffic, error) {
	c, s := NewConn(client), NewConn(server)
	rl := &relay{}
	rl.up.init(rl, c, s, up)
	rl.down.init(rl, s, c, down)
	cancelled := make(chan struct{})
	unhook := context.AfterFunc(ctx, func() {
		rl.cancel()
		close(cancelled)
	})

	var wg sync.WaitGroup
	wg.Go(rl.down.run)
	rl.up.run()
	wg.Wait()

	if !unhook() {
		<-cancelled
	}
	rl.up.restore()
	rl.down.restore()
	t := Traffic{Up: rl.up.result(), Down: rl.down.result()}
	if rl.cancelled.Load() {
		return t, ctx.Err()
	}
	return t, errors.Join(t.Up.End, t.Down.End)
}

type relay struct {
	up, down  direction
	cancelled atomic.Bool
	over      atomic.Int32 // directions that have no more to deliver
}

// cancel ends both directions, also those that wait for a slow reader.
func (rl *relay) cancel() {
	rl.cancelled.Store(true)
	for _, d := range []*direction{&rl.up, &rl.down} {
		d.r.interrupt()
		d.r.dst.SetWriteDeadline(longAgo)
	}
}
