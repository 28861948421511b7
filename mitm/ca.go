package mitm

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"
)

// A CA is a certificate authority: what signs the leaf certificates that
// clients are shown. Whoever holds its key can pose as any server to whoever
// trusts its certificate, so the key deserves the care of a password.
//
// [OpenCA], [LoadCA] and [NewCA] make one that was checked; a CA put together
// by hand (to sign with a key held in hardware, say) is checked by the first
// use of its [CertIssuer]. A CA is not changed after it was made; it may be
// used by any number of goroutines if its Signer may.
type CA struct {
	// Certificate signs the leaves. It must be a CA certificate
	// (RFC 5280, section 4.2.1.9).
	Certificate *x509.Certificate

	// Chain holds the certificates above Certificate in order, the one that
	// signed it first. It is sent to clients, without self-signed roots, which
	// a client must have already. Nil: Certificate is a root itself, or is
	// trusted by clients directly.
	Chain []*x509.Certificate

	// Signer is the private key to Certificate: RSA, ECDSA or Ed25519.
	Signer crypto.Signer
}

// CAConfig says what [NewCA] makes. The zero value is ready to use.
type CAConfig struct {
	// CommonName is the subject of the certificate: what a person sees in a
	// list of trusted authorities. Empty: "Proxyglass CA" and eight hex digits
	// that tell one such authority from another.
	CommonName string

	// Validity is how long the certificate is valid. Zero: ten years.
	Validity time.Duration

	// Signer is the private key: RSA, ECDSA or Ed25519. Nil: a new ECDSA key
	// on P-256.
	Signer crypto.Signer
}

const (
	defaultCAValidity = 10 * 365 * 24 * time.Hour

	// backdate is how far in the past a certificate's validity begins, for
	// clients whose clock is behind.
	backdate = 24 * time.Hour
)

// NewCA makes a self-signed authority in memory. Its path length is one
// (RFC 5280, section 4.2.1.9): it may sign leaves and one level of
// intermediates.
func NewCA(c CAConfig) (*CA, error) {
	signer := c.Signer
	if signer == nil {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return nil, fmt.Errorf("mitm: making a CA key: %w", err)
		}
		signer = key
	}
	if c.Validity < 0 {
		return nil, fmt.Errorf("mitm: a CA cannot be valid for %v", c.Validity)
	}
	validity := c.Validity
	if validity == 0 {
		validity = defaultCAValidity
	}
	keyID, err := subjectKeyID(signer.Public())
	if err != nil {
		return nil, err
	}
	serial, err := newSerial()
	if err != nil {
		return nil, err
	}
	name := c.CommonName
	if name == "" {
		name = "Proxyglass CA " + hex.EncodeToString(keyID[:4])
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: name},
		NotBefore:             now.Add(-backdate),
		NotAfter:              now.Add(validity),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLen:            1,
		SubjectKeyId:          keyID,
		AuthorityKeyId:        keyID,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, signer.Public(), signer)
	if err != nil {
		return nil, fmt.Errorf("mitm: making a CA certificate: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("mitm: making a CA certificate: %w", err)
	}
	ca := &CA{Certificate: cert, Signer: signer}
	return ca, ca.check(now)
}

// Fingerprint returns the SHA-256 digest of the certificate as openssl and
// browsers print it: upper-case hex pairs with colons between.
func (ca *CA) Fingerprint() string {
	sum := sha256.Sum256(ca.Certificate.Raw)
	digits := strings.ToUpper(hex.EncodeToString(sum[:]))
	var b strings.Builder
	b.Grow(len(sum) * 3)
	for i := 0; i < len(digits); i += 2 {
		if i > 0 {
			b.WriteByte(':')
		}
		b.WriteString(digits[i : i+2])
	}
	return b.String()
}

// PEM returns the certificate (never the key) in PEM (RFC 7468): what clients
// are given to trust.
func (ca *CA) PEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.Certificate.Raw})
}

// check tells whether clients that trust the certificate can accept what this
// authority signs. It reads only, so that it costs nothing to repeat.
func (ca *CA) check(now time.Time) error {
	if ca == nil || ca.Certificate == nil || ca.Signer == nil {
		return errors.New("mitm: the CA has no certificate or no key")
	}
	cert := ca.Certificate
	switch {
	case !publicKeysEqual(cert.PublicKey, ca.Signer.Public()):
		return errors.New("mitm: the CA's key does not match its certificate")
	case !cert.BasicConstraintsValid || !cert.IsCA:
		return fmt.Errorf("mitm: the certificate of %q is not a CA certificate (no basic constraint CA:TRUE)", subject(cert))
	case cert.KeyUsage != 0 && cert.KeyUsage&x509.KeyUsageCertSign == 0:
		return fmt.Errorf("mitm: the key usage of the certificate of %q does not allow to sign certificates", subject(cert))
	case !allowsServerAuth(cert):
		return fmt.Errorf("mitm: the extended key usage of the certificate of %q does not allow servers", subject(cert))
	case now.After(cert.NotAfter):
		return fmt.Errorf("mitm: the CA certificate of %q has expired (on %s)", subject(cert), cert.NotAfter.UTC().Format(time.RFC3339))
	case now.Before(cert.NotBefore):
		return fmt.Errorf("mitm: the CA certificate of %q is not valid before %s", subject(cert), cert.NotBefore.UTC().Format(time.RFC3339))
	}
	switch pub := cert.PublicKey.(type) {
	case *rsa.PublicKey:
		if bits := pub.N.BitLen(); bits < 1024 {
			return fmt.Errorf("mitm: the CA's RSA key of %d bits is too short", bits)
		}
	case *ecdsa.PublicKey, ed25519.PublicKey:
	default:
		return fmt.Errorf("mitm: a CA key of type %T cannot be used (RSA, ECDSA and Ed25519 can)", pub)
	}
	for i, above := range ca.Chain {
		below := cert
		if i > 0 {
			below = ca.Chain[i-1]
		}
		if err := below.CheckSignatureFrom(above); err != nil {
			return fmt.Errorf("mitm: the CA's chain is out of order: %q is not signed by %q: %w", subject(below), subject(above), err)
		}
	}
	return nil
}

func allowsServerAuth(cert *x509.Certificate) bool {
	if len(cert.ExtKeyUsage) == 0 && len(cert.UnknownExtKeyUsage) == 0 {
		return true
	}
	for _, usage := range cert.ExtKeyUsage {
		if usage == x509.ExtKeyUsageServerAuth || usage == x509.ExtKeyUsageAny {
			return true
		}
	}
	return false
}

// subject names a certificate in an error.
func subject(cert *x509.Certificate) string {
	return plainLine(cert.Subject.String())
}

func isSelfSigned(cert *x509.Certificate) bool {
	return bytes.Equal(cert.RawSubject, cert.RawIssuer) && cert.CheckSignatureFrom(cert) == nil
}

func publicKeysEqual(a, b crypto.PublicKey) bool {
	key, ok := a.(interface{ Equal(crypto.PublicKey) bool })
	return ok && key.Equal(b)
}

// newSerial returns a serial number of 128 random bits: positive and within the
// 20 octets that RFC 5280, section 4.1.2.2, allows. Clients refuse to see one
// serial of an authority on two certificates.
func newSerial() (*big.Int, error) {
	var b [16]byte
	if _, err := rand.Read(b[:]); err != nil {
		return nil, fmt.Errorf("mitm: making a serial number: %w", err)
	}
	return new(big.Int).SetBytes(b[:]), nil
}

// subjectKeyID identifies a key after RFC 7093, section 2, method 4: by the
// SHA-256 digest of its SubjectPublicKeyInfo, here its first 160 bits.
func subjectKeyID(pub crypto.PublicKey) ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return nil, fmt.Errorf("mitm: a key of type %T cannot be used (RSA, ECDSA and Ed25519 can): %w", pub, err)
	}
	sum := sha256.Sum256(der)
	return sum[:20], nil
}
