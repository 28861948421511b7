package mitm

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
)

// An Issuer gives the certificate that a client is shown. [CertIssuer] is the
// one of this package.
type Issuer interface {
	// Issue returns a certificate that a client accepts for name, with its
	// private key. The name is what the client asked for, a DNS name or an IP
	// literal, as it was sent: in any case, with or without a trailing dot,
	// and perhaps no name at all, which is answered by an error. It is called
	// within a handshake, by many goroutines at once, and should return soon,
	// at the latest when ctx ends. The certificate may be shared: nobody
	// changes it.
	Issue(ctx context.Context, name string) (*tls.Certificate, error)
}

// A Terminator opens TLS connections: it is the server that a client wanted
// to speak to, and the client of that server. It does the origin's handshake
// first, so that what the client is offered is what the origin has chosen.
//
// Only Issuer is required. The fields are not changed after the first use.
// Terminate may be called by any number of goroutines. A Terminator must not be
// copied after its first use, and one should serve as long as possible: the
// keys of the session tickets that clients come back with, and the sessions to
// resume with origins, are its own.
type Terminator struct {
	// Issuer gives the certificates that clients are shown. Required.
	Issuer Issuer

	// Upstream is the client's side of the connection to the origin: roots,
	// client certificates, versions, suites, verification callbacks. It is
	// cloned, never changed. ServerName, NextProtos and the sizing of records
	// are set for each connection, whatever it says; sessions are kept in 512
	// places if it has no ClientSessionCache. Its InsecureSkipVerify switches
	// verification off, for each origin.
	// Nil: the system's roots, and the defaults of crypto/tls.
	Upstream *tls.Config

	// ALPN limits the protocols (RFC 7301) to the ones listed: an origin is
	// offered those of them that the client offers as well, in the client's
	// order, and nothing if the client offers nothing. A client that offers
	// none of them is refused with the alert no_application_protocol. "h2" is
	// not spoken yet and counts as not listed.
	// Empty, also after that: whatever the client offers.
	ALPN []string

	// Timeout bounds both handshakes together. The origin's may take four
	// fifths of it, so that there is time left to tell the client when it
	// fails. Zero: 10 seconds.
	Timeout time.Duration

	// Handshake does the origin's side over server and returns the connection
	// to use from then on and its state, whose NegotiatedProtocol the client
	// will be answered with. cfg is made for this one connection: it names the
	// server, the protocols to offer and how to verify. An implementation that
	// has its own idea of the latter must fill in VerifiedChains or
	// PeerCertificates: unless verification is off, a certificate that was not
	// verified is verified by the Terminator. clientHello is the client's
	// first message as it came, record headers included, for those who wish to
	// send one like it; it may be kept. When ctx ends it must return.
	// Nil: crypto/tls.
	Handshake func(ctx context.Context, server net.Conn, cfg *tls.Config, clientHello []byte) (net.Conn, tls.ConnectionState, error)

	// Logger is told of panics in callbacks, and in debug mode of failed
	// handshakes. Nil: quiet.
	Logger *slog.Logger

	init     sync.Once
	outer    *tls.Config // shared by all clients, so that its ticket keys are
	answers  *lru.Cache[string, *tls.Config]
	refusal  *tls.Config
	upstream *tls.Config
	alpn     []string // ALPN without what is not spoken
}

const (
	defaultTimeout = 10 * time.Second
	maxSessions    = 512
	maxAnswers     = 32 // protocols whose configs are kept; who needs more makes them anew
)

// Opened is a connection that was opened.
type Opened struct {
	// Client is the connection to the client, its handshake complete. Its
	// NetConn method gives the net.Conn that Terminate was called with, or a
	// wrapper whose NetConn method does.
	Client *tls.Conn

	// Server is the connection to the origin: a *tls.Conn, or what
	// Terminator.Handshake returned. Nil when the origin's handshake failed.
	Server net.Conn

	// ServerState is the state of Server after the handshake. Zero when that
	// failed.
	ServerState tls.ConnectionState

	// ServerHandshake and ClientHandshake are what the handshakes took. The
	// client's is without the time that it waited for the origin's.
	ServerHandshake, ClientHandshake time.Duration
}

// attempt is one call of Terminate. It reaches GetConfigForClient and
// GetCertificate, which belong to shared configs, by way of the context.
type attempt struct {
	server net.Conn
	host   string // what the caller says is on the other side
	name   string // what the leaf is for
	hello  func() []byte

	conn    net.Conn
	state   tls.ConnectionState
	took    time.Duration
	failed  error // of the origin's handshake
	refused error // why the client was not served
}

type attemptKey struct{}

// Terminate opens a connection whose client is about to send its ClientHello
// (or whose client conn has it buffered). host is the name or IP address, without
// port, that the client wanted to reach; where it sends a server name (SNI, RFC
// 6066, section 3) that counts instead, for the origin, its verification and the
// leaf. A client without one sends none to the origin either, which is then
// verified against host. The ALPN offers (RFC 7301) and their answer are passed on
// likewise, but for h2; see [Openable].
//
// When the origin's handshake fails, the client's is completed all the same,
// so that it can be told why: the Opened that comes with the [HandshakeError]
// (Side is [SideServer]) has a Client, but no Server. On any other error there is no
// Opened. An error of the client's side is a HandshakeError as well.
//
// When ctx or the time is over, both connections are closed. Otherwise they
// stay the caller's to close, also after an error. No deadline is left on them.
// The work is done on a goroutine of its own that ends before Terminate returns:
// the stack that handshakes need is not that of the caller, who will want to
// live on with a small one.
func (t *Terminator) Terminate(ctx context.Context, client, server net.Conn, host string) (*Opened, error) {
	t.init.Do(t.setUp)
	if t.Issuer == nil {
		return nil, errors.New("mitm: Terminator.Issuer is nil")
	}
	var opened *Opened
	var err error
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() {
			if p := recover(); p != nil {
				opened, err = nil, t.panicked(p)
			}
		}()
		opened, err = t.terminate(ctx, client, server, host)
	}()
	<-done
	if err != nil && t.Logger != nil {
		t.Logger.DebugContext(ctx, "TLS not opened", "host", host, "err", err)
	}
	return opened, err
}

func (t *Terminator) terminate(ctx context.Context, client, server net.Conn, host string) (*Opened, error) {
	timeout := t.Timeout
	if timeout <= 0 {
		timeout = defaultTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()

	a := &attempt{server: server, host: bareHost(host)}
	if t.Handshake != nil {
		client, a.hello = captureHello(client)
	}
	conn := tls.Server(client, t.outer)
	start := time.Now()
	err := conn.HandshakeContext(context.WithValue(ctx, attemptKey{}, a))
	took := time.Since(start) - a.took

	if err != nil {
		if a.refused != nil {
			err = a.refused
		} else if a.failed != nil {
			err = &bothFailed{err, a.failed}
		}
		return nil, &HandshakeError{Side: SideClient, Host: a.nameOrHost(), Err: err}
	}
	opened := &Opened{
		Client:          conn,
		Server:          a.conn,
		ServerState:     a.state,
		ServerHandshake: a.took,
		ClientHandshake: took,
	}
	if a.failed != nil {
		return opened, &HandshakeError{Side: SideServer, Host: a.nameOrHost(), Err: a.failed}
	}
	return opened, nil
}

func (a *attempt) nameOrHost() string {
	if a.name != "" {
		return a.name
	}
	return a.host
}

// setUp makes the configs that all connections share.
func (t *Terminator) setUp() {
	t.alpn = speakable(t.ALPN)
	t.outer = &tls.Config{GetConfigForClient: t.configForClient}
	t.answers, _ = lru.New[string, *tls.Config](maxAnswers) // fails for a size below one
	t.refusal = t.clientConfig(t.alpn...)
	if len(t.alpn) == 0 {
		t.refusal = t.clientConfig(protoHTTP1)
	}
	t.upstream = t.Upstream.Clone()
	if t.upstream == nil {
		t.upstream = &tls.Config{}
	}
	if t.upstream.ClientSessionCache == nil {
		t.upstream.ClientSessionCache = tls.NewLRUClientSessionCache(maxSessions)
	}
	t.upstream.DynamicRecordSizingDisabled = true
}

// clientConfig is the server's side with a choice of protocols.
func (t *Terminator) clientConfig(protos ...string) *tls.Config {
	return &tls.Config{
		GetCertificate: t.certificate,
		NextProtos:     protos,
		// Who speaks only versions that are deprecated (RFC 8996) could reach
		// the origin before and shall not break because we look. Nobody else
		// can be brought to use them.
		MinVersion: tls.VersionTLS10,
		// By default crypto/tls cuts the first 128 KiB into records of about
		// one packet, so that a browser far away can begin with the first.
		// Each is a system call of its own, a dozen for what we have read by
		// one; and our clients are near. One write shall be one record.
		DynamicRecordSizingDisabled: true,
	}
}

// answer is the config that answers a client's offer with what the origin has
// chosen. The names come from strangers, so only some are kept.
func (t *Terminator) answer(proto string) *tls.Config {
	if cfg, ok := t.answers.Get(proto); ok {
		return cfg
	}
	cfg := t.clientConfig()
	if proto != "" {
		cfg.NextProtos = []string{proto}
	}
	t.answers.Add(proto, cfg)
	return cfg
}

// configForClient is the heart: the client has said what it wants, the origin
// is asked for it, and its answer makes the client's config.
func (t *Terminator) configForClient(hello *tls.ClientHelloInfo) (*tls.Config, error) {
	a := hello.Context().Value(attemptKey{}).(*attempt)
	a.name = hello.ServerName
	if a.name == "" {
		a.name = a.host
	}
	offer, err := t.offer(hello.SupportedProtos)
	if err != nil {
		a.refused = err
		return t.refusal, nil // which sends the alert for it
	}
	t.openServer(hello.Context(), a, hello.ServerName, offer)
	if a.failed != nil {
		return t.answer(fallback(offer)), nil
	}
	return t.answer(a.state.NegotiatedProtocol), nil
}

func (t *Terminator) certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	a := hello.Context().Value(attemptKey{}).(*attempt)
	cert, err := t.Issuer.Issue(hello.Context(), a.name)
	if err == nil && cert == nil {
		err = errors.New("mitm: the issuer gave no certificate")
	}
	if err != nil {
		a.refused = err
	}
	return cert, err
}

// panicked turns a panic of a callback into an error: it shall cost one
// connection, not the process.
func (t *Terminator) panicked(p any) error {
	if t.Logger != nil {
		t.Logger.Error("panic in a TLS handshake", "panic", p, "stack", string(debug.Stack()))
	}
	return fmt.Errorf("mitm: panic in a TLS handshake: %s", plainLine(fmt.Sprint(p)))
}

// bareHost strips what belongs to the text of an address rather than to a name
// in a certificate: brackets, a zone, the dot of the root.
func bareHost(host string) string {
	if strings.HasPrefix(host, "[") && strings.HasSuffix(host, "]") {
		host = host[1 : len(host)-1]
	}
	if strings.Contains(host, ":") {
		host, _, _ = strings.Cut(host, "%")
	}
	return strings.TrimSuffix(host, ".")
}
