// Package proxyglass is the tour of a library that shows what passes through a
// proxy. There is no code in it.
//
// A program that moves other people's bytes (a forward proxy, a port forward, a
// gateway, a test rig) imports the packages below to see what those bytes say:
// which protocol, which request and answer, which WebSocket frames, which TLS
// handshake; and, for the hosts that it may open, what is inside the TLS. What is
// seen comes out as records.
//
// # Looking never alters a byte
//
// Traffic is forwarded as it came, in the chunks it came in, and parsers look on.
// They are never a part of the way: a parser that fails, gives up or panics costs
// what it would have told, not the traffic. So header order and case, trailers,
// interim answers, server-sent events and odd messages all arrive as they were
// sent. The one thing that is rewritten is the head of a request that is sent to
// us as to a forward proxy (absolute-form), as RFC 9112 section 3.2.2 demands.
//
// # The map
//
//   - [github.com/proxyglass/proxyglass/sniff] tells what is being spoken: detectors,
//     the relay that lets parsers look on, and codecs that are functions of bytes.
//   - [github.com/proxyglass/proxyglass/bypass] tells which targets to leave alone:
//     rules about names, addresses and ports, and lists that are reloaded.
//   - [github.com/proxyglass/proxyglass/mitm] is the server that the client wanted: an
//     authority, certificates for each name, and the two TLS handshakes.
//   - [github.com/proxyglass/proxyglass/record] is what was seen, as data: the record,
//     its JSON, the queue and the sinks. Its subpackage recordtest helps to test
//     with them.
//   - [github.com/proxyglass/proxyglass/proxy] puts the pieces together: the pipeline,
//     a handler for each protocol, front-ends and a server.
//
// The first four know nothing of each other, nor of proxy: each is of use on its
// own, and brings along only what it needs.
//
// # Where to begin
//
// To have a proxy that records, see [github.com/proxyglass/proxyglass/proxy] and the
// program in examples/hello. To look at connections of one's own, give them to
// Pipeline.Serve. To only know what a connection speaks, use a sniff.Sniffer. To put
// records elsewhere, write a record.Recorder: it has one method.
//
// # The contracts
//
// They hold in all packages, and have tests.
//
//   - Verbatim: whatever a parser does, the bytes that go out are those that came
//     in; an end of stream, a reset and a TLS stream cut short are passed on as such.
//   - Causal: when a peer answers to some bytes, the parser of those bytes has seen
//     them. No parser waits for the other direction, so looking stalls nothing.
//   - A recorder that is slow, hangs, fails or panics changes nothing on the wire.
//     What cannot be kept is dropped and counted; what is cut is flagged.
//   - What a peer can make us hold in memory is bounded.
//   - A detector's final verdict does not change when more bytes come.
//   - Whether a target may be opened is answered by no when it cannot be told.
//
// # The style
//
// Configuration is a struct whose zero value is of use; the comment of each field
// ends with what zero means. Fields are not changed once the value is in use, which
// may then be in any number of goroutines. An interface has one method. A context
// comes first and is not kept. Errors to compare with start with the package's name.
// A Logger that is nil is quiet. There is no mutable state at package level.
//
// # What this module does not do
//
// It is not a proxy product: it has no configuration file, no access rules beyond
// Basic authentication, no caching, and no view of records. It speaks HTTP/1 and
// WebSocket; HTTP/2 and other protocols pass by, at best recognised. It does not hide from the
// client that TLS was opened.
package proxyglass
