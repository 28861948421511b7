package proxy

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/proxyglass/proxyglass/bypass"
	"github.com/proxyglass/proxyglass/mitm"
	"github.com/proxyglass/proxyglass/record"
	"github.com/proxyglass/proxyglass/sniff"
)

// helloTimeout bounds the wait for the rest of a ClientHello that is held.
const helloTimeout = 10 * time.Second

// tlsProtocol observes TLS: the two hellos, and then, where it may, what is
// inside.
type tlsProtocol struct{}

func (tlsProtocol) Detector() sniff.Detector { return detectorFor(sniff.TLS) }

func (tlsProtocol) Observe(ctx context.Context, f *Flow) Observer {
	t := &tlsFlow{flow: f, section: &record.TLS{}}
	f.busyUntilEnd()
	return Observer{
		Up:   func(src *sniff.Reader) error { return t.up(ctx, src) },
		Down: t.down,
		Done: t.done,
	}
}

// detectorFor finds sniff's own detector of p.
func detectorFor(p sniff.Protocol) sniff.Detector {
	for _, d := range sniff.Detectors() {
		if d.Protocol() == p {
			return d
		}
	}
	panic("proxy: no detector for " + string(p))
}

// tlsFlow is TLS passing by. The client's direction writes the client's part of
// section before the server can answer, the server's direction the rest.
type tlsFlow struct {
	flow    *Flow
	opening bool

	mu      sync.Mutex // guards the below: a server may speak out of turn
	section *record.TLS
	err     string
	odd     []string
}

// up waits for the whole ClientHello and decides whether to open.
func (t *tlsFlow) up(ctx context.Context, src *sniff.Reader) error {
	hello, err := t.clientHello(src)
	if err != nil {
		return err
	}
	t.describe(hello)
	if t.flow.pipeline.MITM == nil {
		return nil
	}
	target := t.flow.target
	target.SNI = hello.ServerName
	why := t.flow.keepClosed(ctx, target, hello.ALPN)
	switch {
	case why != "":
	case src.Flushed(): // behind a CONNECT inside whose answer the client did not wait for
		why = "the ClientHello came too early to be kept back"
	default:
		why = unanswerable(hello)
	}
	if why != "" {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.section.NotOpened = why
		return nil
	}
	t.opening = true
	t.flow.layer.next = t.open
	return sniff.Stop
}

// clientHello reads the ClientHello, holding it back if it may be opened.
func (t *tlsFlow) clientHello(src *sniff.Reader) (*sniff.ClientHello, error) {
	b := src.Held()
	waiting := false
	for {
		hello, err := sniff.ParseClientHello(b)
		if !errors.Is(err, sniff.ErrIncomplete) {
			if waiting {
				src.SetDeadline(time.Time{})
			}
			if err != nil {
				t.note("malformed-client-hello")
			}
			return hello, err
		}
		if !t.flow.mayHold(b) {
			if err := src.Flush(); err != nil {
				return nil, err
			}
		}
		if !waiting {
			waiting = true
			src.SetDeadline(time.Now().Add(helloTimeout))
		}
		if b, err = src.More(sniff.MaxHelloStream); err != nil {
			if errors.Is(err, sniff.ErrTooLong) {
				t.note("malformed-client-hello")
			}
			return nil, err
		}
	}
}

// describe fills in what the client says of itself.
func (t *tlsFlow) describe(hello *sniff.ClientHello) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.section
	s.ServerName = hello.ServerName
	s.Version = sniff.VersionName(hello.MaxVersion())
	s.ClientHello = record.HexOf(hello.Raw)
	if len(hello.ALPN) > 0 {
		s.Proto = hello.ALPN[0]
	}
	s.JA3, s.JA4 = fingerprints(hello)
}

// unanswerable says what crypto/tls would refuse a client for whom its own server
// may well understand, "" for nothing.
func unanswerable(hello *sniff.ClientHello) string {
	const earlyData = 42 // RFC 8446 section 4.2.10
	for i := range hello.Extensions {
		if hello.Extensions[i].Type == earlyData {
			return "the client sends early data, for a session that it has with the server"
		}
	}
	switch {
	case hello.Malformed:
		return "the ClientHello is malformed"
	case strings.HasSuffix(hello.ServerName, "."):
		return "the server name ends in a dot"
	}
	return ""
}

// keepClosed says why a connection is not opened, "" if it is.
func (f *Flow) keepClosed(ctx context.Context, target bypass.Target, alpn []string) string {
	if f.depth == maxDepth {
		return "too many layers"
	}
	if !mitm.Openable(alpn) {
		return "the client offers nothing but h2"
	}
	if ours := f.pipeline.MITM.ALPN; len(ours) > 0 && len(alpn) > 0 && !slices.ContainsFunc(alpn, func(p string) bool {
		return slices.Contains(ours, p) && mitm.Openable([]string{p})
	}) && mitm.Openable(ours) {
		return "the client offers none of the protocols to open"
	}
	if f.pipeline.Bypass == nil {
		return ""
	}
	match, err := f.pipeline.Bypass.Match(ctx, target)
	switch {
	case err != nil:
		return "bypass: " + err.Error()
	case match:
		return "bypass"
	}
	return ""
}

// down reads the ServerHello, the second one after a HelloRetryRequest.
func (t *tlsFlow) down(src *sniff.Reader) error {
	for {
		b, err := src.Next()
		for {
			if err != nil {
				return err
			}
			var hello *sniff.ServerHello
			if hello, err = sniff.ParseServerHello(b); err == nil {
				t.serverHello(hello)
				src.Advance(hello.Len)
				if !hello.HelloRetryRequest {
					return nil
				}
				break
			}
			if !errors.Is(err, sniff.ErrIncomplete) {
				t.refused(err)
				return nil
			}
			if err = src.Flush(); err == nil {
				b, err = src.More(sniff.MaxHelloStream)
			}
		}
	}
}

// refused notes an alert in the place of a ServerHello.
func (t *tlsFlow) refused(err error) {
	var alert *sniff.AlertError
	if errors.As(err, &alert) {
		t.err = "server: " + alert.Error()
		return
	}
	t.note("malformed-server-hello")
}

func (t *tlsFlow) note(what string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.odd = append(t.odd, what)
}

func (t *tlsFlow) serverHello(hello *sniff.ServerHello) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.section
	s.Version = sniff.VersionName(hello.Version)
	s.CipherSuite = sniff.CipherSuiteName(hello.CipherSuite)
	s.CompressionMethod = int(hello.CompressionMethod)
	s.ServerHello = record.HexOf(hello.Raw)
	if hello.ALPN != "" {
		s.Proto = hello.ALPN
	}
}

// done records a connection that was not opened.
func (t *tlsFlow) done(traffic sniff.Traffic) {
	if t.opening {
		return
	}
	f := t.flow
	f.base.TLS, f.base.Proto = t.section, "tls"
	f.base.Anomalies = t.odd
	f.recordWhole(traffic, t.err)
}

// fingerprints are JA3 (the hash) and JA4 of a ClientHello over TCP.
func fingerprints(hello *sniff.ClientHello) (ja3, ja4 string) {
	_, ja3 = hello.JA3()
	return ja3, hello.JA4(sniff.OverTCP)
}
