package mitm

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// The sides of a [HandshakeError].
const (
	SideClient = "client"
	SideServer = "server"
)

// A HandshakeError says whose handshake failed and why.
type HandshakeError struct {
	Side string // [SideClient] or [SideServer], which is the origin's
	Host string // the name that the client wanted
	Err  error  // the reason, as crypto/tls, crypto/x509 or net have it
}

// Error returns one plain line, printable and of bounded length, whatever the
// other side has put into its certificate.
func (e *HandshakeError) Error() string {
	with := "the origin "
	if e.Side == SideClient {
		with = "the client of "
	}
	return "mitm: TLS handshake with " + with + plainLine(e.Host) + ": " + plainLine(reason(e.Err))
}

// Unwrap returns Err.
func (e *HandshakeError) Unwrap() error { return e.Err }

// bothFailed is the client's failure after the origin's.
type bothFailed struct{ client, server error }

func (e *bothFailed) Error() string {
	return reason(e.client) + "; before that, with the origin: " + reason(e.server)
}

func (e *bothFailed) Unwrap() []error { return []error{e.client, e.server} }

// reason puts the usual failures into words that need no knowledge of the
// library that found them.
func reason(err error) string {
	var (
		both      *bothFailed
		invalid   x509.CertificateInvalidError
		hostname  x509.HostnameError
		authority x509.UnknownAuthorityError
		record    tls.RecordHeaderError
		op        *net.OpError
		timeout   net.Error
	)
	switch {
	case errors.As(err, &both):
		return both.Error() // each of the two has its own
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired && invalid.Cert != nil:
		return expired(invalid.Cert)
	case errors.As(err, &hostname) && hostname.Certificate != nil:
		return wrongHost(hostname)
	case errors.As(err, &authority):
		return "the certificate is signed by an unknown authority" + issuerOf(authority.Cert)
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return "timed out"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "the connection was closed before the handshake was complete"
	case errors.As(err, &record):
		return "what came is not TLS"
	case errors.As(err, &op) && op.Op == "remote error":
		return alert(op.Err)
	case errors.As(err, &op):
		return local(op.Err)
	}
	text := strings.TrimPrefix(err.Error(), "mitm: ")
	return strings.TrimPrefix(text, "tls: ")
}

func expired(cert *x509.Certificate) string {
	const layout = time.RFC3339
	if time.Now().Before(cert.NotBefore) {
		return "the certificate is not valid before " + cert.NotBefore.UTC().Format(layout)
	}
	return "the certificate has expired (on " + cert.NotAfter.UTC().Format(layout) + ")"
}

func wrongHost(e x509.HostnameError) string {
	names := append([]string(nil), e.Certificate.DNSNames...)
	for _, ip := range e.Certificate.IPAddresses {
		names = append(names, ip.String())
	}
	if len(names) == 0 {
		return "the certificate is for no host name at all, so not for " + e.Host
	}
	const most = 4
	text := strings.Join(names[:min(most, len(names))], ", ")
	if more := len(names) - most; more > 0 {
		text = fmt.Sprintf("%s and %d more", text, more)
	}
	return "the certificate is for " + text + ", not for " + e.Host
}

func issuerOf(cert *x509.Certificate) string {
	if cert == nil || len(cert.Issuer.ToRDNSequence()) == 0 {
		return ""
	}
	return " (" + cert.Issuer.String() + ")"
}

// alert words what the other side has sent (RFC 8446, section 6.2).
func alert(err error) string {
	text := strings.TrimPrefix(err.Error(), "tls: ")
	hint := ""
	switch text {
	case "unknown certificate authority", "bad certificate", "unknown certificate":
		hint = " (perhaps it does not trust the authority)"
	}
	return "it sent the alert: " + text + hint
}

// local words what crypto/tls itself found. A "bad record MAC" in a handshake is
// how it meets the alerts of OpenSSL, which sends them in the clear until its own
// keys are in use: most often the one that refuses our certificate.
func local(err error) string {
	text := strings.TrimPrefix(err.Error(), "tls: ")
	if text == "bad record MAC" {
		text += " (perhaps the other side has sent an alert in the clear, as it does that does not trust the authority)"
	}
	return text
}

// maxLine bounds a line of plain text, in octets.
const maxLine = 512

// plainLine makes text from strangers fit for a log or an answer: printable
// and bounded.
func plainLine(s string) string {
	s = strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, s[:min(len(s), 2*maxLine)])
	if len(s) <= maxLine {
		return s
	}
	s = s[:maxLine]
	for !utf8.ValidString(s) {
		s = s[:len(s)-1]
	}
	return s + "..."
}
