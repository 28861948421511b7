package main_test

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestMistakes: whatever is wrong with how it is called, the program says so in
// one line.
func TestMistakes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	garbage := write("garbage", "no PEM\n")
	broken := write("broken", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
	cert, key := seedCA(t)
	_, otherKey := seedCA(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { l.Close() })

	const more = " (-h lists the flags)"
	for _, c := range []struct {
		name string
		args []string
		code int
		line string // without "inspector: "
	}{
		{"unknown flag", []string{"-colour"}, 2, "flag provided but not defined: -colour" + more},
		{"flag without its value", []string{"-listen"}, 2, "flag needs an argument: -listen" + more},
		{"argument", []string{"file"}, 2, `unexpected argument "file"` + more},
		{"no duration", []string{"-sniff-timeout", "3"}, 2, `invalid value "3" for flag -sniff-timeout: parse error` + more},
		{"negative duration", []string{"-sniff-timeout", "-3s"}, 2, "-sniff-timeout: must be positive" + more},
		{"negative body", []string{"-body", "-1"}, 2, "-body: must not be negative" + more},
		{"no rate", []string{"-ws-rate", "NaN"}, 2, "-ws-rate: must be a number; a negative one means all" + more},
		{"h2", []string{"-alpn", "h2"}, 2, "-alpn: h2 cannot be opened yet" + more},
		{"empty rules", []string{"-mitm", ""}, 2, `-mitm: bypass: rule 1 "": empty rule` + more},
		{"unknown rules", []string{"-mitm", "a.test,b..test,10.0.0.0/99"}, 2,
			`-mitm: bypass: rule 2 "b..test": a label is empty; rule 3 "10.0.0.0/99": not a CIDR range (address/bits)` + more},
		{"unknown bypass", []string{"-bypass", "a.test:0"}, 2,
			`-bypass: bypass: rule 1 "a.test:0": a port is a number from 1 to 65535, or two of them with a hyphen` + more},
		{"no records", []string{"-records", ""}, 2, "-records: empty; say none to record nothing" + more},
		{"URL without a host", []string{"-records", "http:///x"}, 2, `-records: no host in "http:///x"` + more},
		{"URL of another kind", []string{"-records", "ftp://x/"}, 2, "-records: http and https are known, not ftp" + more},
		{"certificate without key", []string{"-ca-cert", cert}, 2, "-ca-cert and -ca-key go together" + more},

		{"no such file", []string{"-records", filepath.Join(dir, "no", "file")}, 1, "-records: record: open " + filepath.Join(dir, "no", "file") + ": no such file or directory"},
		{"no such CA", []string{"-ca-cert", "/no/ca", "-ca-key", key}, 1, "mitm: reading the CA's certificate: open /no/ca: no such file or directory"},
		{"CA of garbage", []string{"-ca-cert", garbage, "-ca-key", key}, 1, ""},
		{"another CA's key", []string{"-ca-cert", cert, "-ca-key", otherKey}, 1, ""},
		{"CA directory that is a file", []string{"-ca", garbage}, 1, ""},
		{"no such roots", []string{"-upstream-ca", "/no/roots"}, 1, "-upstream-ca: open /no/roots: no such file or directory"},
		{"roots of garbage", []string{"-upstream-ca", garbage}, 1, "-upstream-ca: " + garbage + ": no certificate in PEM"},
		{"broken roots", []string{"-upstream-ca", broken}, 1, ""},
		{"no address", []string{"-listen", "nowhere"}, 1, "listen tcp: address nowhere: missing port in address"},
		{"port in use", []string{"-listen", l.Addr().String()}, 1, "listen tcp " + l.Addr().String() + ": bind: address already in use"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			args := append([]string{"-listen", "127.0.0.1:0", "-ca", filepath.Join(work, "ca")}, c.args...)
			r := command(t, nil, program, args...)
			assert.Equal(t, c.code, r.code)
			assert.Empty(t, r.out)
			text, ok := strings.CutPrefix(r.err, "inspector: ")
			assert.True(t, ok && strings.Count(text, "\n") == 1 && strings.HasSuffix(text, "\n"), "not one line: %q", r.err)
			if c.line != "" {
				assert.Equal(t, c.line+"\n", text)
			}
		})
	}
}

func TestHelp(t *testing.T) {
	t.Parallel()
	r := command(t, nil, program, "-h")
	assert.Zero(t, r.code)
	assert.Empty(t, r.err)
	for _, name := range []string{"listen", "ca", "ca-cert", "ca-key", "records", "mitm", "bypass", "alpn", "sniff",
		"sniff-timeout", "body", "ws-rate", "upstream-ca", "upstream-insecure"} {
		assert.Regexp(t, `(?m)^  -`+name+`\b`, r.out)
	}
}

// TestGreeting looks at what the program says when it starts, and does as told.
func TestGreeting(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	cmd := exec.Command(program, "-listen", "127.0.0.1:0", "-records", "none")
	cmd.Env = []string{"HOME=" + home, "XDG_CONFIG_HOME=", noLinger}
	p := &inspector{t: t, cmd: cmd, ended: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = &p.out, &p.err
	require.NoError(t, cmd.Start())
	go func() { defer close(p.ended); _ = cmd.Wait() }()
	t.Cleanup(func() { cmd.Process.Kill() })
	eventually(t, "the greeting", func() bool { return strings.Contains(p.err.String(), "\ntry ") }, &p.err)

	config, err := filepath.Glob(filepath.Join(home, "*", "proxyglass", "ca.crt"))
	require.NoError(t, err)
	require.Len(t, config, 1, "the CA is under the user's config directory")
	text := p.err.String()
	assert.Regexp(t, `(?m)^listening on 127\.0\.0\.1:[1-9]\d*$`, text)
	assert.Contains(t, text, config[0])
	if _, err := exec.LookPath("openssl"); err == nil {
		out := command(t, nil, "openssl", "x509", "-in", config[0], "-noout", "-fingerprint", "-sha256").out
		_, fingerprint, _ := strings.Cut(strings.TrimSpace(out), "=")
		assert.Contains(t, text, fingerprint)
	}
	key, err := os.Stat(filepath.Join(filepath.Dir(config[0]), "ca.key"))
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o600), key.Mode().Perm())
	assert.Regexp(t, `(?m)^try curl -x http://127\.0\.0\.1:\d+ --cacert \S+/ca\.crt https://\S+$`, text)
	p.stop()
	assert.Empty(t, p.out.String())
}
