package main_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// pki is what the tests' origins show, and who vouches for it.
var pki struct {
	rootsFile string // trusted by the inspector, and by clients of what is not opened

	good, expired, other, untrusted tls.Certificate
}

// makePKI makes the certificates. All are for the same names, but for other's.
func makePKI(dir string) error {
	now := time.Now()
	names := []string{"localhost", "127.0.0.1", "origin.test", "www.example.com", "other.test"}
	root, err := sign(&tls.Certificate{}, now.Add(time.Hour), "root")
	if err != nil {
		return err
	}
	stranger, err := sign(&tls.Certificate{}, now.Add(time.Hour), "stranger")
	if err != nil {
		return err
	}
	for _, c := range []struct {
		to    *tls.Certificate
		by    *tls.Certificate
		until time.Time
		names []string
	}{
		{&pki.good, root, now.Add(time.Hour), names},
		{&pki.expired, root, now.Add(-time.Minute), names},
		{&pki.other, root, now.Add(time.Hour), []string{"nobody.test"}},
		{&pki.untrusted, stranger, now.Add(time.Hour), names},
	} {
		leaf, err := sign(c.by, c.until, c.names...)
		if err != nil {
			return err
		}
		*c.to = *leaf
	}
	pki.rootsFile = filepath.Join(dir, "roots.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate[0]})
	return os.WriteFile(pki.rootsFile, text, 0o600)
}

// sign makes a certificate; by an empty one it is a root.
func sign(by *tls.Certificate, until time.Time, names ...string) (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		return nil, err
	}
	cert := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: names[0]},
		NotBefore: time.Now().Add(-24 * time.Hour), NotAfter: until,
	}
	parent, parentKey := cert, any(key)
	if by.Leaf == nil {
		cert.IsCA, cert.BasicConstraintsValid, cert.KeyUsage = true, true, x509.KeyUsageCertSign
	} else {
		parent, parentKey = by.Leaf, by.PrivateKey
		for _, name := range names {
			if ip := net.ParseIP(name); ip != nil {
				cert.IPAddresses = append(cert.IPAddresses, ip)
			} else {
				cert.DNSNames = append(cert.DNSNames, name)
			}
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, parent, key.Public(), parentKey)
	if err != nil {
		return nil, err
	}
	leaf, err := x509.ParseCertificate(der)
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, err
}

// trust is a client's configuration that trusts one file of roots.
func trust(t testing.TB, file, name string) *tls.Config {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	pool := x509.NewCertPool()
	require.True(t, pool.AppendCertsFromPEM(text))
	return &tls.Config{RootCAs: pool, ServerName: name}
}
