package mitm_test

import (
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"math/big"
	"net"
	"runtime"
	"testing"
	"time"

	"github.com/proxyglass/proxyglass/internal/tcptest"
	"github.com/proxyglass/proxyglass/mitm"
	"github.com/stretchr/testify/require"
)

// A leaf that is in the cache.
func BenchmarkLeafCached(b *testing.B) {
	issuer := newIssuer(b)
	_, err := issuer.Issue(b.Context(), host)
	require.NoError(b, err)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := issuer.Issue(b.Context(), host); err != nil {
			b.Fatal(err)
		}
	}
}

// A leaf that is signed, and its floor: one x509.CreateCertificate of the same
// certificate with everything made ready.
func BenchmarkLeafSigned(b *testing.B) {
	ca := newIssuer(b).CA
	key := keyOf["ECDSA"]()
	b.Run("floor", func(b *testing.B) {
		template := &x509.Certificate{
			SerialNumber:          new(big.Int).Lsh(big.NewInt(1), 127),
			Subject:               pkix.Name{CommonName: host},
			NotBefore:             time.Now(),
			NotAfter:              time.Now().Add(time.Hour),
			KeyUsage:              x509.KeyUsageDigitalSignature,
			ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
			BasicConstraintsValid: true,
			SubjectKeyId:          make([]byte, 20),
			DNSNames:              []string{host},
		}
		b.ReportAllocs()
		for b.Loop() {
			if _, err := x509.CreateCertificate(rand.Reader, template, ca.Certificate, key.Public(), ca.Signer); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("Issue", func(b *testing.B) {
		issuer := &mitm.CertIssuer{CA: ca, CacheSize: 1}
		names := [2]string{"www.example.com", "www.example.net"} // each drives the other out
		issuer.Issue(b.Context(), names[1])
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			if _, err := issuer.Issue(b.Context(), names[i%2]); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// opener opens one connection; the floor does no more than two handshakes.
type opener func(client, server net.Conn) (net.Conn, net.Conn, error)

func openers(b *testing.B) (r *rig, originCfg *tls.Config, all map[string]opener) {
	r = newRig(b)
	originCfg = &tls.Config{Certificates: []tls.Certificate{r.originCert(host, nil)}, NextProtos: []string{"http/1.1"}}
	leaf, err := r.term.Issuer.Issue(b.Context(), host)
	require.NoError(b, err)
	floorServer := &tls.Config{Certificates: []tls.Certificate{*leaf}, NextProtos: []string{"http/1.1"}}
	floorClient := &tls.Config{RootCAs: r.term.Upstream.RootCAs, ServerName: host, NextProtos: []string{"http/1.1"},
		ClientSessionCache: tls.NewLRUClientSessionCache(0)}
	return r, originCfg, map[string]opener{
		"floor": func(client, server net.Conn) (net.Conn, net.Conn, error) {
			s := tls.Client(server, floorClient)
			if err := s.Handshake(); err != nil {
				return nil, nil, err
			}
			c := tls.Server(client, floorServer)
			return c, s, c.Handshake()
		},
		"Terminate": func(client, server net.Conn) (net.Conn, net.Conn, error) {
			o, err := r.term.Terminate(b.Context(), client, server, host)
			if err != nil {
				return nil, nil, err
			}
			return o.Client, o.Server, nil
		},
	}
}

// The handshakes with the client and with the origin, both ends of each in
// this process.
func BenchmarkHandshakes(b *testing.B) {
	r, originCfg, all := openers(b)
	for _, resume := range []bool{false, true} {
		for _, name := range []string{"floor", "Terminate"} {
			b.Run(fmt.Sprintf("%s/tickets=%t", name, resume), func(b *testing.B) {
				clientCfg := r.clientTo(host, "http/1.1")
				if resume {
					clientCfg.ClientSessionCache = tls.NewLRUClientSessionCache(0)
				}
				b.ReportAllocs()
				for b.Loop() {
					openOne(b, clientCfg, originCfg, all[name])
				}
			})
		}
	}
}

// openOne opens a connection, sends a byte over each hop and closes all.
func openOne(b testing.TB, clientCfg, originCfg *tls.Config, open opener) {
	c, clientSide := tcptest.Pair(nopCleanup{b})
	serverSide, s := tcptest.Pair(nopCleanup{b})
	go func() {
		origin := tls.Server(s, originCfg)
		io.Copy(origin, origin)
		s.Close()
	}()
	client := tls.Client(c, clientCfg)
	shaken := make(chan error, 1)
	go func() { shaken <- client.Handshake() }()
	proxyClient, proxyServer, err := open(clientSide, serverSide)
	require.NoError(b, err)
	require.NoError(b, <-shaken)
	one := make([]byte, 1)
	for _, hop := range [][2]net.Conn{{client, proxyClient}, {proxyServer, proxyServer}, {proxyClient, client}} {
		_, err := hop[0].Write(one)
		require.NoError(b, err)
		_, err = io.ReadFull(hop[1], one)
		require.NoError(b, err)
	}
	for _, c := range []net.Conn{c, clientSide, serverSide} {
		c.Close()
	}
}

type nopCleanup struct{ testing.TB }

func (nopCleanup) Cleanup(func()) {}

// BenchmarkIdle holds opened connections whose two goroutines wait to read,
// and reports what one takes of heap and stack on the proxy's side: what it
// takes with the Terminator or the floor between the ends, less what the ends
// alone take.
func BenchmarkIdle(b *testing.B) {
	const n = 500
	r, originCfg, all := openers(b)
	clientCfg := r.clientTo(host, "http/1.1")
	clientCfg.RootCAs.AddCert(r.origin.Certificate)
	for _, name := range []string{"floor", "Terminate"} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				ends := holding(b, n, clientCfg, originCfg, nil)
				whole := holding(b, n, clientCfg, originCfg, all[name])
				b.ReportMetric(float64(whole-ends)/n/1024, "KiB/conn")
			}
		})
	}
}

// holding is the memory in use while n connections are idle, less before.
func holding(b *testing.B, n int, clientCfg, originCfg *tls.Config, open opener) int64 {
	before := inUse()
	var closers []io.Closer
	pair := func() (net.Conn, net.Conn) {
		x, y := tcptest.Pair(nopCleanup{b})
		closers = append(closers, x, y)
		return x, y
	}
	wait := func(c net.Conn) { go c.Read(make([]byte, 1)) }
	for range n {
		c, clientSide := pair()
		client := tls.Client(c, clientCfg)
		shaken := make(chan error, 1)
		go func() { shaken <- client.Handshake(); client.Read(make([]byte, 1)) }()
		if open == nil { // the ends, with each other
			go tls.Server(clientSide, originCfg).Read(make([]byte, 1))
			require.NoError(b, <-shaken)
			continue
		}
		serverSide, s := pair()
		go tls.Server(s, originCfg).Read(make([]byte, 1))
		opened := make(chan struct{})
		go func() { // as a proxy does: this goroutine lives as long as the connection
			defer close(opened)
			pc, ps, err := open(clientSide, serverSide)
			if err != nil {
				b.Error(err)
				return
			}
			wait(pc)
			go func() { opened <- struct{}{} }()
			ps.Read(make([]byte, 1))
		}()
		<-opened
		require.NoError(b, <-shaken)
	}
	time.Sleep(50 * time.Millisecond)
	held := inUse() - before
	for _, c := range closers {
		c.Close()
	}
	time.Sleep(50 * time.Millisecond)
	return held
}

func inUse() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse + m.StackInuse)
}
