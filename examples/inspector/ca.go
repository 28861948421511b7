package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"

	"github.com/proxyglass/proxyglass/mitm"
)

// authority is the CA with the file that clients have to trust.
type authority struct {
	*mitm.CA
	file string
}

// openCA opens the CA that the flags name, and makes it if need be. It returns
// nil when nothing is to be opened and no CA was named.
func openCA(o *options) (*authority, error) {
	if o.caCert != "" {
		ca, err := mitm.LoadCA(o.caCert, o.caKey)
		return &authority{ca, o.caCert}, err
	}
	dir := o.caDir
	if dir == "" {
		if !o.opens() {
			return nil, nil
		}
		config, err := os.UserConfigDir()
		if err != nil {
			return nil, fmt.Errorf("no place for a CA (see -ca): %w", err)
		}
		dir = filepath.Join(config, "proxyglass")
	}
	if whole, err := filepath.Abs(dir); err == nil {
		dir = whole
	}
	ca, err := mitm.OpenCA(dir)
	return &authority{ca, filepath.Join(dir, mitm.CertFile)}, err
}

// terminator opens TLS, or is nil if none is to be opened.
func terminator(o *options, ca *authority) (*mitm.Terminator, error) {
	upstream := &tls.Config{InsecureSkipVerify: o.upstreamInsecure}
	if o.upstreamCA != "" {
		pool, err := roots(o.upstreamCA)
		if err != nil {
			return nil, fmt.Errorf("-upstream-ca: %w", err)
		}
		upstream.RootCAs = pool
	}
	if !o.opens() {
		return nil, nil
	}
	return &mitm.Terminator{
		Issuer:   &mitm.CertIssuer{CA: ca.CA},
		Upstream: upstream,
		ALPN:     o.protocols(),
	}, nil
}

// roots is the system's, and those in a file.
func roots(file string) (*x509.CertPool, error) {
	rest, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		return nil, err
	}
	found := 0
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		found++
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%s: certificate %d: %w", file, found, err)
		}
		pool.AddCert(cert)
	}
	if found == 0 {
		return nil, fmt.Errorf("%s: no certificate in PEM", file)
	}
	return pool, nil
}
