package main

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/proxyglass/proxyglass/record"
)

// TestHello runs the program as a newcomer does, and sends it one request.
func TestHello(t *testing.T) {
	const address = "127.0.0.1:8080" // as the program has it, for being short
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Skip("the program's port is taken:", err)
	}
	require.NoError(t, l.Close())

	dir := t.TempDir()
	program := filepath.Join(dir, "hello.exe")
	out, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput()
	require.NoError(t, err, "%s", out)
	cmd := exec.CommandContext(t.Context(), program)
	cmd.Dir, cmd.Stderr = dir, t.Output()
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	defer cmd.Wait()
	defer cmd.Process.Kill()
	require.Eventually(t, func() bool {
		c, err := net.Dial("tcp", address)
		if err == nil {
			c.Close()
		}
		return err == nil
	}, 10*time.Second, 10*time.Millisecond)

	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "hello")
	}))
	defer origin.Close()
	through := &http.Transport{Proxy: http.ProxyURL(&url.URL{Scheme: "http", Host: address})}
	defer through.CloseIdleConnections()
	resp, err := (&http.Client{Transport: through, Timeout: 10 * time.Second}).Get(origin.URL + "/greeting")
	require.NoError(t, err)
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	assert.Equal(t, "hello", string(body))

	for r, err := range record.Read(stdout) {
		require.NoError(t, err)
		require.NotNil(t, r.HTTP)
		assert.Equal(t, http.MethodGet, r.HTTP.Method)
		assert.Equal(t, http.StatusOK, r.HTTP.StatusCode)
		assert.Equal(t, "hello", string(r.HTTP.Response.Body))
		break
	}
	if key, err := os.Stat(filepath.Join(dir, "ca", "ca.key")); assert.NoError(t, err) {
		assert.EqualValues(t, 0o600, key.Mode().Perm())
	}
}
