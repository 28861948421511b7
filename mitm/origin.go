package mitm

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"
)

// openServer does the origin's handshake and leaves its outcome in a.
func (t *Terminator) openServer(ctx context.Context, a *attempt, sni string, offer []string) {
	start := time.Now()
	defer func() { a.took = time.Since(start) }()
	if deadline, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Until(deadline)*4/5)
		defer cancel()
	}
	conn, state, err := t.shakeHands(ctx, a, sni, offer)
	if err != nil {
		a.failed = err
		return
	}
	a.conn, a.state = conn, state
}

func (t *Terminator) shakeHands(ctx context.Context, a *attempt, sni string, offer []string) (conn net.Conn, state tls.ConnectionState, err error) {
	// A callback of the user's that panics is a failure of this side: the
	// client can still be told.
	defer func() {
		if p := recover(); p != nil {
			conn, state, err = nil, tls.ConnectionState{}, t.panicked(p)
		}
	}()
	v := &verifier{config: t.upstream, name: a.name}
	cfg := t.originConfig(v, sni, offer)
	if t.Handshake != nil {
		conn, state, err = t.Handshake(ctx, a.server, cfg, a.hello())
	} else {
		server := tls.Client(a.server, cfg)
		if err = server.HandshakeContext(ctx); err == nil {
			conn, state = server, server.ConnectionState()
		}
	}
	switch {
	case err != nil:
		return nil, tls.ConnectionState{}, err
	case conn == nil:
		return nil, tls.ConnectionState{}, errors.New("mitm: Terminator.Handshake returned no connection")
	case state.NegotiatedProtocol != "" && !slices.Contains(offer, state.NegotiatedProtocol):
		return nil, tls.ConnectionState{}, fmt.Errorf("mitm: the origin chose the protocol %.300q, which was not offered", state.NegotiatedProtocol)
	}
	return conn, state, v.complete(&state)
}

// originConfig is the client's side for one origin. A server name that the
// client sent is sent on, and verified by crypto/tls. Without one none is sent:
// crypto/tls does so for IP addresses by itself and verifies them. That a name
// is verified but not sent it does not know, so that is for our verifier.
func (t *Terminator) originConfig(v *verifier, sni string, offer []string) *tls.Config {
	cfg := t.upstream.Clone()
	cfg.NextProtos = offer
	cfg.ServerName = sni
	if sni != "" {
		return cfg
	}
	if _, err := netip.ParseAddr(v.name); err == nil {
		cfg.ServerName = v.name
		return cfg
	}
	// Without a name crypto/tls would look for sessions by address alone, and
	// a session of one name would be verified for another.
	cfg.ClientSessionCache = sessionsOf{cfg.ClientSessionCache, v.name}
	if !cfg.InsecureSkipVerify {
		cfg.InsecureSkipVerify = true // but see:
		cfg.VerifyPeerCertificate = nil
		cfg.VerifyConnection = v.verifyConnection
	}
	return cfg
}

// verifier verifies an origin's certificate where crypto/tls does not.
type verifier struct {
	config *tls.Config // says how, as the user has it
	name   string
	chains [][]*x509.Certificate
}

// verifyConnection does what crypto/tls does when it verifies, in the same
// order. It runs on resumed sessions too.
func (v *verifier) verifyConnection(state tls.ConnectionState) error {
	if err := v.verify(state.PeerCertificates); err != nil {
		return err
	}
	state.VerifiedChains = v.chains
	if verify := v.config.VerifyPeerCertificate; verify != nil && !state.DidResume {
		raw := make([][]byte, len(state.PeerCertificates))
		for i, cert := range state.PeerCertificates {
			raw[i] = cert.Raw
		}
		if err := verify(raw, v.chains); err != nil {
			return err
		}
	}
	if verify := v.config.VerifyConnection; verify != nil {
		return verify(state)
	}
	return nil
}

func (v *verifier) verify(certs []*x509.Certificate) error {
	if len(certs) == 0 {
		return errors.New("mitm: the origin sent no certificate")
	}
	opts := x509.VerifyOptions{
		DNSName:       v.name,
		Roots:         v.config.RootCAs,
		Intermediates: x509.NewCertPool(),
	}
	if v.name == "" {
		// Would mean not to verify the name at all.
		return errors.New("mitm: there is no name to verify the origin's certificate against")
	}
	if v.config.Time != nil {
		opts.CurrentTime = v.config.Time()
	}
	for _, cert := range certs[1:] {
		opts.Intermediates.AddCert(cert)
	}
	chains, err := certs[0].Verify(opts)
	if err != nil {
		return &tls.CertificateVerificationError{UnverifiedCertificates: certs, Err: err}
	}
	v.chains = chains
	return nil
}

// complete makes sure that a certificate was verified, by whomever the
// handshake was done, unless verification is off.
func (v *verifier) complete(state *tls.ConnectionState) error {
	if v.config.InsecureSkipVerify || len(state.VerifiedChains) > 0 {
		return nil
	}
	if v.chains == nil {
		if err := v.verify(state.PeerCertificates); err != nil {
			return err
		}
	}
	state.VerifiedChains = v.chains
	return nil
}

// sessionsOf keeps the sessions of one name apart from those of others.
type sessionsOf struct {
	tls.ClientSessionCache
	name string
}

func (s sessionsOf) Get(key string) (*tls.ClientSessionState, bool) {
	return s.ClientSessionCache.Get(s.name + " " + key)
}

func (s sessionsOf) Put(key string, state *tls.ClientSessionState) {
	s.ClientSessionCache.Put(s.name+" "+key, state)
}
