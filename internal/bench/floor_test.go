//go:build linux

package bench

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"

	"github.com/proxyglass/proxyglass/mitm"
)

// The floors: what a proxy must do that looks at nothing, written as plainly as
// Go allows.

const granted = "HTTP/1.1 200 Connection established\r\n\r\n"

// relayFloor is the floor of tunnels and of forwarding. It connects to what the
// first request names, then io.Copy moves the bytes, which has the kernel do it
// (splice). A request that is no CONNECT goes on as it came.
func relayFloor(string) ([]string, func(command) (answer, error), error) {
	return listen(func(client net.Conn) {
		server, err := dialFor(client)
		if err != nil {
			return
		}
		defer server.Close()
		join(client, server)
	})
}

// dialFor reads a request and connects to its target.
func dialFor(client net.Conn) (server net.Conn, err error) {
	head, rest, err := readHead(client, make([]byte, 4<<10))
	if err != nil {
		return nil, err
	}
	method, target := requestLine(head)
	if method == "CONNECT" {
		if server, err = net.Dial("tcp", target); err != nil {
			return nil, err
		}
		_, err = io.WriteString(client, granted)
		return server, err
	}
	host, _, _ := strings.Cut(strings.TrimPrefix(target, "http://"), "/")
	if server, err = net.Dial("tcp", host); err != nil {
		return nil, err
	}
	_, err = server.Write(append(head, rest...))
	return server, err
}

// join copies both ways until both directions have ended.
func join(client, server net.Conn) {
	one := func(dst, src net.Conn) {
		io.Copy(dst, src)
		dst.(interface{ CloseWrite() error }).CloseWrite()
	}
	var wg sync.WaitGroup
	wg.Go(func() { one(client, server) })
	one(server, client)
	wg.Wait()
}

// tlsFloor is the floor of opened TLS: a handshake with the origin, one with the
// client (the leaf from a cache, the protocol that the origin has chosen), and
// io.Copy between the two.
func tlsFloor(dir string) ([]string, func(command) (answer, error), error) {
	ca, err := mitm.OpenCA(proxyCA(dir))
	if err != nil {
		return nil, nil, err
	}
	roots, err := trust(originCA(dir))
	if err != nil {
		return nil, nil, err
	}
	issuer := &mitm.CertIssuer{CA: ca}
	toClient := map[string]*tls.Config{ // by protocol; made once, as they hold the keys of tickets
		"":         {GetCertificate: issuer.GetCertificate},
		"http/1.1": {GetCertificate: issuer.GetCertificate, NextProtos: []string{"http/1.1"}},
	}
	return listen(func(client net.Conn) {
		server, err := dialFor(client)
		if err != nil {
			return
		}
		defer server.Close()
		up, down, err := openBoth(client, server, roots, toClient)
		if err != nil {
			return
		}
		join(down, up)
	})
}

func openBoth(client, server net.Conn, roots *x509.CertPool, toClient map[string]*tls.Config) (up, down *tls.Conn, err error) {
	down = tls.Server(client, &tls.Config{
		GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			up = tls.Client(server, &tls.Config{
				ServerName: hello.ServerName, NextProtos: hello.SupportedProtos, RootCAs: roots,
			})
			if err := up.HandshakeContext(hello.Context()); err != nil {
				return nil, err
			}
			protocol := up.ConnectionState().NegotiatedProtocol
			cfg, ok := toClient[protocol]
			if !ok {
				return nil, fmt.Errorf("the origin speaks %q", protocol)
			}
			return cfg, nil
		},
	})
	return up, down, down.HandshakeContext(context.Background())
}

// listen serves every client with a function.
func listen(serve func(net.Conn)) ([]string, func(command) (answer, error), error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, err
	}
	go accept(l, serve)
	return []string{l.Addr().String()}, nil, nil
}

// trust is a pool of just the authority in dir.
func trust(dir string) (*x509.CertPool, error) {
	ca, err := mitm.OpenCA(dir)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	pool.AddCert(ca.Certificate)
	return pool, nil
}
