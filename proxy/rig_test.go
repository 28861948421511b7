package proxy_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"math/big"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/proxyglass/proxyglass/internal/leaktest"
	"github.com/proxyglass/proxyglass/internal/tcptest"
	"github.com/proxyglass/proxyglass/mitm"
	"github.com/proxyglass/proxyglass/proxy"
	"github.com/proxyglass/proxyglass/record"
	"github.com/proxyglass/proxyglass/record/recordtest"
)

// What the tests stand on: a client and a server that the test plays, with a
// Pipeline or a Server of the package between them.

// patience is how long a test waits for what should come at once.
const patience = 10 * time.Second

// A peer is one end of a connection, played by the test.
type peer struct {
	net.Conn
	t testing.TB
}

func newPeer(t testing.TB, c net.Conn) *peer {
	c.SetDeadline(time.Now().Add(patience))
	return &peer{c, t}
}

// send writes s in one piece.
func (p *peer) send(s string) {
	p.t.Helper()
	_, err := p.Write([]byte(s))
	require.NoError(p.t, err)
}

// expect reads as many bytes as want has, which they must be.
func (p *peer) expect(want string) {
	p.t.Helper()
	got := make([]byte, len(want))
	n, err := io.ReadFull(p, got)
	require.Equal(p.t, want, string(got[:n]), "read ended by %v", err)
}

// expectEnd reads to the end, where nothing more may come.
func (p *peer) expectEnd() {
	p.t.Helper()
	rest, err := io.ReadAll(p)
	require.NoError(p.t, err)
	require.Empty(p.t, string(rest))
}

func (p *peer) closeWrite() {
	p.t.Helper()
	require.NoError(p.t, p.Conn.(interface{ CloseWrite() error }).CloseWrite())
}

// reset ends the connection by a RST.
func (p *peer) reset() {
	p.Conn.(*net.TCPConn).SetLinger(0)
	p.Close()
}

// A line is a Pipeline at work between two peers.
type line struct {
	t        testing.TB
	client   *peer
	server   *peer
	pipeline *proxy.Pipeline
	seen     *recordtest.Collector
	done     chan error
	err      error // what Serve returned
}

// newLine has p serve a pair of TCP connections. Nothing may be left of it when
// the test ends. A Recorder is added if there is none.
func newLine(t testing.TB, p *proxy.Pipeline, s proxy.Session) *line {
	t.Helper()
	leaktest.Check(t)
	return newLineOver(t, p, s, tcptest.Pair)
}

func newLineOver(t testing.TB, p *proxy.Pipeline, s proxy.Session, pair func(testing.TB) (net.Conn, net.Conn)) *line {
	t.Helper()
	if p == nil {
		p = &proxy.Pipeline{}
	}
	l := &line{t: t, pipeline: p, seen: &recordtest.Collector{}, done: make(chan error, 1)}
	if p.Recorder == nil {
		p.Recorder = l.seen
	}
	client, ours := pair(t)
	theirs, server := pair(t)
	l.client, l.server = newPeer(t, client), newPeer(t, server)
	go func() { l.done <- p.Serve(context.Background(), ours, theirs, s) }()
	return l
}

// pass has the client say up, which the server must get, and then the server
// down, which the client must get.
func (l *line) pass(up, down string) {
	l.t.Helper()
	l.client.send(up)
	l.server.expect(up)
	l.server.send(down)
	l.client.expect(down)
}

// end closes both peers in order, and returns the records.
func (l *line) end() []*record.Record {
	l.t.Helper()
	l.client.closeWrite()
	l.server.expectEnd()
	l.server.closeWrite()
	l.client.expectEnd()
	return l.records()
}

// records waits for Serve to return, and returns what was recorded.
func (l *line) records() []*record.Record {
	l.t.Helper()
	select {
	case l.err = <-l.done:
	case <-time.After(patience):
		require.FailNow(l.t, "Serve does not return")
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	require.NoError(l.t, l.pipeline.Close(ctx))
	return l.seen.Records()
}

// only is the one record that there must be.
func only(t testing.TB, records []*record.Record) *record.Record {
	t.Helper()
	require.Len(t, records, 1, "%s", summary(records))
	return records[0]
}

// summary lists records for a failure's message.
func summary(records []*record.Record) (lines string) {
	for _, r := range records {
		lines += "\n"
		if r.HTTP != nil {
			lines += r.HTTP.Method + " " + r.HTTP.URI + " "
		}
		if r.WebSocket != nil {
			lines += "frame from " + r.WebSocket.From
		}
		lines += " proto " + r.Proto + " err " + r.Err
		for _, a := range r.Anomalies {
			lines += " " + a
		}
	}
	return lines
}

// A relay is a Server of the package at work.
type relay struct {
	t      testing.TB
	addr   string
	server *proxy.Server
	seen   *recordtest.Collector
	served chan error
}

// newRelay starts s, with a Pipeline that collects records if it has none.
// When the test ends it is closed, and nothing may be left of it.
func newRelay(t testing.TB, s *proxy.Server) *relay {
	t.Helper()
	leaktest.Check(t)
	r := &relay{t: t, server: s, seen: &recordtest.Collector{}, served: make(chan error, 1)}
	if s.Pipeline == nil {
		s.Pipeline = &proxy.Pipeline{}
	}
	if s.Pipeline.Recorder == nil {
		s.Pipeline.Recorder = r.seen
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	r.addr = l.Addr().String()
	go func() { r.served <- s.Serve(l) }()
	t.Cleanup(func() { r.close() })
	return r
}

// close ends the server, flushes, and returns the records.
func (r *relay) close() []*record.Record {
	r.t.Helper()
	assert.NoError(r.t, r.server.Close())
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	assert.NoError(r.t, r.server.Pipeline.Close(ctx))
	return r.seen.Records()
}

// wait returns the first n records, once there are as many.
func (r *relay) wait(n int) []*record.Record {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	records, err := r.seen.Wait(ctx, n)
	require.NoError(r.t, err, "%s", summary(records))
	return records
}

func (r *relay) dial() *peer {
	r.t.Helper()
	c, err := net.Dial("tcp", r.addr)
	require.NoError(r.t, err)
	r.t.Cleanup(func() { c.Close() })
	return newPeer(r.t, c)
}

// An origin is a TCP server whose connections the test plays one by one.
type origin struct {
	t testing.TB
	l net.Listener
}

func newOrigin(t testing.TB) *origin {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { l.Close() })
	return &origin{t, l}
}

func (o *origin) addr() string { return o.l.Addr().String() }

func (o *origin) accept() *peer {
	o.t.Helper()
	o.l.(*net.TCPListener).SetDeadline(time.Now().Add(patience))
	c, err := o.l.Accept()
	require.NoError(o.t, err)
	o.t.Cleanup(func() { c.Close() })
	return newPeer(o.t, c)
}

// authorities are the CA that clients trust and the one that origins' certificates
// are signed by; keys take long, so all tests share them.
var authorities = sync.OnceValue(func() (a struct{ ours, origins *mitm.CA }) {
	a.ours = must(mitm.NewCA(mitm.CAConfig{}))
	a.origins = must(mitm.NewCA(mitm.CAConfig{CommonName: "Origins"}))
	return a
})

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func poolOf(ca *mitm.CA) *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(ca.Certificate)
	return p
}

// newTerminator opens TLS with the tests' CA, and trusts the tests' origins.
func newTerminator() *mitm.Terminator {
	a := authorities()
	return &mitm.Terminator{
		Issuer:   &mitm.CertIssuer{CA: a.ours},
		Upstream: &tls.Config{RootCAs: poolOf(a.origins)},
	}
}

// originConfig is an origin's TLS for name; edit may spoil the certificate.
func originConfig(name string, edit func(*x509.Certificate)) *tls.Config {
	ca := authorities().origins
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()),
		Subject:      pkix.Name{CommonName: name},
		DNSNames:     []string{name},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if ip := net.ParseIP(name); ip != nil {
		leaf.DNSNames, leaf.IPAddresses = nil, []net.IP{ip}
	}
	if edit != nil {
		edit(leaf)
	}
	der := must(x509.CreateCertificate(rand.Reader, leaf, ca.Certificate, key.Public(), ca.Signer))
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
}

// clientConfig is a client's TLS that trusts the tests' CA and origins.
func clientConfig(name string, alpn ...string) *tls.Config {
	p := poolOf(authorities().ours)
	p.AddCert(authorities().origins.Certificate)
	return &tls.Config{RootCAs: p, ServerName: name, NextProtos: alpn}
}

// handshake puts TLS over the line's two peers, and fails the test where that
// does.
func (l *line) handshake(client, server *tls.Config) {
	l.t.Helper()
	c, s := tls.Client(l.client.Conn, client), tls.Server(l.server.Conn, server)
	served := make(chan error, 1)
	go func() { served <- s.Handshake() }()
	require.NoError(l.t, c.Handshake())
	require.NoError(l.t, <-served)
	l.client.Conn, l.server.Conn = c, s
}
