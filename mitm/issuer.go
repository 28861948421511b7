package mitm

import (
	"context"
	"crypto/tls"
	"errors"
	"time"
)

// CertIssuer signs leaf certificates.
type CertIssuer struct {
	CA        *CA
	Validity  time.Duration
	CacheSize int
}

// Issue implements [Issuer].
func (i *CertIssuer) Issue(ctx context.Context, name string) (*tls.Certificate, error) {
	return nil, errors.New("mitm: not written yet")
}

// GetCertificate has the signature of the field of [tls.Config].
func (i *CertIssuer) GetCertificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	return i.Issue(hello.Context(), hello.ServerName)
}
