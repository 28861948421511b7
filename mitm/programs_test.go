package mitm_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/tls"
	"encoding/pem"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/proxyglass/proxyglass/mitm"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// program finds a program that is not ours, or skips the test.
func program(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("%s is not installed", name)
	}
	return path
}

// portFor listens for one client, opens its connection to the origin and
// relays. A client whose origin failed is told so in HTTP.
func (r *rig) portFor(t testing.TB, originAddr string) (addr string, outcome <-chan error) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { l.Close() })
	done := make(chan error, 1)
	go func() {
		client, err := l.Accept()
		if err != nil {
			done <- err
			return
		}
		defer client.Close()
		server, err := net.Dial("tcp", originAddr)
		if err != nil {
			done <- err
			return
		}
		defer server.Close()
		opened, err := r.term.Terminate(context.Background(), client, server, host)
		done <- err
		if opened == nil {
			return
		}
		defer opened.Client.Close()
		if opened.Server == nil {
			opened.Client.Read(make([]byte, 4096))
			body := err.Error() + "\n"
			io.WriteString(opened.Client, "HTTP/1.1 502 Bad Gateway\r\nConnection: close\r\n\r\n"+body)
			return
		}
		go io.Copy(opened.Server, opened.Client)
		io.Copy(opened.Client, opened.Server)
	}()
	return l.Addr().String(), done
}

func (r *rig) writeCA(t testing.TB) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "ca.crt")
	require.NoError(t, os.WriteFile(file, r.ca.PEM(), 0o600))
	return file
}

// httpOrigin answers each connection's first request over TLS.
func httpOrigin(t testing.TB, cfg *tls.Config) string {
	t.Helper()
	l, err := tls.Listen("tcp", "127.0.0.1:0", cfg)
	require.NoError(t, err)
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				if _, err := c.Read(make([]byte, 4096)); err == nil {
					io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
				}
			}()
		}
	}()
	return l.Addr().String()
}

func TestCurl(t *testing.T) {
	curl := program(t, "curl")
	get := func(r *rig, addr string) string {
		_, port, _ := net.SplitHostPort(addr)
		out, err := exec.Command(curl, "-sS", "--noproxy", "*", "--max-time", "10", "--cacert", r.writeCA(t),
			"--connect-to", "::127.0.0.1:"+port, "-w", " %{http_code}", "https://"+host+"/").CombinedOutput()
		require.NoError(t, err, "%s", out)
		return string(out)
	}
	for kind, key := range keyOf {
		if kind == "Ed25519" {
			continue // builds of curl differ in whether they take it
		}
		r := newRig(t)
		var err error
		r.ca, err = mitm.NewCA(mitm.CAConfig{Signer: key()})
		require.NoError(t, err)
		r.term.Issuer = &mitm.CertIssuer{CA: r.ca}
		cfg := &tls.Config{Certificates: []tls.Certificate{r.originCert(host, nil)}, NextProtos: []string{"h2", "http/1.1"}}
		addr, outcome := r.portFor(t, httpOrigin(t, cfg))
		assert.Equal(t, "ok 200", get(r, addr), kind)
		assert.NoError(t, <-outcome)
	}
	t.Run("told why", func(t *testing.T) {
		r := newRig(t)
		cfg := &tls.Config{Certificates: []tls.Certificate{newRig(t).originCert(host, nil)}}
		addr, outcome := r.portFor(t, httpOrigin(t, cfg))
		assert.Contains(t, get(r, addr), "the certificate is signed by an unknown authority (CN=Origins)\n 502")
		assert.Error(t, <-outcome)
	})
}

// openssl as the client, with and without server name and ALPN.
func TestOpenSSLClient(t *testing.T) {
	openssl := program(t, "openssl")
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"TLS 1.3":            {[]string{"-servername", host, "-tls1_3", "-alpn", "h2,http/1.1"}, "ALPN protocol: http/1.1"},
		"TLS 1.2":            {[]string{"-servername", host, "-tls1_2"}, "No ALPN negotiated"},
		"no SNI":             {[]string{"-noservername"}, "Verification: OK"},
		"retry of the hello": {[]string{"-servername", host, "-groups", "P-384"}, "Verification: OK"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			cfg := &tls.Config{Certificates: []tls.Certificate{r.originCert(host, nil)}, NextProtos: []string{"h2", "http/1.1"}}
			addr, outcome := r.portFor(t, httpOrigin(t, cfg))
			cmd := exec.Command(openssl, append([]string{"s_client", "-connect", addr, "-CAfile", r.writeCA(t),
				"-verify_return_error", "-verify_hostname", host, "-ign_eof"}, c.args...)...)
			cmd.Stdin = strings.NewReader("GET / HTTP/1.1\r\nHost: " + host + "\r\n\r\n")
			out, err := cmd.CombinedOutput()
			require.NoError(t, err, "%s", out)
			require.NoError(t, <-outcome)
			assert.Contains(t, string(out), c.want)
			assert.Contains(t, string(out), "HTTP/1.1 200 OK")
		})
	}
}

// openssl as the origin.
func TestOpenSSLServer(t *testing.T) {
	openssl := program(t, "openssl")
	for name, c := range map[string]struct {
		args []string
		want string // empty: it works
	}{
		"TLS 1.3":                            {[]string{"-tls1_3", "-alpn", "http/1.1"}, ""},
		"TLS 1.2":                            {[]string{"-tls1_2"}, ""},
		"a client certificate, with TLS 1.2": {[]string{"-tls1_2", "-Verify", "1"}, "it sent the alert: "},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			cert := r.originCert(host, nil)
			certFile := write(t, "cert.pem", &pem.Block{Type: "CERTIFICATE", Bytes: cert.Certificate[0]})
			keyFile := write(t, "key.pem", keyBlock(t, cert.PrivateKey.(crypto.Signer)))
			port := freePort(t)
			cmd := exec.Command(openssl, append([]string{"s_server", "-accept", port, "-cert", certFile, "-key", keyFile, "-www"}, c.args...)...)
			cmd.Stdout, cmd.Stderr = new(bytes.Buffer), new(bytes.Buffer)
			require.NoError(t, cmd.Start())
			defer cmd.Wait()
			defer cmd.Process.Kill()
			require.Eventually(t, func() bool {
				c, err := net.Dial("tcp", port)
				if err == nil {
					c.Close()
				}
				return err == nil
			}, 5*time.Second, 10*time.Millisecond)

			addr, outcome := r.portFor(t, port)
			conn, err := tls.Dial("tcp", addr, r.clientTo(host, "http/1.1"))
			require.NoError(t, err)
			defer conn.Close()
			if c.want != "" {
				assert.ErrorContains(t, <-outcome, c.want)
				return
			}
			require.NoError(t, <-outcome)
			io.WriteString(conn, "GET / HTTP/1.0\r\n\r\n")
			answer, _ := io.ReadAll(conn)
			assert.Contains(t, string(answer), "HTTP/1.0 200 ok")
		})
	}
}

func freePort(t testing.TB) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().String()
}
