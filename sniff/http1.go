package sniff

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
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

	Host    string // the first Host field's value
	Upgrade string // the first Upgrade field's value

	Length  int64 // the Content-Length field's value; -1: there is none
	Coded   bool  // there is a Transfer-Encoding
	Chunked bool  // and its last coding is chunked

	NumFields int            // how many Fields yields
	Anomalies HTTP1Anomalies // what a strict parser would have refused

	fields string
}

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
	line, rest := cutLine(head, &h.Anomalies)
	var ok bool
	if h.Method, line, ok = strings.Cut(line, " "); !ok || h.Method == "" {
		return h, fmt.Errorf("%w: request line", ErrHTTP1)
	}
	i := strings.LastIndexByte(line, ' ')
	if i <= 0 || !isHTTP1Version(line[i+1:]) {
		return h, fmt.Errorf("%w: request line", ErrHTTP1)
	}
	h.Target, h.Proto = line[:i], line[i+1:]
	if strings.ContainsAny(h.Target, " \t") {
		h.Anomalies |= SpaceInTarget
	}
	return h, h.scanFields(rest)
}

// ParseHTTP1Response is ParseHTTP1Request for a response head.
func ParseHTTP1Response(head string) (h HTTP1Head, err error) {
	line, rest := cutLine(head, &h.Anomalies)
	var status string
	h.Proto, line, _ = strings.Cut(line, " ")
	status, h.Reason, _ = strings.Cut(line, " ")
	if !isHTTP1Version(h.Proto) || len(status) != 3 {
		return h, fmt.Errorf("%w: status line", ErrHTTP1)
	}
	for _, c := range []byte(status) {
		if c < '0' || c > '9' {
			return h, fmt.Errorf("%w: status code", ErrHTTP1)
		}
		h.Status = 10*h.Status + int(c-'0')
	}
	return h, h.scanFields(rest)
}

func isHTTP1Version(s string) bool {
	return len(s) == 8 && s[:7] == "HTTP/1." && s[7] >= '0' && s[7] <= '9'
}

// Fields yields the field lines in order: the name as sent, the value without
// the white space around it, and unfolded (RFC 9112 section 5.2).
func (h *HTTP1Head) Fields() iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		var a HTTP1Anomalies
		for rest := h.fields; ; {
			var line string
			line, rest = cutLine(rest, &a)
			if line == "" {
				return
			}
			name, value, ok := cutField(line, &a)
			for isFolded(rest) {
				line, rest = cutLine(rest, &a)
				value = strings.TrimRight(value, " \t") + " " + trim(line)
			}
			if ok && !yield(name, value) {
				return
			}
		}
	}
}

// scanFields goes over the field lines once and notes what matters.
func (h *HTTP1Head) scanFields(s string) error {
	h.fields, h.Length = s, -1
	for {
		line, rest := cutLine(s, &h.Anomalies)
		if line == "" {
			break
		}
		s = rest
		if line[0] == ' ' || line[0] == '\t' {
			// Before the first field there is nothing to fold: 2.2 has us skip it.
			if h.Anomalies |= ObsFold; h.NumFields == 0 {
				h.fields = s
			}
			continue
		}
		name, value, ok := cutField(line, &h.Anomalies)
		if !ok {
			continue
		}
		h.NumFields++
		if err := h.note(name, value); err != nil {
			return err
		}
	}
	if h.Coded && h.Length >= 0 {
		h.Anomalies |= LengthAndCoding
	}
	return nil
}

// note looks at the fields that say something about the message's own form.
func (h *HTTP1Head) note(name, value string) error {
	switch len(name) {
	case 4:
		if h.Host == "" && strings.EqualFold(name, "Host") {
			h.Host = value
		}
	case 7:
		if h.Upgrade == "" && strings.EqualFold(name, "Upgrade") {
			h.Upgrade = value
		}
	case 14:
		if strings.EqualFold(name, "Content-Length") {
			return h.noteLength(value)
		}
	case 17:
		if strings.EqualFold(name, "Transfer-Encoding") {
			last := trim(value[strings.LastIndexByte(value, ',')+1:])
			h.Coded, h.Chunked = true, strings.EqualFold(last, "chunked")
		}
	}
	return nil
}

// noteLength takes a Content-Length, which RFC 9112 section 6.3 lets be a list
// of one value repeated.
func (h *HTTP1Head) noteLength(list string) error {
	for more := true; more; {
		var value string
		value, list, more = strings.Cut(list, ",")
		n, ok := parseLength(trim(value))
		switch {
		case !ok:
			return fmt.Errorf("%w: Content-Length %.40q", ErrHTTP1, value)
		case h.Length >= 0 && h.Length != n:
			return fmt.Errorf("%w: Content-Length is %d and %d", ErrHTTP1, h.Length, n)
		case h.Length >= 0:
			h.Anomalies |= RepeatedLength
		}
		h.Length = n
	}
	return nil
}

func parseLength(s string) (n int64, ok bool) {
	if s == "" || len(s) > 18 {
		return 0, false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		n = 10*n + int64(s[i]-'0')
	}
	return n, true
}

// cutLine returns s up to its first line end, and what is behind that.
func cutLine(s string, a *HTTP1Anomalies) (line, rest string) {
	i := strings.IndexByte(s, '\n')
	switch {
	case i < 0:
		return s, ""
	case i > 0 && s[i-1] == '\r':
		return s[:i-1], s[i+1:]
	}
	*a |= BareLF
	return s[:i], s[i+1:]
}

func cutField(line string, a *HTTP1Anomalies) (name, value string, ok bool) {
	name, value, ok = strings.Cut(line, ":")
	if !ok || name == "" {
		*a |= NoColon
		return "", "", false
	}
	if c := name[len(name)-1]; c == ' ' || c == '\t' {
		*a |= SpaceBeforeColon
		name = strings.TrimRight(name, " \t")
	}
	return name, trim(value), name != ""
}

func isFolded(rest string) bool { return rest != "" && (rest[0] == ' ' || rest[0] == '\t') }

// trim takes off optional white space (RFC 9110 section 5.6.3).
func trim(s string) string {
	for len(s) > 0 && (s[0] == ' ' || s[0] == '\t') {
		s = s[1:]
	}
	for len(s) > 0 && (s[len(s)-1] == ' ' || s[len(s)-1] == '\t' || s[len(s)-1] == '\r') {
		s = s[:len(s)-1]
	}
	return s
}

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

// ResponseFraming returns how the body of a response with head h ends, which
// depends on the method it answers. After a 101, or a 2xx to CONNECT, the
// connection speaks something else, which is no body.
func (h *HTTP1Head) ResponseFraming(method string) HTTP1Framing {
	switch {
	case h.Status < 200 || h.Status == 204 || h.Status == 304 || method == "HEAD",
		h.Status < 300 && method == "CONNECT":
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

// Lines yields the field lines as they are, their line ends included, up to
// the empty line that ends the head; a folded value's further lines come as
// lines of their own.
func (h *HTTP1Head) Lines() iter.Seq[string] {
	return func(yield func(string) bool) {
		for rest := h.fields; rest != "" && rest[0] != '\n' && !strings.HasPrefix(rest, "\r\n"); {
			i := strings.IndexByte(rest, '\n') + 1
			if i == 0 {
				i = len(rest)
			}
			if !yield(rest[:i]) {
				return
			}
			rest = rest[i:]
		}
	}
}
