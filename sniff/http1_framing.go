package sniff

import "fmt"

// HTTP1Framing says where a message's body ends (RFC 9112 section 6.3).
type HTTP1Framing uint8

const (
	NoBody     HTTP1Framing = iota // there is none
	ByLength                       // after HTTP1Head.Length bytes
	ByChunks                       // after the last chunk and its trailer section
	UntilClose                     // with the connection
)

// RequestFraming returns how the body of a request with head h ends.
func (h *HTTP1Head) RequestFraming() (HTTP1Framing, error) {
	switch {
	case h.Coded && !h.Chunked:
		return NoBody, fmt.Errorf("%w: request with a Transfer-Encoding that is not chunked", ErrHTTP1)
	case h.Chunked:
		return ByChunks, nil
	case h.Length > 0:
		return ByLength, nil
	}
	return NoBody, nil
}

// Interim reports whether h is a 1xx response, before the final one (RFC 9110
// section 15.2).
func (h *HTTP1Head) Interim() bool { return h.Status >= 100 && h.Status < 200 }

// ResponseFraming returns how the body of a response with head h ends, which
// depends on the method it answers. After a 101, or a 2xx to CONNECT, the
// connection speaks something else, which is no body.
func (h *HTTP1Head) ResponseFraming(method string) HTTP1Framing {
	switch {
	case h.Interim() || h.Status == 204 || h.Status == 304 || method == "HEAD",
		h.Status/100 == 2 && method == "CONNECT":
		return NoBody
	case h.Chunked:
		return ByChunks
	case h.Coded:
		return UntilClose
	case h.Length == 0:
		return NoBody
	case h.Length > 0:
		return ByLength
	}
	return UntilClose
}
