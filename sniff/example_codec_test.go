package sniff_test

import (
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"strings"

	"github.com/proxyglass/proxyglass/sniff"
)

func ExampleDetect() {
	detectors := sniff.Detectors()
	for _, head := range []string{
		"GET /in",
		"GET /index.html HTTP/1.1\r\n",
		"SSH-2.0-OpenSSH_9.7\r\n",
		"USER anonymous\r\n",
	} {
		protocol, verdict := sniff.Detect(detectors, []byte(head))
		fmt.Printf("%v %q\n", verdict, protocol)
	}
	// Output:
	// more ""
	// yes "http"
	// yes "ssh"
	// no ""
}

// gopher detects requests of RFC 1436 that ask for a menu: an empty line.
type gopher struct{}

func (gopher) Protocol() sniff.Protocol { return "gopher" }

// Detect decides after two bytes at the latest.
func (gopher) Detect(head []byte) sniff.Verdict {
	switch {
	case string(head[:min(len(head), 2)]) == "\r\n":
		return sniff.Yes
	case len(head) == 0 || string(head) == "\r":
		return sniff.More
	}
	return sniff.No
}

// A detector of one's own.
func ExampleDetector() {
	fmt.Println(sniff.Detect([]sniff.Detector{gopher{}}, []byte("\r\n")))
	// Output: gopher yes
}

func ExampleParseClientHello() {
	client, server := net.Pipe()
	go tls.Client(client, &tls.Config{ServerName: "www.example.com", NextProtos: []string{"h2", "http/1.1"}}).Handshake()

	var head []byte
	for chunk := make([]byte, 1024); ; {
		n, err := server.Read(chunk)
		if err != nil {
			log.Fatal(err)
		}
		head = append(head, chunk[:n]...)
		hello, err := sniff.ParseClientHello(head)
		if errors.Is(err, sniff.ErrIncomplete) {
			continue
		}
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(hello.ServerName, hello.ALPN, sniff.VersionName(hello.MaxVersion()))
		break
	}
	server.Close()
	// Output: www.example.com [h2 http/1.1] tls1.3
}

func ExampleParseServerHello() {
	hello, err := sniff.ParseServerHello(flight("hello-retry.server"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(sniff.VersionName(hello.Version), sniff.CipherSuiteName(hello.CipherSuite))
	fmt.Println("asks for another ClientHello:", hello.HelloRetryRequest)

	_, err = sniff.ParseServerHello(flight("alert.server"))
	if alert, ok := errors.AsType[*sniff.AlertError](err); ok {
		fmt.Println("refused, alert", alert.Description)
	}
	// Output:
	// tls1.3 TLS_AES_256_GCM_SHA384
	// asks for another ClientHello: true
	// refused, alert 70
}

func ExampleClientHello_JA4() {
	hello, err := sniff.ParseClientHello(flight("chrome-pq-ech.client"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(hello.JA4(sniff.OverTCP))
	// Output: t13d1516h2_8daaf6152771_02713d6af862
}

// flight is what one side of a recorded conversation said first.
func flight(name string) []byte {
	text, err := os.ReadFile("testdata/hello/" + name + ".hex")
	if err != nil {
		log.Fatal(err)
	}
	b, err := io.ReadAll(hex.NewDecoder(strings.NewReader(strings.Join(strings.Fields(string(text)), ""))))
	if err != nil {
		log.Fatal(err)
	}
	return b
}
