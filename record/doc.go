// Package record is what was seen of the traffic, as data: the [Record], the
// [Recorder] that takes it, and the sinks.
//
//	package main
//
//	import (
//		"context"
//		"log"
//		"os"
//		"time"
//
//		"github.com/proxyglass/proxyglass/record"
//	)
//
//	func main() {
//		ctx := context.Background()
//		queue := &record.Async{Next: record.NewWriter(os.Stdout)}
//		err := queue.Record(ctx, &record.Record{
//			Service: "demo", Network: "tcp", Host: "www.example.com:80", Time: time.Now(),
//			HTTP: &record.HTTP{Method: "GET", URI: "/", StatusCode: 200},
//		})
//		if err != nil {
//			log.Print(err) // dropped, and counted in queue.Stats()
//		}
//		if err := queue.Close(ctx); err != nil { // waits until all is written
//			log.Fatal(err)
//		}
//	}
//
// # The parts
//
// [Writer] and [File] write JSON lines, [Post] sends each record to an HTTP
// server. [Multi], [Filter] and [Func] combine them. [Async] puts a bounded queue
// before any of them, so that a sink which is slow, hangs or fails costs records,
// never traffic; it counts every record that it could not deliver. [Read] reads
// JSON lines back. Package recordtest has a collecting recorder for tests and a
// check for recorders of one's own.
//
// # The JSON
//
// Records have the keys and the meanings of GOST's recorder objects
// (https://gost.run/en/concepts/recorder/), so that what reads those reads ours.
// Always present are service, network, remote, local, client, src, dst, host,
// clientIP, inputBytes, outputBytes, sid, duration and time; the others when set.
// Within a section all keys of GOST are present, but for request and response of
// http, which a WebSocket frame's record leaves out. What we do differently, on
// purpose:
//
//	key                     GOST                            here
//	host                    without the port dialled,       with the port dialled
//	                        or with the default one
//	clientIP                often empty                     the client's IP address
//	client, src, dst        missing in older versions       always present
//	http.cached             missing in older versions       always present
//	http.scheme             empty on opened HTTP/1          "https" there
//	http, websocket         no http on frames in newer      the summary (without request and
//	                        versions                        response) on every frame
//	inputBytes, outputBytes add up over a connection; 0 on  of this exchange, on HTTP/2 the frames of
//	                        HTTP/2                          the stream; a frame: head and payload
//	frame: time, duration   the frame's end, and the wait   its first byte, and from that to its last
//	                        for it included
//	body                    cut without notice              "truncated": true beside it
//	err                     missing when an answer breaks   set
//	                        off
//	tls.serverHello         the one sent to the client, or  the origin's, which cipherSuite, version
//	                        empty                           and proto describe too
//	tls (not opened)        no record in newer versions     a record, with the CONNECT as its http
//	failed origin handshake no record                       a record with err
//	HTTP/2 streams          cannot be told apart            seq
//	header, bad bytes       replaced without notice         U+FFFD, and "bad-utf8" in anomalies
//	HTML in strings         <, > and & escaped              as it is; control characters escaped,
//	                                                        U+007F to U+009F, U+2028, U+2029 too
//	header, order of names  sorted                          as first seen
//
// And these are added, under keys of their own, all absent when not set:
//
//	seq                     number of the record in its session, from 1
//	timings                 when things happened, in ns from time
//	anomalies               what was odd on the wire
//	http...truncated        the body was cut at the cap
//	http...trailer          the trailer section
//	websocket.truncated     the payload was cut at the cap
//	tls.ja3, tls.ja4        fingerprints of the ClientHello
//	tls.intercepted         the TLS was opened by us
//	tls.notOpened           why it was not, where TLS is opened at all
//
// # What this package does not do
//
// It does not look at traffic and does not decide what is recorded; that is
// package proxy's. It does not retry, spool to disk, or speak to databases. It
// does not remove secrets from what it is given: a sink holds whatever was in the
// traffic. It does not decode bodies.
package record
