package proxy

import (
	"context"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/proxyglass/proxyglass/bypass"
	"github.com/proxyglass/proxyglass/mitm"
	"github.com/proxyglass/proxyglass/record"
	"github.com/proxyglass/proxyglass/sniff"
)

// A Pipeline looks at what passes between a client and a server, and records
// it. The zero value relays everything and records nothing.
//
// Its fields must not change once it is in use. It serves any number of
// connections at once.
type Pipeline struct {
	// Recorder takes the records. One that is no *record.Async is put behind a
	// queue of the pipeline's own, so that it cannot hold up traffic; Close
	// flushes that queue. Nil: nothing is recorded.
	Recorder record.Recorder

	// MITM opens TLS connections. Nil: they are observed, never opened.
	MITM *mitm.Terminator

	// Bypass matches the targets whose TLS is not opened. An error counts as
	// a match. Nil: it matches none.
	Bypass bypass.Matcher

	// Capture says how much is kept of what is seen. Zero: its defaults.
	Capture Capture

	// Protocols are asked, before the built-in ones (TLS and HTTP/1), what the
	// client speaks. Nil: only the built-in ones are.
	Protocols []Protocol

	// Service is the name under which records are made. Empty: "proxyglass".
	Service string

	// Labels go into every record. Nil: none.
	Labels map[string]string

	// NoSniff switches recognition off: there is a record for each connection
	// (with its CONNECT, where there was one) or forwarded request, and TLS is
	// never opened. False: everything is looked at.
	NoSniff bool

	// SniffTimeout bounds the time from the first byte that a client sends to
	// the verdict on what it speaks; then the connection is relayed without a
	// look. A silent client has no part in it. Zero: 3 s.
	SniffTimeout time.Duration

	// Logger is told of what should not happen: parsers that panic. Nil: quiet.
	Logger *slog.Logger

	once      sync.Once
	queue     *record.Async
	ownQueue  bool
	detectors []sniff.Detector
	handlers  map[sniff.Protocol]Protocol
	banners   []sniff.Detector
}

// Capture says how much is kept of what passes. What is not kept passes all the
// same. The zero value is ready to use.
type Capture struct {
	// MaxBody is how many bytes are kept of each HTTP body. Zero: 64 KiB;
	// negative: none.
	MaxBody int
	// MaxFrame is how many bytes are kept of each WebSocket frame's payload.
	// Zero: 64 KiB; negative: none.
	MaxFrame int
	// FrameRate is how many WebSocket frames a second are recorded, in each
	// direction of a connection. Zero: 10; negative: all.
	FrameRate float64
	// NoFrames records no WebSocket frame, only the handshake with the byte
	// counts of the whole. False: frames are recorded.
	NoFrames bool
}

// Limits on what one connection can make a pipeline hold, in bytes.
const (
	defaultKept  = 64 << 10
	maxHTTP1Head = 512 << 10 // an HTTP/1 head longer than this is not parsed
)

func limit(n int) int {
	switch {
	case n < 0:
		return 0
	case n == 0:
		return defaultKept
	}
	return n
}

func (p *Pipeline) init() {
	p.once.Do(func() {
		if q, ok := p.Recorder.(*record.Async); ok {
			p.queue = q
		} else if p.Recorder != nil {
			p.queue, p.ownQueue = &record.Async{Next: p.Recorder, Logger: p.Logger}, true
		}
		p.handlers = map[sniff.Protocol]Protocol{sniff.TLS: tlsProtocol{}, sniff.HTTP1: http1Protocol{}}
		for i := len(p.Protocols) - 1; i >= 0; i-- { // the first one wins
			p.handlers[p.Protocols[i].Detector().Protocol()] = p.Protocols[i]
		}
		for _, h := range p.Protocols {
			p.detectors = append(p.detectors, h.Detector())
		}
		p.detectors = append(p.detectors, sniff.Detectors()...)
		p.banners = sniff.BannerDetectors()
	})
}

// Serve relays between client and server until both have ended, or ctx ends,
// and records what it sees on the way. It closes both. The error tells of an
// end out of order (a reset, a failed handshake); records say the same.
func (p *Pipeline) Serve(ctx context.Context, client, server net.Conn, s Session) error {
	defer client.Close()
	defer server.Close()
	return p.newFlow(sniff.NewConn(client), sniff.NewConn(server), newSession(s)).serve(ctx)
}

// Close stops the taking of records and flushes those that wait, as
// record.Async.Close does, if the queue is the pipeline's own: an Async that was
// given as Recorder belongs to who made it. Connections should have ended.
func (p *Pipeline) Close(ctx context.Context) error {
	p.init()
	if !p.ownQueue {
		return nil
	}
	return p.queue.Close(ctx)
}

// Stats tells what became of the records, as record.Async.Stats does.
func (p *Pipeline) Stats() record.Stats {
	p.init()
	if p.queue == nil {
		return record.Stats{}
	}
	return p.queue.Stats()
}

func (p *Pipeline) logger() *slog.Logger {
	if p.Logger == nil {
		return slog.New(slog.DiscardHandler)
	}
	return p.Logger
}

func (p *Pipeline) sniffTimeout() time.Duration {
	if p.SniffTimeout > 0 {
		return p.SniffTimeout
	}
	return 3 * time.Second
}
