package mitm_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log"
	"net"
	"os"
	"path/filepath"

	"github.com/proxyglass/proxyglass/mitm"
)

func ExampleOpenCA() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)

	made, err := mitm.OpenCA(filepath.Join(dir, "ca"))
	if err != nil {
		log.Fatal(err)
	}
	opened, err := mitm.OpenCA(filepath.Join(dir, "ca"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(made.Fingerprint() == opened.Fingerprint())
	// Output: true
}

func ExampleLoadCA() {
	_, err := mitm.LoadCA("no-such-ca.crt", "no-such-ca.key")
	fmt.Println(errors.Is(err, os.ErrNotExist))
	// Output: true
}

// A TLS server that is whoever its clients look for.
func ExampleCertIssuer_GetCertificate() {
	ca, err := mitm.NewCA(mitm.CAConfig{})
	if err != nil {
		log.Fatal(err)
	}
	issuer := &mitm.CertIssuer{CA: ca}

	client, server := net.Pipe()
	go tls.Server(server, &tls.Config{GetCertificate: issuer.GetCertificate}).Handshake()
	conn := tls.Client(client, &tls.Config{ServerName: "www.example.com", RootCAs: pool(ca.Certificate)})
	if err := conn.Handshake(); err != nil {
		log.Fatal(err)
	}
	fmt.Println(conn.ConnectionState().PeerCertificates[0].DNSNames)
	// Output: [www.example.com]
}

// What to do with each outcome.
func ExampleTerminator_Terminate() {
	ca, err := mitm.NewCA(mitm.CAConfig{})
	if err != nil {
		log.Fatal(err)
	}
	t := &mitm.Terminator{Issuer: &mitm.CertIssuer{CA: ca}}

	// An origin that speaks something else, and a client that trusts the CA.
	server, origin := net.Pipe()
	go origin.Read(make([]byte, 4096))
	go origin.Write([]byte("220 mail.example.com ESMTP\r\n"))
	ours, theirs := net.Pipe()
	client := tls.Client(theirs, &tls.Config{ServerName: "www.example.com", RootCAs: pool(ca.Certificate)})
	go client.Handshake()

	opened, err := t.Terminate(context.Background(), ours, server, "www.example.com")
	var failed *mitm.HandshakeError
	switch {
	case err == nil:
		fmt.Println("opened", opened.ServerState.NegotiatedProtocol)
	case errors.As(err, &failed) && failed.Side == mitm.SideServer:
		// The client waits on opened.Client: tell it.
		fmt.Println(err)
	default:
		fmt.Println("closed:", err)
	}
	// Output: mitm: TLS handshake with the origin www.example.com: what came is not TLS
}
