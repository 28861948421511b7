package mitm_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/proxyglass/proxyglass/mitm"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestNewCA(t *testing.T) {
	for kind, key := range keyOf {
		t.Run(kind, func(t *testing.T) {
			ca, err := mitm.NewCA(mitm.CAConfig{Signer: key(), Validity: time.Hour, CommonName: "Test"})
			require.NoError(t, err)
			cert := ca.Certificate
			assert.True(t, cert.IsCA)
			assert.Equal(t, 1, cert.MaxPathLen)
			assert.Equal(t, x509.KeyUsageCertSign|x509.KeyUsageCRLSign, cert.KeyUsage)
			assert.Equal(t, "CN=Test", cert.Subject.String())
			assert.WithinDuration(t, time.Now().Add(time.Hour), cert.NotAfter, time.Minute)
			assert.Positive(t, cert.SerialNumber.Sign())
			assert.LessOrEqual(t, cert.SerialNumber.BitLen(), 128)
			assert.NoError(t, cert.CheckSignatureFrom(cert))
			block, rest := pem.Decode(ca.PEM())
			assert.Equal(t, cert.Raw, block.Bytes)
			assert.Empty(t, rest)
		})
	}
	t.Run("defaults", func(t *testing.T) {
		a, err := mitm.NewCA(mitm.CAConfig{})
		require.NoError(t, err)
		b, err := mitm.NewCA(mitm.CAConfig{})
		require.NoError(t, err)
		assert.IsType(t, &ecdsa.PrivateKey{}, a.Signer)
		assert.Regexp(t, "^CN=Proxyglass CA [0-9a-f]{8}$", a.Certificate.Subject.String())
		assert.NotEqual(t, a.Certificate.Subject, b.Certificate.Subject)
		assert.NotEqual(t, a.Fingerprint(), b.Fingerprint())
		assert.Regexp(t, "^([0-9A-F]{2}:){31}[0-9A-F]{2}$", a.Fingerprint())
	})
	_, err := mitm.NewCA(mitm.CAConfig{Validity: -1})
	assert.ErrorContains(t, err, "mitm: a CA cannot be valid for")
}

func TestOpenCA(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "ca")
	made, err := mitm.OpenCA(dir)
	require.NoError(t, err)
	again, err := mitm.OpenCA(dir)
	require.NoError(t, err)
	assert.Equal(t, made.Certificate.Raw, again.Certificate.Raw)
	assert.IsType(t, &ecdsa.PrivateKey{}, made.Signer)
	if runtime.GOOS != "windows" {
		for file, mode := range map[string]os.FileMode{"": 0o700, mitm.KeyFile: 0o600} {
			info, err := os.Stat(filepath.Join(dir, file))
			require.NoError(t, err)
			assert.Equal(t, mode, info.Mode().Perm(), file)
		}
	}
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Len(t, entries, 2, "nothing else is left")
}

// However many begin at once, there is one authority.
func TestOpenCARace(t *testing.T) {
	for range 20 {
		dir := filepath.Join(t.TempDir(), "ca")
		prints := make([]string, 8)
		var wg sync.WaitGroup
		for i := range prints {
			wg.Go(func() {
				ca, err := mitm.OpenCA(dir)
				if assert.NoError(t, err) {
					prints[i] = ca.Fingerprint()
				}
			})
		}
		wg.Wait()
		for _, p := range prints {
			require.Equal(t, prints[0], p)
		}
	}
}

func TestOpenCARefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // which makes the wait for another process short
		cases := map[string]struct {
			spoil func(dir string) error
			want  string
		}{
			"no key":         {func(dir string) error { return os.Remove(filepath.Join(dir, "ca.key")) }, "ca.crt but no "},
			"no certificate": {func(dir string) error { return os.Remove(filepath.Join(dir, "ca.crt")) }, "ca.key but no "},
			"another key": {func(dir string) error {
				other := filepath.Join(dir, "other")
				if _, err := mitm.OpenCA(other); err != nil {
					return err
				}
				return os.Rename(filepath.Join(other, "ca.key"), filepath.Join(dir, "ca.key"))
			}, "does not match the first certificate in"},
			"an open key": {func(dir string) error { return os.Chmod(filepath.Join(dir, "ca.key"), 0o640) }, "(mode 0640): chmod 600 it"},
			"half a key":  {func(dir string) error { return os.Truncate(filepath.Join(dir, "ca.key"), 60) }, "ca.key holds no private key in PEM"},
		}
		for name, c := range cases {
			if name == "an open key" && runtime.GOOS == "windows" {
				continue
			}
			dir := t.TempDir()
			_, err := mitm.OpenCA(dir)
			require.NoError(t, err)
			require.NoError(t, c.spoil(dir))
			_, err = mitm.OpenCA(dir)
			assert.ErrorContains(t, err, c.want, name)
			assert.ErrorContains(t, err, dir, name)
			if c.want == "ca.key but no " {
				_, err := os.Stat(filepath.Join(dir, "ca.key"))
				assert.NoError(t, err, "what is there stays there")
			}
		}
	})
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	_, err := mitm.OpenCA(filepath.Join(file, "ca"))
	assert.ErrorContains(t, err, "mitm: making the CA's directory")
}

// write puts PEM blocks into a file.
func write(t testing.TB, file string, blocks ...*pem.Block) string {
	t.Helper()
	var b bytes.Buffer
	for _, block := range blocks {
		require.NoError(t, pem.Encode(&b, block))
	}
	file = filepath.Join(t.TempDir(), file)
	require.NoError(t, os.WriteFile(file, b.Bytes(), 0o600))
	return file
}

func certBlock(cert *x509.Certificate) *pem.Block {
	return &pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw}
}

func keyBlock(t testing.TB, key crypto.Signer) *pem.Block {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	return &pem.Block{Type: "PRIVATE KEY", Bytes: der}
}

// issue signs a CA certificate that edit has changed, by parent or by itself.
func issue(t testing.TB, parent *mitm.CA, edit func(*x509.Certificate)) *mitm.CA {
	t.Helper()
	key := keyOf["ECDSA"]()
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: "An authority"},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(time.Hour),
		BasicConstraintsValid: true,
		IsCA:                  true,
	}
	if edit != nil {
		edit(template)
	}
	var signer crypto.Signer = key
	signedBy := template
	if parent != nil {
		signer, signedBy = parent.Signer, parent.Certificate
	}
	der, err := x509.CreateCertificate(rand.Reader, template, signedBy, key.Public(), signer)
	require.NoError(t, err)
	return &mitm.CA{Certificate: must(x509.ParseCertificate(der)), Signer: key}
}

func TestLoadCARefuses(t *testing.T) {
	good := issue(t, nil, nil)
	other := issue(t, nil, nil)
	cases := map[string]struct {
		edit  func(*x509.Certificate)
		certs []*pem.Block
		keys  []*pem.Block
		want  string
	}{
		"expired":        {edit: func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }, want: `"CN=An authority" has expired (on 20`},
		"not yet valid":  {edit: func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Minute) }, want: "is not valid before 20"},
		"no CA":          {edit: func(c *x509.Certificate) { c.IsCA = false }, want: "is not a CA certificate"},
		"no constraints": {edit: func(c *x509.Certificate) { c.BasicConstraintsValid, c.IsCA = false, false }, want: "is not a CA certificate"},
		"may not sign":   {edit: func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageDigitalSignature }, want: "does not allow to sign certificates"},
		"not for servers": {edit: func(c *x509.Certificate) {
			c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning}
		}, want: "does not allow servers"},
		"another key":    {keys: []*pem.Block{keyBlock(t, other.Signer)}, want: "does not match the first certificate in"},
		"no certificate": {certs: []*pem.Block{}, want: "holds no certificate in PEM"},
		"bad certificate": {certs: []*pem.Block{certBlock(good.Certificate), {Type: "CERTIFICATE", Bytes: []byte{1}}},
			want: "certificate 2 cannot be read"},
		"chain out of order": {certs: []*pem.Block{certBlock(good.Certificate), certBlock(other.Certificate)}, want: "out of order"},
		"no key":             {keys: []*pem.Block{certBlock(good.Certificate)}, want: "holds no private key in PEM"},
		"encrypted, PKCS #8": {keys: []*pem.Block{{Type: "ENCRYPTED PRIVATE KEY"}}, want: "is encrypted: decrypt it with: openssl pkey -in"},
		"encrypted, PKCS #1": {keys: []*pem.Block{{Type: "RSA PRIVATE KEY", Headers: map[string]string{"Proc-Type": "4,ENCRYPTED"}}}, want: "is encrypted"},
		"bad key":            {keys: []*pem.Block{{Type: "EC PRIVATE KEY", Bytes: []byte{1}}}, want: "cannot be used"},
		"unknown key":        {keys: []*pem.Block{{Type: "DSA PRIVATE KEY", Bytes: []byte{1}}}, want: `"DSA PRIVATE KEY" is not a form known here`},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			ca := good
			if c.edit != nil {
				ca = issue(t, nil, c.edit)
			}
			if c.certs == nil {
				c.certs = []*pem.Block{certBlock(ca.Certificate)}
			}
			if c.keys == nil {
				c.keys = []*pem.Block{keyBlock(t, ca.Signer)}
			}
			certFile, keyFile := write(t, "a.crt", c.certs...), write(t, "a.key", c.keys...)
			_, err := mitm.LoadCA(certFile, keyFile)
			require.ErrorContains(t, err, c.want)
			assert.True(t, strings.HasPrefix(err.Error(), "mitm: "), "%v", err)
			assert.True(t, strings.Contains(err.Error(), certFile) || strings.Contains(err.Error(), keyFile), "%v", err)
			assert.Equal(t, 1, strings.Count(err.Error(), "mitm: "), "%v", err)
		})
	}
	_, err := mitm.LoadCA("/nonexistent/ca.crt", "/nonexistent/ca.key")
	assert.ErrorIs(t, err, os.ErrNotExist)
}

// Every kind of key in every form, with and without what else such files hold.
func TestLoadCAForms(t *testing.T) {
	for kind, newKey := range keyOf {
		ca, err := mitm.NewCA(mitm.CAConfig{Signer: newKey()})
		require.NoError(t, err)
		forms := map[string]*pem.Block{"PKCS #8": keyBlock(t, ca.Signer)}
		switch key := ca.Signer.(type) {
		case *ecdsa.PrivateKey:
			forms["SEC 1"] = &pem.Block{Type: "EC PRIVATE KEY", Bytes: must(x509.MarshalECPrivateKey(key))}
		case interface{ Size() int }: // RSA
		}
		for form, block := range forms {
			t.Run(kind+" "+form, func(t *testing.T) {
				certFile := write(t, "ca.crt", certBlock(ca.Certificate), certBlock(ca.Certificate))
				keyFile := write(t, "ca.key", &pem.Block{Type: "EC PARAMETERS"}, block)
				loaded, err := mitm.LoadCA(certFile, keyFile)
				require.NoError(t, err)
				assert.Equal(t, ca.Fingerprint(), loaded.Fingerprint())
				assert.Empty(t, loaded.Chain, "a repeated certificate is no chain")
				both := write(t, "both.pem", block, certBlock(ca.Certificate))
				_, err = mitm.LoadCA(both, both)
				assert.NoError(t, err)
			})
		}
	}
}

// openssl runs the program, or skips the test if there is none.
func openssl(t testing.TB, dir string, args ...string) string {
	t.Helper()
	program, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("openssl is not installed")
	}
	cmd := exec.Command(program, args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "openssl %s\n%s", strings.Join(args, " "), out)
	return string(out)
}

// Authorities made by openssl in its several ways are loaded, and its strictest
// check accepts what they sign.
func TestOpenSSL(t *testing.T) {
	request := []string{"req", "-new", "-x509", "-days", "365", "-subj", "/CN=By openssl", "-key", "ca.key", "-out", "ca.crt"}
	cases := map[string][][]string{
		"RSA, PKCS #8":   {{"genrsa", "-out", "ca.key", "2048"}, request},
		"RSA, PKCS #1":   {{"genrsa", "-out", "8.key", "2048"}, {"rsa", "-in", "8.key", "-traditional", "-out", "ca.key"}, request},
		"ECDSA, SEC 1":   {{"ecparam", "-name", "prime256v1", "-genkey", "-out", "ca.key"}, request},
		"ECDSA, P-384":   {{"genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384", "-out", "ca.key"}, request},
		"Ed25519":        {{"genpkey", "-algorithm", "ed25519", "-out", "ca.key"}, request},
		"with key usage": {{"genrsa", "-out", "ca.key", "2048"}, append(request[:len(request):len(request)], "-addext", "keyUsage=critical,keyCertSign,cRLSign")},
	}
	for kind := range keyOf {
		cases["our own, "+kind] = nil
	}
	for name, commands := range cases {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for _, args := range commands {
				openssl(t, dir, args...)
			}
			if kind, ok := strings.CutPrefix(name, "our own, "); ok {
				ca, err := mitm.NewCA(mitm.CAConfig{Signer: keyOf[kind]()})
				require.NoError(t, err)
				require.NoError(t, os.WriteFile(filepath.Join(dir, "ca.crt"), ca.PEM(), 0o600))
				require.NoError(t, os.WriteFile(filepath.Join(dir, "ca.key"), pem.EncodeToMemory(keyBlock(t, ca.Signer)), 0o600))
			}
			ca, err := mitm.LoadCA(filepath.Join(dir, "ca.crt"), filepath.Join(dir, "ca.key"))
			require.NoError(t, err)
			assert.Contains(t, openssl(t, dir, "x509", "-in", "ca.crt", "-noout", "-fingerprint", "-sha256"), ca.Fingerprint())

			issuer := &mitm.CertIssuer{CA: ca}
			for name, flag := range map[string]string{
				host:                     "-verify_hostname",
				"192.0.2.1":              "-verify_ip",
				"2001:db8::1":            "-verify_ip",
				strings.Repeat("a.", 60): "-verify_hostname", // too long for a common name
			} {
				leaf, err := issuer.Issue(t.Context(), name)
				require.NoError(t, err)
				require.NoError(t, os.WriteFile(filepath.Join(dir, "leaf.crt"), pem.EncodeToMemory(certBlock(leafOf(leaf))), 0o600))
				verify := []string{"verify", "-CAfile", "ca.crt", "-purpose", "sslserver", flag, strings.TrimSuffix(name, "."), "leaf.crt"}
				openssl(t, dir, verify...)
				// The strict check wants a key usage in the CA certificate,
				// which that of the plain command has not: then it complains
				// of the CA itself.
				if ca.Certificate.KeyUsage != 0 {
					openssl(t, dir, append([]string{"verify", "-x509_strict"}, verify[1:]...)...)
				}
			}
		})
	}
}
