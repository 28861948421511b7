package mitm

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"time"
)

// An Issuer gives the certificate that a client is shown for a name.
type Issuer interface {
	// Issue returns a certificate for name, a DNS name or an IP literal, with
	// its private key.
	Issue(ctx context.Context, name string) (*tls.Certificate, error)
}

// A Terminator opens TLS connections.
type Terminator struct {
	Issuer   Issuer
	Upstream *tls.Config
	ALPN     []string
	Timeout  time.Duration
	// Handshake does the origin's side. Nil: crypto/tls.
	Handshake func(ctx context.Context, server net.Conn, cfg *tls.Config, clientHello []byte) (net.Conn, tls.ConnectionState, error)
	Logger    *slog.Logger
}

// Opened is a connection that was opened.
type Opened struct {
	Client          *tls.Conn
	Server          net.Conn
	ServerState     tls.ConnectionState
	ServerHandshake time.Duration
	ClientHandshake time.Duration
}

// A HandshakeError names the side whose handshake failed.
type HandshakeError struct {
	Side string // SideClient or SideServer
	Host string
	Err  error
}

// The sides of a [HandshakeError].
const (
	SideClient = "client"
	SideServer = "server"
)

func (e *HandshakeError) Error() string {
	return "mitm: " + e.Side + " " + e.Host + ": " + e.Err.Error()
}

// Unwrap returns Err.
func (e *HandshakeError) Unwrap() error { return e.Err }

// Openable reports whether a client that offers these protocols (ALPN,
// RFC 7301; none is fine) can be opened.
func Openable(alpn []string) bool { return len(alpn) == 0 }

// Terminate opens the connection.
func (t *Terminator) Terminate(ctx context.Context, client, server net.Conn, host string) (*Opened, error) {
	return nil, errors.New("mitm: not written yet")
}
