// Package sniff tells what is being spoken on a connection without altering a byte of it. This forwards connections and
// prints the server names that TLS clients ask for:
//
//	package main
//
//	import (
//		"context"
//		"errors"
//		"io"
//		"log"
//		"net"
//
//		"github.com/proxyglass/proxyglass/sniff"
//	)
//
//	func main() {
//		listener, err := net.Listen("tcp", "127.0.0.1:8443")
//		if err != nil {
//			log.Fatal(err)
//		}
//		for {
//			client, err := listener.Accept()
//			if err != nil {
//				log.Fatal(err)
//			}
//			go forward(client)
//		}
//	}
//
//	func forward(client net.Conn) {
//		defer client.Close()
//		server, err := net.Dial("tcp", "example.com:443")
//		if err != nil {
//			log.Print(err)
//			return
//		}
//		defer server.Close()
//		traffic, err := sniff.Relay(context.Background(), client, server, printName, nil)
//		log.Printf("%d bytes up, %d down, %v", traffic.Up.Bytes, traffic.Down.Bytes, err)
//	}
//
//	func printName(r io.Reader) error {
//		for {
//			head, err := r.(*sniff.Reader).More(sniff.MaxHelloStream)
//			if err != nil {
//				return err
//			}
//			hello, err := sniff.ParseClientHello(head)
//			if errors.Is(err, sniff.ErrIncomplete) {
//				continue
//			}
//			if err == nil {
//				log.Print(hello.ServerName)
//			}
//			return err
//		}
//	}
//
// # Hold, parse, release
//
// [Relay] moves the bytes of a connection, with a [Parser] looking on in each direction. What a parser has read
// is held; it goes to the other side when the parser asks for more, or returns. So
//
//   - the bytes that arrive are the bytes that were sent;
//   - whatever a peer answers to some bytes, the parser of those bytes has already seen them;
//   - no parser waits for the other direction, so looking cannot stall a connection;
//   - a parser that fails, gives up or panics costs what it would have told, never the traffic: the rest is copied
//     without it, by the kernel where both ends are TCP.
//
// A parser that has found a boundary may end the relay there with [Stop], and its caller starts the next layer on the
// same connections.
//
// # Detection
//
// A [Detector] recognises one protocol by the first bytes of one side, and answers [No], [More] or [Yes]; No and Yes are final.
// [Detect] asks several: [Detectors] are for what clients say first, [BannerDetectors] for servers that greet. A
// [Sniffer] waits for a client's first bytes and returns a [Conn] that has the verdict and all the bytes;
// it suits a front-end whose client always speaks first. Where either side may, detect inside Relay.
//
// # Codecs
//
// [ParseClientHello] and [ParseServerHello] read the two sides' first TLS messages, with [ClientHello.JA3] and
// [ClientHello.JA4]. [ParseHTTP1Request] and [ParseHTTP1Response] read the heads of HTTP/1 messages, and [HTTP1Chunks] follows
// a chunked body. A codec is a pure function of bytes: no goroutine, no policy. It answers values that say what was sent, oddities
// included, or an error; it never panics, and what it allocates is bounded by what it was given.
//
// # What it does not do
//
//   - It does not open TLS: package mitm does.
//   - It makes no records: package proxy does, of what the codecs return. It keeps no bytes but those it holds.
//   - It does not reassemble packets. It is given streams.
//   - It does not guess by port, by length or by statistics. A server that greets with "220 ready" may speak SMTP or FTP, and
//     is [Unknown].
//   - It does not recognise the SSL 2.0 hello, or ServerHellos of drafts of TLS 1.3 before the 22nd.
package sniff
