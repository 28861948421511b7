// Package proxy assembles the other packages into a line from socket to record: a proxy that records what passes.
//
//	package main
//
//	import (
//		"context"
//		"log"
//		"os"
//		"os/signal"
//
//		"github.com/proxyglass/proxyglass/mitm"
//		"github.com/proxyglass/proxyglass/proxy"
//		"github.com/proxyglass/proxyglass/record"
//	)
//
//	func main() {
//		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
//		defer stop()
//		ca, err := mitm.OpenCA("ca") // made the first time
//		if err != nil {
//			log.Fatal(err)
//		}
//		p := &proxy.Pipeline{
//			Recorder: record.NewWriter(os.Stdout),
//			MITM:     &mitm.Terminator{Issuer: &mitm.CertIssuer{CA: ca}},
//		}
//		log.Fatal(proxy.ListenAndServe(ctx, "127.0.0.1:8080", p))
//	}
//
// # The parts
//
// A [Pipeline] is given two connections, of a client and of the server that it wants, and relays between them while it looks on.
// A program that has such connections already (a SOCKS server, a port forward, a test) needs nothing else: see
// [Pipeline.Serve], with a [Session] that says what is known of the two.
//
// A [Server] makes the two from one: it accepts clients, has a [Front] ask them where they want to go, and dials. [HTTP] is the front
// of an HTTP proxy, [Fixed] that of a port forward. [ListenAndServe] is the short way to the usual case.
//
// A [Protocol] teaches a pipeline what it does not know.
//
// # What passes unaltered
//
// All of it. Bytes go on as they came, in the chunks in which they came, and their ends likewise; parsers look on while they are
// held for a moment. What cannot be parsed passes and is flagged in the record; a parser that panics costs the record; a recorder that
// hangs, fails or panics costs records, which are counted. There are two exceptions. TLS that is opened has the same bytes inside, in
// other TLS records. And a request in absolute-form, which is a request to a proxy, becomes what RFC 9112 section 3.2.2 wants an origin
// to see: the target in origin-form, a Host that agrees with it, without Proxy-Connection and Proxy-Authorization, and nothing else changed.
//
// # What is recorded
//
// One record per exchange of HTTP/1, whatever is around it: TLS that was opened, a CONNECT inside. One for each WebSocket frame, as
// far as [Capture] wishes. One for a connection in which nothing finer was seen: TLS that is not opened, with both hellos; an
// unknown protocol; a CONNECT behind which nothing was said. One for a target that could not be reached or a handshake that failed,
// with the reason in its Err. What a client says to authenticate with the proxy stands in no record, and reaches no origin.
//
// # What is opened
//
// TLS is opened if there is a Terminator and Pipeline.Bypass does not match the target, under any of its names. An error of
// Bypass counts as a match, so that an outage of its source opens nothing. The record of a connection that was left closed says why. When
// the origin's certificate does not verify, or its handshake fails, the client's is completed and each of its requests
// answered by 502 with the reason in a line.
//
// # Memory
//
// A relay borrows a buffer of 32 KiB while data flows. A head of HTTP/1 is followed up to 512 KiB, a ClientHello up to 128 KiB, of bodies and frames what
// Capture says, of requests that wait for their answers 1,024 or 16 MiB to a connection; the records that wait for their recorder
// have the bounds of [record.Async]. Beyond each, bytes pass without being kept.
//
// # What it does not do
//
//   - It does not alter, cache or answer requests, and does not retry them. What the proxy answers itself are its own failures.
//   - It does not look into HTTP/2: a connection that starts with its preface has one record, and TLS is opened for HTTP/1 alone.
//   - It does not look into QUIC, DNS or any datagram.
//   - It does not pool connections to origins: a client's connection has one of its own, and another for each further target.
//   - It does not speak SOCKS, and takes no TLS from clients that want to reach the proxy itself.
//   - It does not decode bodies: content codings are kept as they came.
package proxy
