package record

import "time"

// Record is what was seen of one exchange: an HTTP request and its answer, a
// WebSocket frame, a TLS connection that was not opened, a DNS question, or a
// connection of which nothing more is known.
//
// A Record that was handed to a [Recorder] is immutable, and so is everything it
// points to: sections may be shared between records (the TLS section of a
// connection is built once). The comment of each field names its JSON key; the
// keys and their meanings are those of GOST's recorder objects, the package
// comment lists what differs. The zero value is a valid, empty record.
type Record struct {
	Service  string // "service": name of the service that moved the traffic
	Network  string // "network": "tcp" or "udp"
	Remote   string // "remote": address of the peer that connected to us
	Local    string // "local": address it connected to
	Client   string // "client": address of the client, the same as Remote unless a front-end was told better
	Src      string // "src": our address on the connection to the origin; empty when there was none
	Dst      string // "dst": the origin's address on that connection; empty when there was none
	Host     string // "host": the target asked for, with its port
	Proto    string // "proto": what was recognised first, such as "http", "tls", "dns"; the key is absent when empty
	ClientIP string // "clientIP": the client's IP address without a port
	ClientID string // "clientID": name of the authenticated client; the key is absent when empty

	Labels map[string]string // "labels": whatever the embedding program adds, its keys in UTF-8; the key is absent when empty

	HTTP      *HTTP      // "http": nil when there was no HTTP
	WebSocket *WebSocket // "websocket": nil unless the record is about a frame
	TLS       *TLS       // "tls": nil when there was no TLS
	DNS       *DNS       // "dns": nil when there was no DNS

	Route string // "route": the hops, then the address dialled; the key is absent when empty
	Err   string // "err": why the exchange failed; the key is absent when empty

	InputBytes  int64 // "inputBytes": bytes from the client
	OutputBytes int64 // "outputBytes": bytes to the client

	SID      string        // "sid": id of the session (the client's connection)
	Duration time.Duration // "duration": from Time to the end, in nanoseconds
	Time     time.Time     // "time": the start, RFC 3339 with nanoseconds; outside the years 0 to 9999 the zero time is written

	Seq       uint64   // "seq": number of the record in its session, from 1; the key is absent when 0
	Timings   *Timings // "timings": nil when not measured
	Anomalies []string // "anomalies": what was odd on the wire, as short kebab-case words such as "obs-fold"; the key is absent when empty
}

// DNS is the section of a DNS question and its answer (RFC 1035).
type DNS struct {
	ID       int    // "id": the message's id
	Name     string // "name": the name asked for, with its final dot
	Class    string // "class": such as "IN"
	Type     string // "type": such as "AAAA"
	Question string // "question": the query as text
	Answer   string // "answer": the answer as text; empty when there was none
	Cached   bool   // "cached": answered from a cache of ours
}

// Timings says when things happened, as distances from [Record.Time]. In JSON
// they are integer nanoseconds. Zero means unknown or not applicable, and its
// key is absent. A value is negative for what happened before Time: on a
// connection that is kept alive the dial and the handshakes precede every
// exchange but the first.
type Timings struct {
	Dial              time.Duration // "dial": the connection to the origin stood
	ServerHandshake   time.Duration // "serverHandshake": the TLS handshake with the origin was complete
	ClientHandshake   time.Duration // "clientHandshake": the TLS handshake with the client was complete
	RequestFirstByte  time.Duration // "requestFirstByte": the first byte of the request came
	RequestEnd        time.Duration // "requestEnd": the last byte of the request came
	ResponseFirstByte time.Duration // "responseFirstByte": the first byte of the answer came
	ResponseEnd       time.Duration // "responseEnd": the last byte of the answer came
}
