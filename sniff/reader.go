package sniff

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"
)

// Sizes of a direction's buffers, in bytes. Waiting costs waitSize (nothing on
// a plain socket); while data flows, flowSize is borrowed from a pool.
const (
	waitSize = 512
	flowSize = 32 << 10
	// spliceAfter is what a direction must have to move, or have moved, before
	// the kernel is asked to move the rest: below it splice(2) costs more than
	// it saves.
	spliceAfter = 64 << 10
	// bulkChunk is the chunk size from which a direction is taken to be in the
	// middle of a bulk transfer, where more is likely to be there already.
	bulkChunk = 4 << 10
)

// ErrTooLong is returned by [Reader.More] when as much is held as may be.
var ErrTooLong = errors.New("sniff: more held than allowed")

// errInterrupted ends a Parser because the other direction stopped the relay.
var errInterrupted = errors.New("sniff: relay interrupted")

// Reader is what [Relay] hands to a [Parser], as its io.Reader. It reads one
// direction of a connection, and what it has read is *held*: it reaches the
// other side only when the parser asks for more, or returns. A parser that
// needs more than Read finds it by a type assertion:
//
//	func parse(r io.Reader) error {
//		src := r.(*sniff.Reader)
//		for {
//			b, err := src.Next()   // what is held, in place
//			if err != nil {
//				return err
//			}
//			src.Advance(look(b))   // consumed: goes on with the next Next
//		}
//	}
//
// Only the parser's goroutine may call its methods. Slices are valid until the
// next call of a method that reads.
type Reader struct {
	src, dst *Conn
	below    *Conn // of src, where a TLS connection lies between; else nil

	buf       []byte // nil while nothing is held
	rel, r, w int    // buf[:rel] is released, buf[r:w] not consumed; rel > r after Flush
	out       []byte // replaced bytes that go out before buf[rel:r]
	small     [waitSize]byte
	bulk      bool // the last chunk was large

	released  atomic.Int64
	rerr      error            // the end of src, sticky
	werr      error            // dst's refusal, sticky
	srcClosed atomic.Bool      // by the other direction, which could not half-close it
	piece     io.LimitedReader // of splice

	mu          sync.Mutex  // guards the changing of the two below, and src's read deadline
	interrupted atomic.Bool // set before the deadline is, and never unset
	deadline    time.Time
}

// Read copies held bytes into p. When none are left it releases what was read
// before, and waits for more.
func (r *Reader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	b, err := r.Next()
	n := copy(p, b)
	r.Advance(n)
	return n, err
}

// Next returns the bytes that are held and not yet consumed. When there are
// none it releases what was consumed and waits for the next chunk. It returns
// no bytes only with an error: io.EOF at the end of the stream.
func (r *Reader) Next() ([]byte, error) {
	if r.r == r.w {
		if err := r.Release(); err != nil {
			return nil, err
		}
		if err := r.fill(); err != nil {
			return nil, err
		}
	}
	return r.buf[r.r:r.w], nil
}

// More waits for bytes behind those that are held and returns them all. Unlike
// Next it lets nothing go that has not been consumed: while it waits, the other
// side waits too, so it is for what must not be released before it has been
// understood. At max held bytes it returns [ErrTooLong].
func (r *Reader) More(max int) ([]byte, error) {
	if r.w-r.r >= max {
		return r.buf[r.r:r.w], ErrTooLong
	}
	if err := r.Release(); err != nil {
		return nil, err
	}
	err := r.fill()
	return r.buf[r.r:r.w], err
}

// Held is what has been read and not yet consumed; it does not wait.
func (r *Reader) Held() []byte { return r.buf[r.r:r.w] }

// Advance consumes n of the held bytes. It panics if fewer are held.
func (r *Reader) Advance(n int) {
	if n < 0 || n > r.w-r.r {
		panic(fmt.Sprintf("sniff: Advance(%d) with %d bytes held", n, r.w-r.r))
	}
	r.r += n
}

// Replace consumes n of the held bytes and lets b go in their place. It is the
// one way in which a relay writes other bytes than it read, and not for
// parsers that observe: a forward proxy must turn an absolute-form target into
// an origin-form one (RFC 9112 section 3.2.2). b is copied.
func (r *Reader) Replace(n int, b []byte) {
	if r.rel > r.r {
		panic("sniff: Replace of bytes that were flushed")
	}
	begin := r.r
	r.Advance(n)
	r.out = append(r.out, r.buf[r.rel:begin]...)
	r.out = append(r.out, b...)
	r.rel = r.r
}

// Release lets go of everything that was consumed.
func (r *Reader) Release() error {
	if err := r.releaseTo(r.r); err != nil {
		return err
	}
	if r.r == r.w {
		r.bulk = r.w >= bulkChunk
		r.rel, r.r, r.w = 0, 0, 0
	}
	return nil
}

// Flush lets go of everything that is held, also of what is not consumed: that
// stays to be looked at, and can no longer be kept back by [Stop]. It is for a
// parser that must see more before it can tell, and has no reason to keep the
// other side waiting meanwhile.
func (r *Reader) Flush() error { return r.releaseTo(r.w) }

// Flushed reports whether some of what is held was let go by [Reader.Flush], so
// that a [Stop] would not keep it.
func (r *Reader) Flushed() bool { return r.rel > r.r }

// releaseTo writes what stands before buf[end] and was not written yet.
func (r *Reader) releaseTo(end int) error {
	if r.werr != nil {
		return r.werr
	}
	var b []byte
	if end > r.rel {
		b = r.buf[r.rel:end]
		r.rel = end
	}
	if len(r.out) > 0 {
		b = append(r.out, b...)
		if r.out = b[:0]; cap(b) > bulkChunk {
			r.out = nil // not to be kept through an idle time
		}
	}
	if len(b) == 0 {
		return nil
	}
	n, err := r.dst.Write(b)
	r.released.Add(int64(n))
	r.werr = err
	return err
}

// kept is what was neither consumed nor released.
func (r *Reader) kept() []byte { return r.buf[max(r.r, r.rel):r.w] }

// Skip consumes the next n bytes of the stream without looking at them, n < 0
// meaning all that follow, and returns how many it found. Large amounts are
// moved in bulk, where both ends are TCP by the kernel.
func (r *Reader) Skip(n int64) (int64, error) {
	var done int64
	for done != n {
		if k := int64(r.w - r.r); k > 0 {
			if n >= 0 {
				k = min(k, n-done)
			}
			r.Advance(int(k))
			done += k
			continue
		}
		if err := r.Release(); err != nil {
			return done, err
		}
		if m, ok, err := r.splice(n, done); ok {
			if done += m; err != nil {
				return done, err
			}
			continue
		}
		if err := r.fill(); err != nil {
			return done, err
		}
	}
	return done, nil
}

// SetDeadline bounds the waiting of Next, More, Read and Skip: past t they
// return an error that is a time-out and may be called again. The zero time
// means no bound.
func (r *Reader) SetDeadline(t time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.interrupted.Load() && !r.deadline.Equal(t) {
		r.deadline = t
		r.src.SetReadDeadline(t)
	}
}

// interrupt makes a waiting read return errInterrupted, now and from now on.
func (r *Reader) interrupt() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.interrupted.Store(true)
	r.src.SetReadDeadline(longAgo)
}

func (r *Reader) isInterrupted() bool { return r.interrupted.Load() }

// timedOut tells an interruption from a deadline of the parser's own.
func (r *Reader) timedOut(err error) error {
	if r.isInterrupted() {
		return errInterrupted
	}
	return err
}
