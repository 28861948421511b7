package sniff

import (
	"fmt"
	"iter"
	"math"
	"strings"
)

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

// scanFields goes over the field lines once and, in a head, notes what matters.
func (h *HTTP1Head) scanFields(s string, head bool) error {
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
		if head {
			if err := h.note(line[f.name:f.nameEnd], value); err != nil {
				return err
			}
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
		if !h.hosted && strings.EqualFold(name, "Host") {
			h.Host, h.hosted = value, true
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
