package proxy

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/proxyglass/proxyglass/mitm"
	"github.com/proxyglass/proxyglass/record"
	"github.com/proxyglass/proxyglass/sniff"
)

// open terminates the client's TLS and begins our own with the origin. It
// returns what is inside: a flow of the same pipeline, one layer in.
func (t *tlsFlow) open(ctx context.Context) (*Flow, error) {
	f := t.flow
	f.session.busy.Add(1)
	start := time.Now()
	heard := t.listen()
	opened, err := f.pipeline.MITM.Terminate(ctx, f.client, f.server, hostOf(f.base.Host))
	heard()
	f.session.busy.Add(-1)

	t.section.Intercepted = true
	var failed *mitm.HandshakeError
	switch {
	case err == nil:
		t.section.Version = sniff.VersionName(opened.ServerState.Version)
		t.section.CipherSuite = sniff.CipherSuiteName(opened.ServerState.CipherSuite)
		t.section.Proto = opened.ServerState.NegotiatedProtocol
		f.session.serverTLS = start.Add(opened.ServerHandshake)
		f.session.clientTLS = time.Now()
		return f.descend(sniff.NewConn(opened.Client), sniff.NewConn(opened.Server), t.section), nil
	case errors.As(err, &failed) && failed.Side == mitm.SideServer && opened != nil && opened.Client != nil:
		return nil, t.refuse(ctx, sniff.NewConn(opened.Client), err)
	}
	f.base.TLS, f.base.Proto = t.section, "tls"
	f.recordWhole(sniff.Traffic{}, err.Error())
	return nil, err
}

// listen notes the origin's ServerHello while the handshake reads it; the
// function that it returns ends that.
func (t *tlsFlow) listen() (stop func()) {
	var said []byte
	t.flow.server.Tap(func(b []byte) {
		if len(said) < sniff.MaxHelloStream {
			said = append(said, b...)
		}
	})
	return func() {
		t.flow.server.Tap(nil)
		for {
			hello, err := sniff.ParseServerHello(said)
			if err != nil {
				return
			}
			t.serverHello(hello)
			if !hello.HelloRetryRequest {
				return
			}
			said = said[hello.Len:]
		}
	}
}

// descend makes the flow of what is inside f's TLS.
func (f *Flow) descend(client, server *sniff.Conn, section *record.TLS) *Flow {
	in := &Flow{
		pipeline: f.pipeline, session: f.session, layer: &layer{}, depth: f.depth + 1,
		client: client, server: server,
		base: f.base, target: f.target, scheme: "https", connect: f.connect,
	}
	in.base.TLS, in.base.Proto = section, "tls"
	in.target.SNI = section.ServerName
	return in
}

// refusalPatience bounds the wait for a client to ask for what it cannot have.
const refusalPatience = time.Minute

// refuse serves a client whose TLS was completed for an origin that could not
// be had: every HTTP request is answered by 502 with the reason, and recorded
// with it; a client that speaks something else is cut off.
func (t *tlsFlow) refuse(ctx context.Context, client *sniff.Conn, why error) error {
	defer client.Close()
	f := t.flow
	f.base.Err = why.Error()
	sniffer := &sniff.Sniffer{
		Detectors: []sniff.Detector{detectorFor(sniff.HTTP1)},
		Timeout:   f.pipeline.sniffTimeout(),
	}
	patient, cancel := context.WithTimeout(ctx, refusalPatience)
	defer cancel()
	if c, err := sniffer.Sniff(patient, client); err != nil || c.Protocol() != sniff.HTTP1 {
		f.base.TLS, f.base.Proto = t.section, "tls"
		f.recordWhole(sniff.Traffic{}, "")
		return why
	}
	ours, theirs := newDuplex()
	defer ours.Close()
	served := make(chan struct{})
	go func() {
		defer close(served)
		serveRefusal(theirs, why)
	}()
	in := f.descend(client, sniff.NewConn(ours), t.section)
	in.serve(ctx)
	ours.Close()
	<-served
	return why
}

// serveRefusal answers every request on c by 502 with the reason.
func serveRefusal(c net.Conn, why error) {
	l := &oneConn{conn: c, gone: make(chan struct{})}
	s := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			h := w.Header()
			h.Set("Content-Type", "text/plain; charset=utf-8")
			h.Set("Proxy-Agent", agent)
			text := agent + ": " + why.Error() + "\n"
			h.Set("Content-Length", strconv.Itoa(len(text)))
			c := http.NewResponseController(w)
			c.EnableFullDuplex()
			w.WriteHeader(http.StatusBadGateway)
			io.WriteString(w, text)
			c.Flush()
			if r.Header.Get("Expect") == "" { // then the body comes: if we closed before, the answer could be lost
				io.Copy(io.Discard, r.Body)
			}
		}),
		ReadHeaderTimeout: helloTimeout,
		IdleTimeout:       refusalPatience,
		ConnState: func(_ net.Conn, state http.ConnState) {
			if state == http.StateClosed || state == http.StateHijacked {
				l.end()
			}
		},
	}
	s.Serve(l)
}

// A duplex is one end of two pipes: unlike that of one it can be half-closed, so
// that a client that has said all it has to say still gets its answer.
type duplex struct {
	net.Conn // to read from
	to       net.Conn
}

func newDuplex() (ours, theirs *duplex) {
	r1, w1 := net.Pipe()
	r2, w2 := net.Pipe()
	return &duplex{r1, w2}, &duplex{r2, w1}
}

func (d *duplex) Write(p []byte) (int, error)        { return d.to.Write(p) }
func (d *duplex) CloseWrite() error                  { return d.to.Close() }
func (d *duplex) Close() error                       { d.to.Close(); return d.Conn.Close() }
func (d *duplex) SetWriteDeadline(t time.Time) error { return d.to.SetWriteDeadline(t) }
func (d *duplex) SetDeadline(t time.Time) error {
	d.to.SetWriteDeadline(t)
	return d.Conn.SetReadDeadline(t)
}

// oneConn is a listener that accepts one connection, and ends with it.
type oneConn struct {
	conn net.Conn
	gone chan struct{}
	once sync.Once
}

func (l *oneConn) Accept() (net.Conn, error) {
	if c := l.conn; c != nil {
		l.conn = nil
		return c, nil
	}
	<-l.gone
	return nil, net.ErrClosed
}

func (l *oneConn) end()           { l.once.Do(func() { close(l.gone) }) }
func (l *oneConn) Close() error   { l.end(); return nil }
func (l *oneConn) Addr() net.Addr { return &net.TCPAddr{} }
