// Package mitm opens TLS connections: to the client it is the server that the
// client wanted to speak to, to that server it is the client, and what the two
// say to each other can be read in between. Clients must trust the authority
// that signs the certificates they are shown.
//
//	package main
//
//	import (
//		"context"
//		"fmt"
//		"io"
//		"log"
//		"net"
//
//		"github.com/proxyglass/proxyglass/mitm"
//	)
//
//	// A port that opens the TLS of whoever connects and passes it on.
//	func main() {
//		ca, err := mitm.OpenCA("ca") // made the first time
//		if err != nil {
//			log.Fatal(err)
//		}
//		fmt.Println("trust ca/ca.crt,", ca.Fingerprint())
//		t := &mitm.Terminator{Issuer: &mitm.CertIssuer{CA: ca}}
//		l, err := net.Listen("tcp", "127.0.0.1:8443")
//		if err != nil {
//			log.Fatal(err)
//		}
//		for {
//			client, err := l.Accept()
//			if err != nil {
//				log.Fatal(err)
//			}
//			go open(t, client)
//		}
//	}
//
//	func open(t *mitm.Terminator, client net.Conn) {
//		defer client.Close()
//		server, err := net.Dial("tcp", "example.com:443")
//		if err != nil {
//			log.Print(err)
//			return
//		}
//		defer server.Close()
//		opened, err := t.Terminate(context.Background(), client, server, "example.com")
//		if err != nil {
//			log.Print(err) // one plain line that names the side and the reason
//			return
//		}
//		go io.Copy(opened.Server, opened.Client)
//		io.Copy(opened.Client, opened.Server)
//	}
//
// # The parts
//
// A [CA] signs. [OpenCA] makes one in a directory, the first time, and opens it
// from then on; [LoadCA] reads one that another program has made; [NewCA] makes
// one in memory.
//
// A [CertIssuer] gives each name its certificate, signed when it is first
// asked for and kept.
//
// A [Terminator] does the two handshakes: the origin's first, with the server
// name and the protocols (ALPN, RFC 7301) that the client has sent, and then the
// client's, with the protocol that the origin has chosen. The origin's
// certificate is verified, as the client can no longer do that itself. A
// [HandshakeError] names the side that failed; when it is the origin's, the
// client can still be told.
//
// # What a client and an origin see
//
// The client sees a certificate of the CA for the name it has asked for, and
// the protocol of the origin's choice. The versions and cipher suites of the
// two connections are agreed on separately; those of deprecated versions (TLS
// 1.0 and 1.1, RFC 8996) are spoken with clients that know no other, and with
// origins only if Terminator.Upstream says so. The origin sees the ClientHello
// of crypto/tls, with the client's server name and its protocols in their order,
// unless Terminator.Handshake sends another.
//
// # What this package does not do
//
// It does not decide what may be opened, and it does not read what it has
// opened: give it connections whose client is about to send a ClientHello. HTTP/2
// is not spoken yet: h2 is struck from what clients offer ([Openable]). Client
// certificates cannot be passed on, as their keys are the clients'; the ones in
// Terminator.Upstream are used. Whether a certificate was revoked is not
// asked. Leaves have ECDSA keys only, which clients of the last years all take;
// one that knows RSA alone should be left alone. Clients that pin certificates
// refuse to be opened, and are right.
package mitm
