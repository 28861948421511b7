package mitm_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"math/big"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/proxyglass/proxyglass/internal/tcptest"
	"github.com/proxyglass/proxyglass/mitm"
	"github.com/stretchr/testify/require"
)

// keyOf makes a key of each kind that an authority may have.
var keyOf = map[string]func() crypto.Signer{
	"ECDSA":   func() crypto.Signer { return must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)) },
	"RSA":     func() crypto.Signer { return must(rsa.GenerateKey(rand.Reader, 2048)) },
	"Ed25519": func() crypto.Signer { _, key, err := ed25519.GenerateKey(rand.Reader); return must(key, err) },
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func leafOf(cert *tls.Certificate) *x509.Certificate {
	return must(x509.ParseCertificate(cert.Certificate[0]))
}

func pool(certs ...*x509.Certificate) *x509.CertPool {
	p := x509.NewCertPool()
	for _, c := range certs {
		p.AddCert(c)
	}
	return p
}

// rig is a client, a Terminator and an origin, each over TCP on loopback.
type rig struct {
	ca     *mitm.CA // what the client trusts
	origin *mitm.CA // what the Terminator trusts
	term   *mitm.Terminator

	pipe bool // net.Pipe in place of TCP, for fake time
}

func newRig(t testing.TB) *rig {
	t.Helper()
	ca, err := mitm.NewCA(mitm.CAConfig{})
	require.NoError(t, err)
	origin, err := mitm.NewCA(mitm.CAConfig{CommonName: "Origins"})
	require.NoError(t, err)
	return &rig{ca: ca, origin: origin, term: &mitm.Terminator{
		Issuer:   &mitm.CertIssuer{CA: ca},
		Upstream: &tls.Config{RootCAs: pool(origin.Certificate)},
	}}
}

// originCert signs a certificate as the origins' authority would. edit may
// spoil it.
func (r *rig) originCert(name string, edit func(*x509.Certificate)) tls.Certificate {
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()),
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if ip := net.ParseIP(name); ip != nil {
		template.IPAddresses = []net.IP{ip}
	} else {
		template.DNSNames = []string{name}
	}
	if edit != nil {
		edit(template)
	}
	der := must(x509.CreateCertificate(rand.Reader, template, r.origin.Certificate, key.Public(), r.origin.Signer))
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// clientTo is the config of a client that trusts the rig's authority.
func (r *rig) clientTo(sni string, alpn ...string) *tls.Config {
	return &tls.Config{RootCAs: pool(r.ca.Certificate), ServerName: sni, NextProtos: alpn}
}

// outcome is what came of one connection through the Terminator.
type outcome struct {
	client    *tls.Conn // nil if its handshake failed
	clientErr error
	opened    *mitm.Opened
	err       error
	origin    *tls.Conn // nil if its handshake failed
	originErr error

	clientSide, serverSide net.Conn // what Terminate was given
}

// run sends one client through the Terminator. Everything is closed when the
// test ends.
func (r *rig) run(t testing.TB, ctx context.Context, host string, client, origin *tls.Config) *outcome {
	return r.runWith(t, ctx, host, client, func(c net.Conn) (*tls.Conn, error) {
		s := tls.Server(c, origin)
		if err := s.Handshake(); err != nil {
			c.Close()
			return nil, err
		}
		return s, nil
	})
}

func (r *rig) runWith(t testing.TB, ctx context.Context, host string, client *tls.Config, origin func(net.Conn) (*tls.Conn, error)) *outcome {
	t.Helper()
	o := &outcome{}
	pair := tcptest.Pair
	if r.pipe {
		pair = pipePair
	}
	c, clientSide := pair(t)
	serverSide, s := pair(t)
	o.clientSide, o.serverSide = clientSide, serverSide
	var wg sync.WaitGroup
	wg.Go(func() {
		conn := tls.Client(c, client)
		if o.clientErr = conn.Handshake(); o.clientErr == nil {
			o.client = conn
		} else {
			c.Close()
		}
	})
	wg.Go(func() { o.origin, o.originErr = origin(s) })
	o.opened, o.err = r.term.Terminate(ctx, clientSide, serverSide, host)
	if o.err != nil {
		serverSide.Close()
	}
	if o.opened == nil {
		clientSide.Close()
	}
	wg.Wait()
	return o
}

// requireThrough checks that bytes pass both ways, end to end.
func (o *outcome) requireThrough(t testing.TB) {
	t.Helper()
	pass := func(from, to net.Conn, what string) {
		go from.Write([]byte(what))
		b := make([]byte, len(what))
		_, err := io.ReadFull(to, b)
		require.NoError(t, err)
		require.Equal(t, what, string(b))
	}
	pass(o.client, o.opened.Client, "request")
	pass(o.opened.Server, o.origin, "request")
	pass(o.origin, o.opened.Server, "answer")
	pass(o.opened.Client, o.client, "answer")
}

func pipePair(t testing.TB) (net.Conn, net.Conn) {
	a, b := net.Pipe()
	t.Cleanup(func() { a.Close(); b.Close() })
	return a, b
}
