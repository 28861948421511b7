package mitm_test

import (
	"context"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/proxyglass/proxyglass/internal/tcptest"
	"github.com/proxyglass/proxyglass/mitm"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func newIssuer(t testing.TB) *mitm.CertIssuer {
	t.Helper()
	ca, err := mitm.NewCA(mitm.CAConfig{})
	require.NoError(t, err)
	return &mitm.CertIssuer{CA: ca}
}

func TestIssue(t *testing.T) {
	for kind, key := range keyOf {
		t.Run(kind, func(t *testing.T) {
			ca, err := mitm.NewCA(mitm.CAConfig{Signer: key()})
			require.NoError(t, err)
			issuer := &mitm.CertIssuer{CA: ca}
			serials := map[string]bool{}
			for _, name := range []string{host, "localhost", "under_score.example", "-odd-.example", "xn--bcher-kva.example", "192.0.2.1", "2001:db8::1"} {
				cert, err := issuer.Issue(t.Context(), name)
				require.NoError(t, err)
				leaf := leafOf(cert)
				require.Len(t, cert.Certificate, 1, "a root is not sent")
				assert.Equal(t, leaf.Raw, cert.Certificate[0])
				_, err = leaf.Verify(x509.VerifyOptions{Roots: pool(ca.Certificate), DNSName: name})
				assert.NoError(t, err)
				assert.Equal(t, 1, len(leaf.DNSNames)+len(leaf.IPAddresses))
				assert.Equal(t, name, leaf.Subject.CommonName)
				assert.Equal(t, x509.KeyUsageDigitalSignature, leaf.KeyUsage)
				assert.Equal(t, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, leaf.ExtKeyUsage)
				assert.False(t, leaf.IsCA)
				assert.Equal(t, ca.Certificate.SubjectKeyId, leaf.AuthorityKeyId)
				assert.NotEmpty(t, leaf.SubjectKeyId)
				assert.NotEqual(t, ca.Certificate.SubjectKeyId, leaf.SubjectKeyId)
				assert.Positive(t, leaf.SerialNumber.Sign())
				assert.LessOrEqual(t, leaf.SerialNumber.BitLen(), 128)
				serials[leaf.SerialNumber.String()] = true
				assert.False(t, cert.PrivateKey.(crypto.Signer).Public().(interface{ Equal(crypto.PublicKey) bool }).Equal(ca.Signer.Public()))
				again, err := issuer.Issue(t.Context(), name)
				require.NoError(t, err)
				assert.Same(t, cert, again)
			}
			assert.Len(t, serials, 7)
		})
	}
}

func TestIssueOneSpelling(t *testing.T) {
	issuer := newIssuer(t)
	for want, spellings := range map[string][]string{
		host:                    {"WWW.Example.COM", "www.example.com."},
		"xn--bcher-kva.example": {"bücher.example", "BÜCHER.example", "XN--BCHER-KVA.EXAMPLE", "bücher。example"},
		"192.0.2.1":             {"::ffff:192.0.2.1", "[::ffff:192.0.2.1]"},
		"2001:db8::1":           {"2001:DB8:0::1", "[2001:db8::1]"},
	} {
		cert, err := issuer.Issue(t.Context(), want)
		require.NoError(t, err)
		for _, s := range spellings {
			same, err := issuer.Issue(t.Context(), s)
			require.NoError(t, err)
			assert.Same(t, cert, same, s)
		}
	}
}

func TestIssueRefuses(t *testing.T) {
	issuer := newIssuer(t)
	long := strings.Repeat(strings.Repeat("a", 49)+".", 5)
	for _, name := range []string{
		"", ".", "..", "a..b", ".a", "a b", "a\x00b", "a\n", "*", "*.example.com", "a/b", "user@host", "host:443",
		"fe80::1%eth0", "[::1", "\xff.example", "xn--\u00fc.example", strings.Repeat("a", 64) + ".example", long + "abcd",
	} {
		_, err := issuer.Issue(t.Context(), name)
		assert.ErrorContains(t, err, "mitm: not a DNS name or an IP address", "%q", name)
	}
	_, err := issuer.Issue(t.Context(), long+"abc") // 253 octets
	assert.NoError(t, err)
}

func TestIssueMisconfigured(t *testing.T) {
	good := newIssuer(t).CA
	for want, issuer := range map[string]*mitm.CertIssuer{
		"CertIssuer.CA is nil":                {},
		"has no certificate or no key":        {CA: &mitm.CA{}},
		"key does not match its certificate":  {CA: &mitm.CA{Certificate: good.Certificate, Signer: keyOf["RSA"]()}},
		"is not a CA certificate":             {CA: issue(t, nil, func(c *x509.Certificate) { c.IsCA = false })},
		"Validity (-1ns) and CacheSize (0)":   {CA: good, Validity: -1},
		"(0s) and CacheSize (-1) must not be": {CA: good, CacheSize: -1},
	} {
		_, err := issuer.Issue(t.Context(), host)
		assert.ErrorContains(t, err, want)
	}
}

func TestIssueValidity(t *testing.T) {
	const day = 24 * time.Hour
	for name, c := range map[string]struct {
		ca, validity, want time.Duration
	}{
		"default":     {ca: 0, validity: 0, want: 90 * day},
		"own":         {ca: 0, validity: time.Hour, want: time.Hour},
		"too long":    {ca: 0, validity: 1000 * day, want: 397 * day},
		"past the CA": {ca: 30 * day, validity: 0, want: 30 * day},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ca, err := mitm.NewCA(mitm.CAConfig{Validity: c.ca})
				require.NoError(t, err)
				issuer := &mitm.CertIssuer{CA: ca, Validity: c.validity}
				cert, err := issuer.Issue(t.Context(), host)
				require.NoError(t, err)
				first := leafOf(cert)
				assert.Equal(t, time.Now().Add(c.want).UTC(), first.NotAfter)
				assert.Equal(t, time.Now().Add(-day).UTC(), first.NotBefore)
				assert.LessOrEqual(t, first.NotAfter.Sub(first.NotBefore), 398*day)

				time.Sleep(c.want*3/4 - time.Second)
				cert, err = issuer.Issue(t.Context(), host)
				require.NoError(t, err)
				assert.Equal(t, first, leafOf(cert))
				time.Sleep(2 * time.Second)
				cert, err = issuer.Issue(t.Context(), host)
				require.NoError(t, err)
				if name == "past the CA" {
					assert.Equal(t, first, leafOf(cert), "a new one would not last longer")
					time.Sleep(c.want)
					_, err = issuer.Issue(t.Context(), host)
					assert.ErrorContains(t, err, "has expired (on ")
					return
				}
				assert.NotEqual(t, first.SerialNumber, leafOf(cert).SerialNumber)
				assert.Equal(t, time.Now().Add(c.want).UTC(), leafOf(cert).NotAfter)
			})
		})
	}
	t.Run("not before the CA", func(t *testing.T) {
		ca := issue(t, nil, nil) // since an hour ago
		cert, err := (&mitm.CertIssuer{CA: ca}).Issue(t.Context(), host)
		require.NoError(t, err)
		assert.Equal(t, ca.Certificate.NotBefore, leafOf(cert).NotBefore)
	})
}

// The chain is sent without its root, and verifies from the root alone.
func TestIssueSendsTheChain(t *testing.T) {
	root := issue(t, nil, func(c *x509.Certificate) { c.Subject.CommonName = "Root" })
	upper := issue(t, root, func(c *x509.Certificate) { c.Subject.CommonName = "Upper" })
	lower := issue(t, upper, func(c *x509.Certificate) { c.Subject.CommonName = "Lower" })
	ca, err := mitm.LoadCA(
		write(t, "ca.crt", certBlock(lower.Certificate), certBlock(upper.Certificate), certBlock(root.Certificate)),
		write(t, "ca.key", keyBlock(t, lower.Signer)))
	require.NoError(t, err)
	require.Len(t, ca.Chain, 2)
	cert, err := (&mitm.CertIssuer{CA: ca}).Issue(t.Context(), host)
	require.NoError(t, err)
	require.Len(t, cert.Certificate, 3)
	assert.Equal(t, lower.Certificate.Raw, cert.Certificate[1])
	assert.Equal(t, upper.Certificate.Raw, cert.Certificate[2])
	_, err = leafOf(cert).Verify(x509.VerifyOptions{
		DNSName: host, Roots: pool(root.Certificate), Intermediates: pool(lower.Certificate, upper.Certificate)})
	assert.NoError(t, err)
}

// A CA without key identifier, and one whose name is the leaf's.
func TestIssueOddAuthorities(t *testing.T) {
	ca := issue(t, nil, func(c *x509.Certificate) { c.Subject.CommonName = host })
	cert, err := (&mitm.CertIssuer{CA: ca}).Issue(t.Context(), host)
	require.NoError(t, err)
	assert.Empty(t, leafOf(cert).Subject.String())
	_, err = leafOf(cert).Verify(x509.VerifyOptions{Roots: pool(ca.Certificate), DNSName: host})
	assert.NoError(t, err)
}

// A CA whose certificate does not identify its key: the leaf still does.
func TestIssueAuthorityKeyID(t *testing.T) {
	ca := issue(t, nil, nil)
	ca.Certificate.SubjectKeyId = nil
	cert, err := (&mitm.CertIssuer{CA: ca}).Issue(t.Context(), host)
	require.NoError(t, err)
	assert.Len(t, leafOf(cert).AuthorityKeyId, 20)
}

// slowSigner counts and delays.
type slowSigner struct {
	crypto.Signer
	n     atomic.Int32
	delay time.Duration
}

func (s *slowSigner) Sign(rand io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	s.n.Add(1)
	time.Sleep(s.delay)
	return s.Signer.Sign(rand, digest, opts)
}

func TestIssueSignsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := newIssuer(t).CA
		signer := &slowSigner{Signer: ca.Signer, delay: time.Second}
		issuer := &mitm.CertIssuer{CA: &mitm.CA{Certificate: ca.Certificate, Signer: signer}}
		impatient, cancel := context.WithCancel(t.Context())
		certs := make([]*tls.Certificate, 100)
		var wg sync.WaitGroup
		for i := range certs {
			wg.Go(func() {
				ctx := t.Context()
				if i%2 == 0 {
					ctx = impatient
				}
				var err error
				certs[i], err = issuer.Issue(ctx, []string{host, "WWW.example.com."}[i/2%2])
				assert.NoError(t, err)
			})
		}
		synctest.Wait()
		cancel() // fails nobody
		wg.Wait()
		assert.EqualValues(t, 1, signer.n.Load())
		for _, cert := range certs {
			assert.Same(t, certs[0], cert)
		}
		_, err := issuer.Issue(impatient, host)
		assert.NoError(t, err, "it is in the cache")
		_, err = issuer.Issue(impatient, "new.example")
		assert.ErrorIs(t, err, context.Canceled)
	})
}

func TestIssueCacheIsBounded(t *testing.T) {
	issuer := newIssuer(t)
	issuer.CacheSize = 2
	get := func(name string) *tls.Certificate {
		cert, err := issuer.Issue(t.Context(), name)
		require.NoError(t, err)
		return cert
	}
	a := get("a")
	get("b")
	assert.Same(t, a, get("a"))
	get("c") // in place of b
	assert.Same(t, a, get("a"))
	get("b")
	get("c")
	assert.NotSame(t, a, get("a"))
}

func TestIssueFromTheCacheDoesNotAllocate(t *testing.T) {
	issuer := newIssuer(t)
	for _, name := range []string{host, "192.0.2.1", "2001:db8::1"} {
		ctx := t.Context()
		_, err := issuer.Issue(ctx, name)
		require.NoError(t, err)
		assert.Zero(t, testing.AllocsPerRun(100, func() { issuer.Issue(ctx, name) }), name)
	}
}

func TestGetCertificate(t *testing.T) {
	r := newRig(t)
	issuer := &mitm.CertIssuer{CA: r.ca}
	for sni, want := range map[string]string{host: host, "": "127.0.0.1"} {
		c, s := tcptest.Pair(t)
		go tls.Server(s, &tls.Config{GetCertificate: issuer.GetCertificate}).Handshake()
		cfg := r.clientTo(sni)
		if sni == "" {
			cfg.ServerName = want // an address is verified, but not sent
		}
		client := tls.Client(c, cfg)
		require.NoError(t, client.Handshake())
		assert.NoError(t, client.ConnectionState().PeerCertificates[0].VerifyHostname(want))
	}
}

// Whatever the name, there is a certificate that verifies for it or an error.
func FuzzIssue(f *testing.F) {
	for _, name := range []string{
		"", host, "WWW.EXAMPLE.COM.", "*.example.com", "a\x00b", "192.0.2.1", "[2001:db8::1]", "fe80::1%eth0", "bücher.example",
		"xn--", "xn--a", "xn--bcher-kva.example", "1.2.3", "0x7f.1", "_a._b", "-", "a-.b-", "ſ.example", "\u200d.example", "\xff",
		strings.Repeat("a.", 126) + "a", strings.Repeat("a", 63) + ".b", "example.com", "::", "::ffff:1.2.3.4", "1.2.3.4.",
	} {
		f.Add(name)
	}
	ca, err := mitm.NewCA(mitm.CAConfig{})
	require.NoError(f, err)
	issuer := &mitm.CertIssuer{CA: ca, CacheSize: 16}
	roots := pool(ca.Certificate)
	f.Fuzz(func(t *testing.T, name string) {
		cert, err := issuer.Issue(context.Background(), name)
		if err != nil {
			assert.Nil(t, cert)
			assert.Less(t, len(err.Error()), 2000)
			return
		}
		leaf := leafOf(cert)
		verify := x509.VerifyOptions{Roots: roots}
		switch {
		case len(leaf.IPAddresses) == 1:
			verify.DNSName = leaf.IPAddresses[0].String()
			assert.NotNil(t, net.ParseIP(verify.DNSName))
		case len(leaf.DNSNames) == 1:
			verify.DNSName = leaf.DNSNames[0]
			assert.LessOrEqual(t, len(verify.DNSName), 253)
		default:
			t.Fatalf("%d names", len(leaf.DNSNames)+len(leaf.IPAddresses))
		}
		_, err = leaf.Verify(verify)
		require.NoError(t, err, "%q: %s", name, hex.EncodeToString(leaf.Raw))
		again, err := issuer.Issue(context.Background(), verify.DNSName)
		require.NoError(t, err)
		assert.Same(t, cert, again, "%q and %q are one name", name, verify.DNSName)
	})
}
