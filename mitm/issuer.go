package mitm

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/sync/singleflight"
)

const (
	defaultValidity  = 90 * 24 * time.Hour
	maxValidity      = 398 * 24 * time.Hour // the longest that browsers accept
	defaultCacheSize = 1024
	maxCommonName    = 64 // characters, RFC 5280, appendix A.1: ub-common-name
)

// A CertIssuer signs a leaf certificate for each name it is asked for and
// keeps those in use. It implements [Issuer].
//
// The leaves share one ECDSA key on P-256, made at the first use and kept in
// memory alone; it is never the key of the authority. A leaf is valid for its
// one name, begins a day in the past for clients whose clock is behind, and
// ends neither after the authority nor more than 398 days after it began. When
// three quarters of its time have gone a new one is signed.
//
// The fields are not changed after the first use. Methods may be called by any
// number of goroutines. A CertIssuer must not be copied after its first use.
type CertIssuer struct {
	// CA signs. Required.
	CA *CA

	// Validity is for how long a leaf is valid from its signing on. More than
	// 397 days count as 397. Zero: 90 days.
	Validity time.Duration

	// CacheSize is the number of leaves kept, those used last. One takes
	// about 1 KiB. Zero: 1,024.
	CacheSize int

	init    sync.Once
	initErr error
	key     *ecdsa.PrivateKey
	keyID   []byte
	caKeyID []byte   // of the CA's key, if its certificate does not say
	above   [][]byte // what is sent after the leaf
	leaves  *lru.Cache[string, *leaf]
	signing singleflight.Group
}

// leaf is a certificate with the time from which a new one is wanted.
type leaf struct {
	cert    *tls.Certificate
	renewAt time.Time
}

// Issue returns a certificate for name, a DNS name or an IP literal, from the
// cache or newly signed. Case, a trailing dot, the brackets of an IPv6 literal
// and the spelling of an internationalised name make no difference. Names that
// are none (empty, longer than 253 octets, with spaces, NUL or a wildcard) are
// refused with an error.
//
// However many ask for a new name at once, it is signed once, whether or not
// the first of them still wants it when that is done. Nothing is signed for who
// comes with a ctx that has ended; the signing itself cannot be interrupted.
// The certificate is shared and must not be changed. It is followed by the
// certificates above it, without self-signed roots. Its Leaf field is nil: no
// server needs the parsed form, which takes more memory than the certificate.
func (i *CertIssuer) Issue(ctx context.Context, name string) (*tls.Certificate, error) {
	i.init.Do(i.setUp)
	if i.initErr != nil {
		return nil, i.initErr
	}
	// Names are kept in their one spelling, which is how most clients send
	// them: no need to look closer at a name that is found.
	if cert := i.cached(name); cert != nil {
		return cert, nil
	}
	name, addr, err := canonical(name)
	if err != nil {
		return nil, err
	}
	if cert := i.cached(name); cert != nil {
		return cert, nil
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("mitm: no certificate for %s: %w", name, err)
	}
	// Signed on the goroutine of the first who asks: another one would cost a
	// tenth of the signing, and a Signer that panics could not be caught.
	cert, err, _ := i.signing.Do(name, func() (any, error) {
		if cert := i.cached(name); cert != nil {
			return cert, nil
		}
		l, err := i.sign(name, addr, time.Now())
		if err != nil {
			return nil, err
		}
		i.leaves.Add(name, l)
		return l.cert, nil
	})
	if err != nil {
		return nil, err
	}
	return cert.(*tls.Certificate), nil
}

// GetCertificate makes the issuer usable as the field of that name in a
// [tls.Config]. A client that sends no server name (RFC 6066, section 3) is
// shown a certificate for the address it has connected to.
func (i *CertIssuer) GetCertificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	name := hello.ServerName
	if name == "" && hello.Conn != nil {
		if host, _, err := net.SplitHostPort(hello.Conn.LocalAddr().String()); err == nil {
			if addr, err := netip.ParseAddr(host); err == nil {
				name = addr.WithZone("").String()
			}
		}
	}
	return i.Issue(hello.Context(), name)
}

func (i *CertIssuer) cached(name string) *tls.Certificate {
	l, ok := i.leaves.Get(name)
	if !ok || time.Now().After(l.renewAt) {
		return nil
	}
	return l.cert
}

// setUp does once what every leaf needs.
func (i *CertIssuer) setUp() {
	i.initErr = func() error {
		if i.CA == nil {
			return errors.New("mitm: CertIssuer.CA is nil")
		}
		if err := i.CA.check(time.Now()); err != nil {
			return err
		}
		if i.Validity < 0 || i.CacheSize < 0 {
			return fmt.Errorf("mitm: CertIssuer.Validity (%v) and CacheSize (%d) must not be negative", i.Validity, i.CacheSize)
		}
		size := i.CacheSize
		if size == 0 {
			size = defaultCacheSize
		}
		var err error
		if i.leaves, err = lru.New[string, *leaf](size); err != nil {
			return fmt.Errorf("mitm: %w", err)
		}
		if i.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
			return fmt.Errorf("mitm: making a leaf key: %w", err)
		}
		if i.keyID, err = subjectKeyID(i.key.Public()); err != nil {
			return err
		}
		if i.caKeyID, err = subjectKeyID(i.CA.Signer.Public()); err != nil {
			return err
		}
		for _, cert := range append([]*x509.Certificate{i.CA.Certificate}, i.CA.Chain...) {
			if !isSelfSigned(cert) {
				i.above = append(i.above, cert.Raw)
			}
		}
		return nil
	}()
}

// sign makes the leaf of a name in its one spelling. Its cost is that of
// x509.CreateCertificate: everything else was made ready before.
func (i *CertIssuer) sign(name string, addr netip.Addr, now time.Time) (*leaf, error) {
	ca := i.CA.Certificate
	if now.After(ca.NotAfter) {
		return nil, fmt.Errorf("mitm: the CA certificate of %q has expired (on %s)", subject(ca), ca.NotAfter.UTC().Format(time.RFC3339))
	}
	serial, err := newSerial()
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber:          serial,
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
		SubjectKeyId:          i.keyID,
		AuthorityKeyId:        i.caKeyID, // the CA's own identifier replaces it
	}
	template.NotBefore, template.NotAfter = i.period(now)
	if addr.IsValid() {
		template.IPAddresses = []net.IP{addr.AsSlice()}
	} else {
		template.DNSNames = []string{name}
	}
	// A subject like the CA's would make the leaf look self-issued. Without
	// one the subjectAltName is critical and says it all.
	if len(name) <= maxCommonName && name != ca.Subject.CommonName {
		template.Subject = pkix.Name{CommonName: name}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, ca, &i.key.PublicKey, i.CA.Signer)
	if err != nil {
		return nil, fmt.Errorf("mitm: signing a certificate for %s: %w", name, err)
	}
	l := &leaf{
		cert: &tls.Certificate{
			Certificate: append([][]byte{der}, i.above...),
			PrivateKey:  i.key,
		},
		renewAt: template.NotAfter,
	}
	if template.NotAfter.Before(ca.NotAfter) { // a new one would last longer
		l.renewAt = template.NotAfter.Add(-template.NotAfter.Sub(now) / 4)
	}
	return l, nil
}

// period is the validity of a leaf that is signed now.
func (i *CertIssuer) period(now time.Time) (notBefore, notAfter time.Time) {
	validity := i.Validity
	if validity == 0 {
		validity = defaultValidity
	}
	ca := i.CA.Certificate
	notBefore = now.Add(-backdate)
	if notBefore.Before(ca.NotBefore) {
		notBefore = ca.NotBefore
	}
	notAfter = now.Add(min(validity, maxValidity-backdate))
	if notAfter.After(ca.NotAfter) {
		notAfter = ca.NotAfter
	}
	return notBefore, notAfter
}
