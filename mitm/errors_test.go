package mitm_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"unicode/utf8"

	"github.com/proxyglass/proxyglass/mitm"
	"github.com/stretchr/testify/assert"
)

func TestHandshakeError(t *testing.T) {
	verification := func(err error) error { return &tls.CertificateVerificationError{Err: err} }
	many := &x509.Certificate{DNSNames: []string{"a", "b", "c"}, IPAddresses: []net.IP{{192, 0, 2, 1}, {192, 0, 2, 2}, {192, 0, 2, 3}}}
	for want, err := range map[string]error{
		"timed out":                fmt.Errorf("x: %w", context.DeadlineExceeded),
		"timed out ":               &net.OpError{Op: "read", Err: os.ErrDeadlineExceeded},
		"connection reset by peer": &net.OpError{Op: "read", Net: "tcp", Err: os.NewSyscallError("read", syscall.ECONNRESET)},
		"the connection was closed before the handshake was complete": io.ErrUnexpectedEOF,
		"what came is not TLS":                                            tls.RecordHeaderError{Msg: "first record does not look like a TLS handshake"},
		"it sent the alert: handshake failure":                            &net.OpError{Op: "remote error", Err: errors.New("tls: handshake failure")},
		"handshake message of unknown kind":                               errors.New("tls: handshake message of unknown kind"),
		"the certificate is for a, b, c, 192.0.2.1 and 2 more, not for x": verification(x509.HostnameError{Certificate: many, Host: "x"}),
		"the certificate is for no host name at all, so not for x":        verification(x509.HostnameError{Certificate: &x509.Certificate{}, Host: "x"}),
		"the certificate is signed by an unknown authority":               verification(x509.UnknownAuthorityError{}),
	} {
		e := &mitm.HandshakeError{Side: mitm.SideServer, Host: host, Err: err}
		assert.Contains(t, e.Error(), strings.TrimSpace(want))
		assert.True(t, strings.HasPrefix(e.Error(), "mitm: TLS handshake with the origin www.example.com: "), e.Error())
		assert.ErrorIs(t, e, err)
	}
}

// What strangers put into a certificate does not make a second line, nor a
// long one.
func TestHandshakeErrorIsOnePlainLine(t *testing.T) {
	for _, name := range []string{"a\r\nSet-Cookie: x", "\x1b[2J", "\xff\xfe", "a\u202eb", strings.Repeat("€", 5000)} {
		e := &mitm.HandshakeError{Side: mitm.SideServer, Host: name, Err: x509.HostnameError{
			Host: name, Certificate: &x509.Certificate{DNSNames: []string{name}},
		}}
		text := e.Error()
		assert.Less(t, len(text), 1200)
		assert.True(t, utf8.ValidString(text))
		assert.NotContains(t, text, "\n")
		assert.NotContains(t, text, "\r")
		assert.NotContains(t, text, "\x1b")
		assert.NotContains(t, text, "\u202e")
	}
}
