package proxy

import (
	"context"
	"errors"
	"time"

	"github.com/proxyglass/proxyglass/sniff"
)

// maxDetect is how much of a client's head is looked at, in bytes; the longest
// detector has decided by 8 KiB.
const maxDetect = 16 << 10

// up looks on from the client's first byte: it finds out what is spoken, then
// lets that protocol's observer look.
func (f *Flow) up(ctx context.Context, src *sniff.Reader) error {
	head, err := src.Next()
	if err != nil {
		return err
	}
	f.mu.Lock()
	f.spoken = true
	settled := f.settled
	f.mu.Unlock()
	if !settled {
		f.detect(ctx, src, head)
	}
	if o := f.observing(); o != nil && o.Up != nil {
		return o.Up(src)
	}
	return nil
}

// detect settles what the client speaks. What it has looked at stays in src.
func (f *Flow) detect(ctx context.Context, src *sniff.Reader, head []byte) {
	started := false
	for {
		p, v := sniff.Detect(f.pipeline.detectors, head)
		if v != sniff.More || len(head) >= maxDetect {
			f.settle(ctx, p)
			break
		}
		// Only what may become a ClientHello that we may open is worth making
		// the server wait for: see mayHold.
		if !f.mayHold(head) {
			if src.Flush() != nil {
				break
			}
		}
		if !started {
			started = true
			src.SetDeadline(time.Now().Add(f.pipeline.sniffTimeout()))
		}
		var err error
		if head, err = src.More(maxDetect); err != nil {
			break
		}
	}
	if started {
		src.SetDeadline(time.Time{})
	}
	f.settle(ctx, sniff.Unknown) // unless settled
}

// mayHold reports whether head may be the start of TLS that could be opened:
// that, and nothing else, has to be kept from the server until it is whole.
func (f *Flow) mayHold(head []byte) bool {
	return f.pipeline.MITM != nil && len(head) > 0 && head[0] == 0x16
}

// settle decides what is spoken, once.
func (f *Flow) settle(ctx context.Context, p sniff.Protocol) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.settled {
		return
	}
	f.settled = true
	if h := f.pipeline.handlers[p]; h != nil {
		defer func() {
			if f.observer == nil { // it panics
				f.busyUntilEnd()
			}
		}()
		switch h.(type) {
		case tlsProtocol, http1Protocol:
		default:
			f.foreign = true
			if f.base.TLS == nil {
				f.base.Proto = string(p)
			}
		}
		o := h.Observe(ctx, f)
		if f.foreign {
			o.Up, o.Down = withoutStop(o.Up), withoutStop(o.Down)
		}
		f.observer = &o
		return
	}
	f.name(p)
}

// withoutStop makes sniff.Stop, of which only our own protocols know what comes
// behind it, an end of the looking like any other.
func withoutStop(parse func(*sniff.Reader) error) func(*sniff.Reader) error {
	if parse == nil {
		return nil
	}
	return func(src *sniff.Reader) error {
		err := parse(src)
		if errors.Is(err, sniff.Stop) {
			return errNoStop
		}
		return err
	}
}

var errNoStop = errors.New("proxy: an Observer cannot stop a relay")

// name notes a protocol that nobody here observes further.
func (f *Flow) name(p sniff.Protocol) {
	if p != sniff.Unknown && f.base.TLS == nil {
		f.base.Proto = string(p)
	}
	f.busyUntilEnd()
}

func (f *Flow) observing() *Observer {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.observer
}

// maxGreeting is how much of a server's greeting is looked at, in bytes.
const maxGreeting = 4 << 10

// down looks on at what the server says. A greeting that is known settles what
// is spoken; other early bytes pass, and the client's head still decides.
func (f *Flow) down(src *sniff.Reader) error {
	seen := 0 // of the greeting: passed on and looked at, but perhaps not all of it
	greeting := true
	b, err := src.Next()
	for {
		f.mu.Lock()
		o, settled := f.observer, f.settled
		f.mu.Unlock()
		if o != nil && o.Down != nil {
			src.Advance(seen)
			f.early += int64(seen)
			return o.Down(src)
		}
		if err != nil || settled {
			return err
		}
		if greeting && f.greet(b) && len(b) < maxGreeting {
			if seen = len(b); src.Flush() == nil {
				b, err = src.More(maxGreeting)
				continue
			}
		}
		src.Advance(len(b))
		f.early += int64(len(b))
		greeting, seen = false, 0
		f.busyUntilEnd() // it speaks although nobody has asked: when it has done is not known
		b, err = src.Next()
	}
}

// greet looks at what a server that speaks first has said so far. It reports
// whether more of it could tell.
func (f *Flow) greet(b []byte) bool {
	p, v := sniff.Detect(f.pipeline.banners, b)
	if v == sniff.Yes {
		f.mu.Lock()
		defer f.mu.Unlock()
		if !f.settled && !f.spoken { // an answer may look like a greeting
			f.settled = true
			f.name(p)
		}
	}
	return v == sniff.More
}
