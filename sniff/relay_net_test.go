package sniff

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// What the relay's tests stand on: pairs of connections of every kind.

// A pair is one connection seen from its two ends: the peer's, which the test
// plays, and ours, which is given to Relay.
type pair struct{ peer, ours net.Conn }

// tcpPair connects two sockets over loopback.
func tcpPair(t testing.TB) pair { return socketPair(t, "tcp", "127.0.0.1:0") }

func unixPair(t testing.TB) pair {
	dir, err := os.MkdirTemp("", "s") // t.TempDir may be too long for a socket's path
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	return socketPair(t, "unix", filepath.Join(dir, "s"))
}

func socketPair(t testing.TB, network, addr string) pair {
	l, err := net.Listen(network, addr)
	require.NoError(t, err)
	defer l.Close()
	peer, err := net.Dial(network, l.Addr().String())
	require.NoError(t, err)
	ours, err := l.Accept()
	require.NoError(t, err)
	t.Cleanup(func() { peer.Close(); ours.Close() })
	return pair{peer, ours}
}

func pipePair(t testing.TB) pair {
	peer, ours := net.Pipe()
	t.Cleanup(func() { peer.Close(); ours.Close() })
	return pair{peer, ours}
}

// testCert is a self-signed certificate for "test.example".
var testCert = sync.OnceValue(func() tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "test.example"},
		DNSNames:     []string{"test.example"},
		NotBefore:    time.Unix(0, 0),
		NotAfter:     time.Unix(1<<32, 0),
	}
	der, err := x509.CreateCertificate(rand.Reader, leaf, leaf, key.Public(), key)
	if err != nil {
		panic(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
})

func serverConfig(version uint16) *tls.Config {
	return &tls.Config{
		Certificates: []tls.Certificate{testCert()}, MinVersion: version, MaxVersion: version,
		DynamicRecordSizingDisabled: true,
	}
}

func clientConfig(version uint16) *tls.Config {
	return &tls.Config{
		InsecureSkipVerify: true, ServerName: "test.example", MinVersion: version, MaxVersion: version,
		DynamicRecordSizingDisabled: true,
	}
}

// overTLS puts TLS over p. Ours is the server's end if weServe, and stands over
// a *Conn, as Relay wants it.
func overTLS(t testing.TB, p pair, version uint16, weServe bool) pair {
	var peer, ours *tls.Conn
	if weServe {
		peer, ours = tls.Client(p.peer, clientConfig(version)), tls.Server(NewConn(p.ours), serverConfig(version))
	} else {
		peer, ours = tls.Server(p.peer, serverConfig(version)), tls.Client(NewConn(p.ours), clientConfig(version))
	}
	return handshaken(t, peer, ours)
}

func handshaken(t testing.TB, peer, ours *tls.Conn) pair {
	done := make(chan error, 1)
	go func() { done <- peer.Handshake() }()
	require.NoError(t, ours.Handshake())
	require.NoError(t, <-done)
	return pair{peer, ours}
}

// A transport makes both sides of a relay: the client's pair and the server's.
type transport struct {
	name  string
	pairs func(t testing.TB) (client, server pair)
}

// transports are all combinations that the invariants are tested over.
func transports() []transport {
	plain := func(p func(testing.TB) pair) func(testing.TB) (pair, pair) {
		return func(t testing.TB) (pair, pair) { return p(t), p(t) }
	}
	secure := func(p func(testing.TB) pair, client, server uint16) func(testing.TB) (pair, pair) {
		return func(t testing.TB) (pair, pair) {
			c, s := p(t), p(t)
			if client != 0 {
				c = overTLS(t, c, client, true)
			}
			if server != 0 {
				s = overTLS(t, s, server, false)
			}
			return c, s
		}
	}
	const v12, v13 = tls.VersionTLS12, tls.VersionTLS13
	return []transport{
		{"tcp", plain(tcpPair)},
		{"unix", plain(unixPair)},
		{"pipe", plain(pipePair)},
		{"tcp-pipe", func(t testing.TB) (pair, pair) { return tcpPair(t), pipePair(t) }},
		{"tls13", secure(tcpPair, v13, v13)},
		{"tls12", secure(tcpPair, v12, v12)},
		{"tls13-tls12", secure(tcpPair, v13, v12)},
		{"tls-plain", secure(tcpPair, v13, 0)},
		{"plain-tls", secure(tcpPair, 0, v13)},
		{"tls-over-pipe", secure(pipePair, v13, v13)},
		{"tls-over-unix", secure(unixPair, v13, v13)},
	}
}

// outcome is what a relay that runs beside the test has returned.
type outcome struct {
	Traffic
	err error
}

// wait gets the outcome of a relay, and fails the test if there is none in time.
func wait(t testing.TB, done <-chan outcome) outcome {
	t.Helper()
	select {
	case o := <-done:
		return o
	case <-time.After(20 * time.Second):
		require.FailNow(t, "the relay does not return")
		return outcome{}
	}
}
