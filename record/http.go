package record

import (
	"net/http"
	"net/textproto"
)

// HTTP is the section of an HTTP exchange (RFC 9110). On the record of a
// WebSocket frame it is the summary of the handshake, and Request and Response
// are nil.
type HTTP struct {
	Host       string // "host": the request's Host or :authority, as sent
	Method     string // "method": as sent
	Proto      string // "proto": "HTTP/1.0", "HTTP/1.1", "HTTP/2.0"
	Scheme     string // "scheme": "https" when the TLS was opened, "http" for an absolute-form target, else empty
	URI        string // "uri": the request target as the client sent it
	Cached     bool   // "cached": answered from a cache of ours
	StatusCode int    // "statusCode": of the final answer; 0 when there was none

	Request  *Message // "request": nil when not captured, and the key is absent
	Response *Message // "response": nil when not captured or never seen, and the key is absent
}

// Message is one direction of an HTTP exchange.
type Message struct {
	ContentLength int64  // "contentLength": bytes of body seen on the wire, without the chunked framing
	Header        Header // "header": without Host and pseudo-headers; an empty object when nil
	Body          []byte // "body": the body as on the wire (content codings kept), base64; null when nil, which is: not captured or empty
	Trailer       Header // "trailer": the trailer section; the key is absent when empty
	Truncated     bool   // "truncated": Body holds only the start of the body; the key is absent when false
}

// Field is one header or trailer field line (RFC 9110 section 5).
type Field struct {
	Name  string // in the case as sent
	Value string // without the surrounding white space
}

// Header is a header or trailer section: its field lines in the order sent.
//
// In JSON it is an object from net/http's canonical names to the list of values,
// names in the order of their first appearance. Field lines of one name keep
// their order; how lines of different names were interleaved, and the case as
// sent, are lost there. The zero value is an empty section.
type Header []Field

// Get returns the value of the first field called name, whatever its case, or
// the empty string.
func (h Header) Get(name string) string {
	for i := range h {
		if equalFold(h[i].Name, name) {
			return h[i].Value
		}
	}
	return ""
}

// Values returns the values of all fields called name, whatever its case, in
// the order sent; nil when there are none.
func (h Header) Values(name string) []string {
	var values []string
	for i := range h {
		if equalFold(h[i].Name, name) {
			values = append(values, h[i].Value)
		}
	}
	return values
}

// Map returns the section as net/http has it: canonical names (a name that is no
// RFC 9110 token stays as it is) to values in order. The map is the caller's.
func (h Header) Map() http.Header {
	m := make(http.Header, len(h))
	for _, f := range h {
		name := textproto.CanonicalMIMEHeaderKey(f.Name)
		m[name] = append(m[name], f.Value)
	}
	return m
}
