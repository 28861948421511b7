package mitm

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// The names of the two files of an authority made by [OpenCA].
const (
	CertFile = "ca.crt"
	KeyFile  = "ca.key"
)

// How long OpenCA waits for another process that has begun to make the
// authority in the same directory: from making the key to the finished
// certificate is a matter of milliseconds.
const (
	makeWait = 2 * time.Second
	makePoll = 10 * time.Millisecond
)

// OpenCA opens the authority in a directory, and makes it the first time: an
// ECDSA key on P-256 in ca.key, which only the owner may read, and a
// certificate in ca.crt (see [NewCA]). The directory is made too if it is not
// there, with mode 0700. Any number of processes may do so at once; they all
// get the same authority.
//
// That only one of the files is there is an error, and so is a key that others
// than its owner may read (not on Windows, whose permissions are of another
// kind): it was made with mode 0600, so somebody has opened it to others since.
func OpenCA(dir string) (*CA, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("mitm: making the CA's directory: %w", err)
	}
	certFile, keyFile := filepath.Join(dir, CertFile), filepath.Join(dir, KeyFile)
	cert, err := exists(certFile)
	if err != nil {
		return nil, err
	}
	key, err := exists(keyFile)
	switch {
	case err != nil:
		return nil, err
	case cert && !key:
		// Looked at in the order opposite to the one of writing: a key that
		// came after the certificate is not ours.
		return nil, fmt.Errorf("mitm: there is %s but no %s: put the key back, or remove the certificate to have a new CA made", certFile, keyFile)
	case !key:
		err := makeCAFiles(certFile, keyFile)
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
		fallthrough
	case !cert:
		if err := awaitFile(certFile, keyFile); err != nil {
			return nil, err
		}
	}
	if err := checkPrivate(keyFile); err != nil {
		return nil, err
	}
	return LoadCA(certFile, keyFile)
}

func exists(file string) (bool, error) {
	_, err := os.Stat(file)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("mitm: opening the CA: %w", err)
	}
	return true, nil
}

// makeCAFiles writes a new authority. To create the key's file is to win the
// race of several processes: who finds it there gets fs.ErrExist. The
// certificate comes last and in one piece, so when it is there all is.
func makeCAFiles(certFile, keyFile string) (err error) {
	ca, err := NewCA(CAConfig{})
	if err != nil {
		return err
	}
	der, err := x509.MarshalPKCS8PrivateKey(ca.Signer)
	if err != nil {
		return fmt.Errorf("mitm: writing the CA's key: %w", err)
	}
	if err := writeNew(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		return fmt.Errorf("mitm: writing the CA's key: %w", err)
	}
	temporary := certFile + ".new"
	defer func() {
		if err != nil {
			os.Remove(temporary)
			os.Remove(keyFile) // ours: nobody else writes while it is there
			err = fmt.Errorf("mitm: writing the CA's certificate: %w", err)
		}
	}()
	// A leftover of a process that was killed here is nobody's.
	if err := os.Remove(temporary); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := writeNew(temporary, ca.PEM(), 0o644); err != nil {
		return err
	}
	return os.Rename(temporary, certFile)
}

// writeNew writes a file that must not be there yet, down to the disk.
func writeNew(file string, data []byte, mode fs.FileMode) error {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		os.Remove(file)
	}
	return err
}

// awaitFile waits for the certificate of a key that is there: another process
// may be about to write it.
func awaitFile(certFile, keyFile string) error {
	for deadline := time.Now().Add(makeWait); ; time.Sleep(makePoll) {
		there, err := exists(certFile)
		if there || err != nil {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("mitm: there is %s but no %s: put the certificate back, or remove the key to have a new CA made", keyFile, certFile)
		}
	}
}

// checkPrivate refuses a key that others may read.
func checkPrivate(keyFile string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	info, err := os.Stat(keyFile)
	if err != nil {
		return fmt.Errorf("mitm: opening the CA: %w", err)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return fmt.Errorf("mitm: others than its owner have access to the CA's key %s (mode %04o): chmod 600 it, or make a new CA if somebody may have read it", keyFile, mode)
	}
	return nil
}

// LoadCA reads an authority from two PEM files, as openssl writes them:
//
//	openssl genrsa -out ca.key 2048
//	openssl req -new -x509 -days 365 -key ca.key -out ca.crt
//
// The key is RSA, ECDSA or Ed25519, in PKCS #1, SEC 1 or PKCS #8, and not
// encrypted. The certificate's file may go on with the certificates above it,
// each signed by the next ([CA.Chain]). Both may be the same file.
//
// An error names the file and what is wrong with it: the key does not match
// the certificate, the certificate is not one of a CA, may not sign, has
// expired or is not valid yet. The files' modes are not looked at; to keep
// the key to its owner is up to who made it.
func LoadCA(certFile, keyFile string) (*CA, error) {
	certs, err := readCerts(certFile)
	if err != nil {
		return nil, err
	}
	signer, err := readKey(keyFile)
	if err != nil {
		return nil, err
	}
	ca := &CA{Certificate: certs[0], Chain: certs[1:], Signer: signer}
	if !publicKeysEqual(ca.Certificate.PublicKey, signer.Public()) {
		return nil, fmt.Errorf("mitm: the key in %s does not match the first certificate in %s", keyFile, certFile)
	}
	if err := ca.check(time.Now()); err != nil {
		return nil, fmt.Errorf("mitm: %s: %s", certFile, strings.TrimPrefix(err.Error(), "mitm: "))
	}
	return ca, nil
}

func readCerts(file string) ([]*x509.Certificate, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("mitm: reading the CA's certificate: %w", err)
	}
	var certs []*x509.Certificate
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("mitm: %s: certificate %d cannot be read: %w", file, len(certs)+1, err)
		}
		// Some tools repeat a certificate that is in a chain already.
		if n := len(certs); n > 0 && bytes.Equal(certs[n-1].Raw, cert.Raw) {
			continue
		}
		certs = append(certs, cert)
	}
	if len(certs) == 0 {
		return nil, fmt.Errorf("mitm: %s holds no certificate in PEM", file)
	}
	return certs, nil
}

func readKey(file string) (crypto.Signer, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("mitm: reading the CA's key: %w", err)
	}
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		if !strings.HasSuffix(block.Type, "PRIVATE KEY") {
			continue // EC PARAMETERS, a certificate in the same file
		}
		if block.Type == "ENCRYPTED PRIVATE KEY" || strings.Contains(block.Headers["Proc-Type"], "ENCRYPTED") {
			return nil, fmt.Errorf("mitm: the key in %s is encrypted: decrypt it with: openssl pkey -in %s -out plain.key", file, file)
		}
		signer, err := parseKey(block)
		if err != nil {
			return nil, fmt.Errorf("mitm: the key in %s cannot be used: %w", file, err)
		}
		return signer, nil
	}
	return nil, fmt.Errorf("mitm: %s holds no private key in PEM", file)
}

func parseKey(block *pem.Block) (crypto.Signer, error) {
	switch block.Type {
	case "RSA PRIVATE KEY":
		return x509.ParsePKCS1PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		return x509.ParseECPrivateKey(block.Bytes)
	case "PRIVATE KEY":
		key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
		if err != nil {
			return nil, err
		}
		switch key := key.(type) {
		case *rsa.PrivateKey:
			return key, nil
		case *ecdsa.PrivateKey:
			return key, nil
		case ed25519.PrivateKey:
			return key, nil
		}
		return nil, fmt.Errorf("it is of type %T (RSA, ECDSA and Ed25519 can be used)", key)
	}
	return nil, fmt.Errorf("%q is not a form known here (RSA, EC and PKCS #8 are)", block.Type)
}
