package sniff

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
	"math"
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
	line, rest := cutLine(head, &h.Anomalies)
	var ok bool
	if h.Method, line, ok = strings.Cut(line, " "); !ok || h.Method == "" {
		return h, fmt.Errorf("%w: request line", ErrHTTP1)
	}
	line = strings.TrimRight(line, " ") // RFC 9112 section 3 lets one be lenient
	i := strings.LastIndexByte(line, ' ')
	if i <= 0 || !isHTTP1Version(line[i+1:]) {
		return h, fmt.Errorf("%w: request line", ErrHTTP1)
	}
	if h.Target, h.Proto = strings.Trim(line[:i], " "), line[i+1:]; h.Target == "" {
		return h, fmt.Errorf("%w: request line", ErrHTTP1)
	}
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
	status, h.Reason, _ = strings.Cut(strings.TrimLeft(line, " "), " ")
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
		if h.NumFields > indexedFields || h.folded {
			h.scanAgain(yield)
			return
		}
		for i := range h.NumFields {
			f := &h.spans[i]
			if !yield(h.fields[f.name:f.nameEnd], h.fields[f.value:f.valueEnd]) {
				return
			}
		}
	}
}

// scanAgain yields fields that are too many for the index, or folded.
func (h *HTTP1Head) scanAgain(yield func(string, string) bool) {
	var a HTTP1Anomalies
	for rest := h.fields; ; {
		var line string
		line, rest = cutLine(rest, &a)
		if line == "" {
			return
		}
		f, ok := cutField(line, &a)
		value := line[f.value:f.valueEnd]
		if isFolded(rest) {
			value, rest = unfold(value, rest, &a)
		}
		if ok && !yield(line[f.name:f.nameEnd], value) {
			return
		}
	}
}

// scanFields goes over the field lines once and notes what matters.
func (h *HTTP1Head) scanFields(s string) error {
	h.fields, h.Length = s, -1
	for at := 0; ; {
		line, rest := cutLine(s[at:], &h.Anomalies)
		if line == "" {
			break
		}
		start := at
		at = len(s) - len(rest)
		if line[0] == ' ' || line[0] == '\t' {
			h.Anomalies |= ObsFold // before the first field: section 2.2 has us skip it
			s, at = rest, 0
			h.fields = s
			continue
		}
		f, ok := cutField(line, &h.Anomalies)
		value := line[f.value:f.valueEnd]
		if isFolded(rest) {
			h.Anomalies |= ObsFold
			h.folded = true
			value, rest = unfold(value, rest, &h.Anomalies)
			at = len(s) - len(rest)
		}
		if !ok {
			continue
		}
		if err := h.note(line[f.name:f.nameEnd], value); err != nil {
			return err
		}
		if i := h.NumFields; i < indexedFields {
			n := uint32(start)
			h.spans[i] = fieldSpan{n + f.name, n + f.nameEnd, n + f.value, n + f.valueEnd}
		}
		h.NumFields++
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
	case 6:
		if strings.EqualFold(name, "Expect") && strings.EqualFold(value, "100-continue") {
			h.Expects100 = true
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
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' || n > math.MaxInt64/10 {
			return 0, false
		}
		if n = 10*n + int64(s[i]-'0'); n < 0 {
			return 0, false
		}
	}
	return n, s != ""
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

// cutField takes a field line apart. The span is relative to line.
func cutField(line string, a *HTTP1Anomalies) (f fieldSpan, ok bool) {
	colon := strings.IndexByte(line, ':')
	if colon <= 0 {
		*a |= NoColon
		return f, false
	}
	end := colon
	for end > 0 && isBlank(line[end-1]) {
		*a |= SpaceBeforeColon
		end--
	}
	v, w := colon+1, len(line)
	for v < w && isBlank(line[v]) {
		v++
	}
	for w > v && (isBlank(line[w-1]) || line[w-1] == '\r') {
		w--
	}
	return fieldSpan{0, uint32(end), uint32(v), uint32(w)}, end > 0
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' }

func isFolded(rest string) bool { return rest != "" && isBlank(rest[0]) }

// unfold adds to value the folded lines that rest begins with (RFC 9112 section
// 5.2), a space in the place of each fold.
func unfold(value, rest string, a *HTTP1Anomalies) (unfolded, behind string) {
	var b strings.Builder
	b.WriteString(value)
	for isFolded(rest) {
		var line string
		line, rest = cutLine(rest, a)
		b.WriteByte(' ')
		b.WriteString(trim(line))
	}
	return trim(b.String()), rest
}

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
