package proxy

import (
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/proxyglass/proxyglass/record"
	"github.com/proxyglass/proxyglass/sniff"
)

// forward turns the requests that a client sends to a forward proxy into those
// that the origin understands (RFC 9112 section 3.2.2). It belongs to one
// origin: a request for another one, or one that is not to be forwarded, makes
// the relay stop, and the front-end look at it again.
type forward struct {
	front    *HTTP         // knows whether the client may (still) use us
	client   string        // who the client has said it is
	host     string        // host:port that the connection goes to
	patience time.Duration // for the rest of a head

	authority string // of the last target that was host
	buf       []byte // of the last rewritten head
}

// rewrite returns the head to send in the place of head, which was n bytes
// long, or false if it is none for this origin.
func (f *forward) rewrite(head *sniff.HTTP1Head, n int) ([]byte, bool) {
	target, ok := splitAbsolute(head.Target)
	if !ok || head.Method == http.MethodConnect || !f.isHost(target.authority) {
		return nil, false
	}
	if id, ok := f.front.admit(head); !ok || id != f.client {
		return nil, false
	}
	b := f.buf[:0]
	b = append(b, head.Method...)
	b = append(b, ' ')
	b = append(b, originForm(head.Method, target.rest)...)
	b = append(b, ' ')
	b = append(b, head.Proto...)
	b = append(b, "\r\n"...)
	b = appendFields(b, head, target.authority)
	if f.buf = b; cap(b) > maxHeadBuffer {
		f.buf = nil
	}
	return b, true
}

// maxHeadBuffer is how large a buffer is kept for the next request's head.
const maxHeadBuffer = 4 << 10

// isHost reports whether authority is what the connection goes to.
func (f *forward) isHost(authority string) bool {
	if authority == f.authority && authority != "" {
		return true
	}
	host, ok := hostPort(authority, "80")
	if !ok || host != f.host {
		return false
	}
	f.authority = strings.Clone(authority)
	return true
}

// originForm is the target without scheme and authority.
func originForm(method, rest string) string {
	switch {
	case rest == "" && method == "OPTIONS":
		return "*"
	case rest == "":
		return "/"
	case rest[0] == '?':
		return "/" + rest
	}
	return rest
}

// appendFields copies the field lines byte for byte but for those that are
// meant for us, and a Host that the target overrules.
func appendFields(b []byte, head *sniff.HTTP1Head, authority string) []byte {
	hosted, skipping := false, true // white space before the first field is dropped: RFC 9112 section 2.2
	for line := range head.Lines() {
		if line[0] == ' ' || line[0] == '\t' { // folded: belongs to the line before
			if !skipping {
				b = appendLine(b, line)
			}
			continue
		}
		sent, _, _ := strings.Cut(line, ":")
		name := strings.TrimRight(sent, " \t")
		skipping = strings.EqualFold(name, "proxy-connection") || strings.EqualFold(name, "proxy-authorization")
		if strings.EqualFold(name, "host") && (hosted || head.Host != authority) {
			skipping = true
			if !hosted {
				b = appendHost(b, authority)
			}
		}
		hosted = hosted || strings.EqualFold(name, "host")
		// Which of the two counts is not for the origin to guess: RFC 9112 section 6.3.
		skipping = skipping || head.Coded && strings.EqualFold(name, "content-length")
		if !skipping {
			if len(sent) < len(line) { // white space before the colon goes: RFC 9112 section 5.1
				b = append(b, name...)
				line = line[len(sent):]
			}
			b = appendLine(b, line)
		}
	}
	if !hosted && head.Proto != "HTTP/1.0" {
		b = appendHost(b, authority)
	}
	return append(b, "\r\n"...)
}

// appendLine copies a line. What others may take for the end of it, or of the
// field, becomes a space: RFC 9110 section 5.5.
func appendLine(b []byte, line string) []byte {
	text := strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
	begin := len(b)
	b = append(b, line...)
	if strings.IndexByte(text, '\r') >= 0 || strings.IndexByte(text, 0) >= 0 {
		for i, c := range b[begin : begin+len(text)] {
			if c == '\r' || c == 0 {
				b[begin+i] = ' '
			}
		}
	}
	return b
}

func appendHost(b []byte, authority string) []byte {
	b = append(b, "Host: "...)
	b = append(b, authority...)
	return append(b, "\r\n"...)
}

// withoutCredentials leaves out what a client says to authenticate with us.
func withoutCredentials(h record.Header) record.Header {
	for i := range h {
		if strings.EqualFold(h[i].Name, "proxy-authorization") {
			kept := append(record.Header(nil), h[:i]...)
			for _, f := range h[i+1:] {
				if !strings.EqualFold(f.Name, "proxy-authorization") {
					kept = append(kept, f)
				}
			}
			return kept
		}
	}
	return h
}

// absolute is a target in absolute-form (RFC 9112 section 3.2.2).
type absolute struct {
	authority string // as sent, without userinfo
	rest      string // path and query as sent
}

// splitAbsolute takes an http target apart without altering its parts.
func splitAbsolute(target string) (absolute, bool) {
	const scheme = "http://"
	if len(target) <= len(scheme) || !strings.EqualFold(target[:len(scheme)], scheme) || strings.ContainsAny(target, "\r\x00") {
		return absolute{}, false
	}
	rest := target[len(scheme):]
	authority := rest
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		authority, rest = rest[:i], rest[i:]
	} else {
		rest = ""
	}
	if i := strings.LastIndexByte(authority, '@'); i >= 0 {
		authority = authority[i+1:] // RFC 9110 section 4.2.4: not to be forwarded
	}
	if i := strings.IndexByte(rest, '#'); i >= 0 {
		rest = rest[:i]
	}
	return absolute{authority: authority, rest: rest}, true
}

// hostPort completes an authority to what can be dialled. Port "" means that
// the authority must name one.
func hostPort(authority, port string) (string, bool) {
	u := url.URL{Host: authority}
	host := u.Hostname()
	if p := u.Port(); p != "" {
		port = p
	}
	if host == "" || port == "" || strings.ContainsAny(host, " \t/\\@?#") {
		return "", false
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return "", false
	}
	return net.JoinHostPort(host, port), true
}
