package sniff_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"strings"

	"github.com/proxyglass/proxyglass/sniff"
)

// A parser needs nothing but its io.Reader. This one counts the lines that a
// client sends; what they are, the server gets all the same.
func ExampleRelay() {
	client, clientSide := net.Pipe()
	serverSide, server := net.Pipe()
	go func() {
		io.WriteString(client, "one\ntwo\nthree\n")
		client.Close()
	}()
	go func() {
		io.Copy(io.Discard, server)
		server.Close()
	}()

	lines := 0
	count := func(r io.Reader) error {
		s := bufio.NewScanner(r)
		for s.Scan() {
			lines++
		}
		return s.Err()
	}
	traffic, err := sniff.Relay(context.Background(), clientSide, serverSide, count, nil)
	fmt.Println(lines, "lines,", traffic.Up.Bytes, "bytes", err)
	// Output: 3 lines, 14 bytes <nil>
}

// A listener on which clients speak what they like. The verdict is on the
// connection, and its first bytes are still to be read.
func ExampleSniffer() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	defer l.Close()
	go func() {
		for _, first := range []string{"GET / HTTP/1.1\r\n", "SSH-2.0-example\r\n"} {
			c, err := net.Dial("tcp", l.Addr().String())
			if err != nil {
				log.Fatal(err)
			}
			io.WriteString(c, first)
			c.Close()
		}
	}()

	var s sniff.Sniffer
	for range 2 {
		accepted, err := l.Accept()
		if err != nil {
			log.Fatal(err)
		}
		c, err := s.Sniff(context.Background(), accepted) // waits for the client: one goroutine for each in earnest
		if err != nil {
			log.Fatal(err)
		}
		line, err := bufio.NewReader(c).ReadString('\n')
		fmt.Println(c.Protocol(), strings.TrimSpace(line), err)
		c.Close()
	}
	// Output:
	// http GET / HTTP/1.1 <nil>
	// ssh SSH-2.0-example <nil>
}
