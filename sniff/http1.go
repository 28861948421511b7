package sniff

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
)

// ErrHTTP1 is wrapped by every error about an HTTP/1 message that cannot be
// delimited or understood.
var ErrHTTP1 = errors.New("sniff: malformed HTTP/1 message")

// HTTP1Head is the head of an HTTP/1 request or response (RFC 9112 section 2):
// its start line, and of its fields those that say where the message ends. All
// strings are parts of the text it was parsed from.
type HTTP1Head struct {
	Method, Target string // of a request
	Status         int    // of a response
	Reason         string // of a response; may be empty
	Proto          string // "HTTP/1.1", "HTTP/1.0"

	Host       string // the first Host field's value
	Upgrade    string // the first Upgrade field's value
	Expects100 bool   // there is an Expect: 100-continue

	Length  int64 // the Content-Length field's value; -1: there is none
	Coded   bool  // there is a Transfer-Encoding
	Chunked bool  // and its last coding is chunked

	NumFields int            // how many Fields yields
	Anomalies HTTP1Anomalies // what a strict parser would have refused

	fields string
	spans  [indexedFields]fieldSpan // of the first NumFields, where all are in it and none is folded
	folded bool
	hosted bool // there is a Host, perhaps an empty one
}

// indexedFields is how many fields are found again without a second scan.
const indexedFields = 24

// fieldSpan says where a field's name and value stand in HTTP1Head.fields.
type fieldSpan struct{ name, nameEnd, value, valueEnd uint32 }

// HTTP1Anomalies is a set of oddities that a lenient parser lives with.
type HTTP1Anomalies uint8

// The oddities, with the sections of RFC 9112 that speak of them.
const (
	ObsFold          HTTP1Anomalies = 1 << iota // a field value folded over lines (5.2)
	BareLF                                      // a line ended by LF alone (2.2)
	SpaceBeforeColon                            // white space between a field's name and its colon (5.1)
	NoColon                                     // a line among the fields without a colon; not among Fields
	LengthAndCoding                             // both Content-Length and Transfer-Encoding: smuggling looks so (6.3)
	RepeatedLength                              // Content-Length given more than once, with the same value (6.3)
	SpaceInTarget                               // white space inside the request target (3.2)
)

var anomalyNames = [...]string{
	"obs-fold", "bare-lf", "space-before-colon", "no-colon", "length-and-coding", "repeated-length", "space-in-target",
}

// Names appends the names of the oddities in a, such as "obs-fold", to to.
func (a HTTP1Anomalies) Names(to []string) []string {
	for i, name := range anomalyNames {
		if a&(1<<i) != 0 {
			to = append(to, name)
		}
	}
	return to
}

// HTTP1HeadEnd returns the length of the head that b begins with, its empty
// line included, or 0 when b does not hold all of it. from is how much of b an
// earlier call has already searched, so that a head that comes in many pieces
// is searched once.
func HTTP1HeadEnd(b []byte, from int) int {
	i := max(0, from-2)
	for {
		j := bytes.IndexByte(b[i:], '\n')
		if j < 0 {
			return 0
		}
		i += j + 1
		switch rest := b[i:]; {
		case len(rest) >= 1 && rest[0] == '\n':
			return i + 1
		case len(rest) >= 2 && rest[0] == '\r' && rest[1] == '\n':
			return i + 2
		}
	}
}

// ParseHTTP1Request parses a whole request head, the empty line included. It
// allocates nothing. An error, which wraps [ErrHTTP1], means that the message
// cannot be understood or its end cannot be known.
func ParseHTTP1Request(head string) (h HTTP1Head, err error) {
	err = h.ParseRequest(head)
	return h, err
}

// ParseHTTP1Response is ParseHTTP1Request for a response head.
func ParseHTTP1Response(head string) (h HTTP1Head, err error) {
	err = h.ParseResponse(head)
	return h, err
}

// ParseRequest is [ParseHTTP1Request] into h, which it overwrites: for those
// who use one HTTP1Head, some 500 bytes, for many heads.
func (h *HTTP1Head) ParseRequest(head string) error {
	*h = HTTP1Head{}
	line, rest := cutLine(head, &h.Anomalies)
	var ok bool
	if h.Method, line, ok = strings.Cut(line, " "); !ok || h.Method == "" {
		return fmt.Errorf("%w: request line", ErrHTTP1)
	}
	line = strings.TrimRight(line, " ") // RFC 9112 section 3 lets one be lenient
	i := strings.LastIndexByte(line, ' ')
	if i <= 0 || !isHTTP1Version(line[i+1:]) {
		return fmt.Errorf("%w: request line", ErrHTTP1)
	}
	if h.Target, h.Proto = strings.Trim(line[:i], " "), line[i+1:]; h.Target == "" {
		return fmt.Errorf("%w: request line", ErrHTTP1)
	}
	if strings.ContainsAny(h.Target, " \t") {
		h.Anomalies |= SpaceInTarget
	}
	return h.scanFields(rest, true)
}

// ParseResponse is [ParseHTTP1Response] into h, which it overwrites.
func (h *HTTP1Head) ParseResponse(head string) error {
	*h = HTTP1Head{}
	line, rest := cutLine(head, &h.Anomalies)
	var status string
	h.Proto, line, _ = strings.Cut(line, " ")
	status, h.Reason, _ = strings.Cut(strings.TrimLeft(line, " "), " ")
	if !isHTTP1Version(h.Proto) || len(status) != 3 {
		return fmt.Errorf("%w: status line", ErrHTTP1)
	}
	for _, c := range []byte(status) {
		if c < '0' || c > '9' {
			return fmt.Errorf("%w: status code", ErrHTTP1)
		}
		h.Status = 10*h.Status + int(c-'0')
	}
	return h.scanFields(rest, true)
}

func isHTTP1Version(s string) bool {
	return len(s) == 8 && s[:7] == "HTTP/1." && s[7] >= '0' && s[7] <= '9'
}
