package sniff

import "bytes"

const (
	http1MaxLine   = 8 << 10 // from here on a request line is judged by its beginning
	http1MaxMethod = 32      // registered methods have up to 17 (UPDATEREDIRECTREF)
	http1MaxEmpty  = 16      // bytes of empty lines before the request line
)

// http1Detector recognises an HTTP/1 request line (RFC 9112 section 3): a token
// as the method, registered or not, a request target, and the version HTTP/1.x, in a
// line that ends in CRLF or LF. Up to 16 bytes of empty lines may come before
// (section 2.2). A target that holds spaces, as careless clients send, passes.
//
// The whole line must be there, since only its end tells HTTP/1 from HTTP/0.9, HTTP/2,
// RTSP, SIP and ICAP. A line longer than 8 KiB is judged by its beginning: a
// method in capitals and a target that is a path or an http URI. So 8 KiB after the
// empty lines is where More ends.
type http1Detector struct{}

func (http1Detector) Protocol() Protocol { return HTTP1 }

func (http1Detector) Detect(head []byte) Verdict {
	head, v := skipEmptyLines(head)
	if v != Yes {
		return v
	}
	method := 0
	for method < len(head) && method <= http1MaxMethod && isTokenChar(head[method]) {
		method++
	}
	switch {
	case method == len(head) && method <= http1MaxMethod:
		return More
	case method == 0 || method > http1MaxMethod || head[method] != ' ':
		return No
	}
	rest := head[method+1 : min(len(head), http1MaxLine)]
	end := bytes.IndexByte(rest, '\n')
	if end >= 0 {
		rest = rest[:end]
	}
	rest = trimCR(rest) // the CR of a line that is not whole yet, too: its LF may follow
	switch {
	case hasControl(rest):
		return No
	case end >= 0:
		return yesIf(endsInHTTP1(rest))
	case len(head) >= http1MaxLine:
		return yesIf(isPlainStart(head[:method], rest))
	}
	return More
}

// skipEmptyLines returns what follows the empty lines that head begins with, and Yes
// when something does.
func skipEmptyLines(head []byte) ([]byte, Verdict) {
	for i, c := range head[:min(len(head), http1MaxEmpty+1)] {
		switch {
		case c == '\n' || c == '\r' && (i+1 == len(head) || head[i+1] == '\n'):
		case c == '\r' || i > http1MaxEmpty:
			return nil, No
		default:
			return head[i:], Yes
		}
	}
	return nil, moreIf(len(head) <= http1MaxEmpty)
}

// endsInHTTP1 says whether the part of a request line after its method is a
// target and HTTP/1.x. White space at the end is passed over, as RFC 9112 section 3 allows.
func endsInHTTP1(rest []byte) bool {
	const version = " HTTP/1." // and a digit
	rest = bytes.TrimRight(rest, " ")
	at := len(rest) - len(version) - 1
	return at > 0 && string(rest[at:len(rest)-1]) == version && isDigit(rest[len(rest)-1]) &&
		len(bytes.TrimLeft(rest[:at], " ")) > 0
}

// isPlainStart says whether a request line whose end is out of sight begins as
// those do that have long targets.
func isPlainStart(method, target []byte) bool {
	for _, c := range method {
		if upper(c) != c {
			return false
		}
	}
	return bytes.HasPrefix(target, []byte("/")) || bytes.HasPrefix(target, []byte("http://")) ||
		bytes.HasPrefix(target, []byte("https://"))
}

// http2Detector recognises the client connection preface of RFC 9113 section 3.4, all 24 bytes of it.
type http2Detector struct{}

// http2Preface is what an HTTP/2 client says first.
const http2Preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

func (http2Detector) Protocol() Protocol { return HTTP2 }

func (http2Detector) Detect(head []byte) Verdict { return matchPrefix(head, http2Preface) }
