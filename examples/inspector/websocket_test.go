package main_test

import (
	"bufio"
	"bytes"
	"compress/flate"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"io"
	"math/rand"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsflate"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// messages are sent by every client, and echoed by every server.
var messages = []struct {
	op   ws.OpCode
	data []byte
}{
	{ws.OpText, []byte("hello")},
	{ws.OpText, bytes.Repeat([]byte("a"), 3000)},
	{ws.OpBinary, noise(100 << 10)},
	{ws.OpText, []byte{}},
}

// noise is bytes that do not get shorter, the same at each run.
func noise(n int) []byte {
	b := make([]byte, n)
	rand.New(rand.NewSource(1)).Read(b)
	return b
}

// digest is over all messages, in order.
func digest() string {
	h := sha256.New()
	for _, m := range messages {
		h.Write(m.data)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// TestWebSocket: clients and servers of others understand each other, with
// permessage-deflate (RFC 7692), in the clear and over TLS.
func TestWebSocket(t *testing.T) {
	t.Parallel()
	servers := map[string]func(*testing.T, *tls.Certificate) string{"gobwas": gobwasServer, "node": nodeServer}
	clients := map[string]func(*testing.T, *inspector, way, string) string{"gobwas": gobwasClient, "node": nodeClient}
	for _, w := range []way{tunnel, opened} {
		for serverName, server := range servers {
			for clientName, client := range clients {
				t.Run(w.name+" "+clientName+" to "+serverName, func(t *testing.T) {
					t.Parallel()
					var cert *tls.Certificate
					if w.name == opened.name {
						cert = &pki.good
					}
					addr := server(t, cert)
					p := start(t, "-ws-rate", "-1", "-body", "1000000")
					assert.Equal(t, digest(), client(t, p, w, addr))
					p.await(1, func(e *entry) bool { return e.WebSocket == nil })
					conversed(t, p.stop(), w)
				})
			}
		}
	}
}

// conversed checks the records: the messages, one frame each way, and the end.
func conversed(t *testing.T, all []*entry, w way) {
	t.Helper()
	frames := map[string][]*entry{}
	for _, e := range all {
		assert.Equal(t, 101, e.HTTP.StatusCode)
		assert.Equal(t, w.scheme == "https", e.TLS != nil && e.TLS.Intercepted)
		if e.WebSocket == nil {
			assert.Contains(t, e.HTTP.Response.Header.Get("Sec-Websocket-Extensions"), "permessage-deflate")
			continue
		}
		assert.Nil(t, e.HTTP.Request)
		frames[e.WebSocket.From] = append(frames[e.WebSocket.From], e)
	}
	for _, from := range []string{"client", "server"} {
		of := frames[from]
		if !assert.Len(t, of, len(messages)+1, from) {
			return
		}
		compressed := 0
		for i, m := range messages {
			f := of[i].WebSocket
			assert.Equal(t, int(m.op), f.Opcode)
			assert.True(t, f.Fin)
			assert.Equal(t, from == "client", f.Masked)
			assert.Equal(t, f.Masked, f.MaskKey != 0)
			assert.EqualValues(t, len(f.Payload), f.Length)
			payload := f.Unmasked()
			if f.Rsv1 {
				compressed++
				payload = inflate(t, payload)
			}
			assert.True(t, bytes.Equal(m.data, payload), "%s, message %d", from, i)
		}
		last := of[len(messages)].WebSocket
		assert.Equal(t, 8, last.Opcode)
		assert.Equal(t, []byte{0x03, 0xE8}, last.Unmasked()[:2])
		if from == "server" { // not all clients compress what they send
			assert.Equal(t, len(messages), compressed)
		}
	}
}

// inflate undoes the compression of one message.
func inflate(t *testing.T, b []byte) []byte {
	t.Helper()
	tail := "\x00\x00\xff\xff\x01\x00\x00\xff\xff"
	got, err := io.ReadAll(flate.NewReader(io.MultiReader(bytes.NewReader(b), strings.NewReader(tail))))
	require.NoError(t, err)
	return got
}

// gobwasServer echoes messages.
func gobwasServer(t *testing.T, cert *tls.Certificate) string {
	return serve(t, cert, func(c net.Conn) {
		deflate := wsflate.Extension{Parameters: wsflate.DefaultParameters}
		if _, err := (ws.Upgrader{Negotiate: deflate.Negotiate}).Upgrade(c); err != nil {
			return
		}
		_, compress := deflate.Accepted()
		for {
			f, err := readFrame(c)
			if err != nil {
				return
			}
			f = ws.UnmaskFrameInPlace(f)
			if f.Header.OpCode.IsControl() {
				ws.WriteFrame(c, ws.NewCloseFrame(f.Payload))
				return
			}
			if f, err = wsflate.DecompressFrame(f); err != nil {
				return
			}
			f = ws.NewFrame(f.Header.OpCode, true, f.Payload)
			if compress {
				if f, err = wsflate.CompressFrame(f); err != nil {
					return
				}
			}
			if ws.WriteFrame(c, f) != nil {
				return
			}
		}
	})
}

// gobwasClient sends the messages and returns the digest of what comes back.
func gobwasClient(t *testing.T, p *inspector, w way, addr string) string {
	t.Helper()
	d := ws.Dialer{
		NetDial:   func(context.Context, string, string) (net.Conn, error) { return p.tunnel(addr) },
		TLSConfig: trust(t, caFile(), "localhost"),
	}
	d.Extensions = append(d.Extensions, wsflate.DefaultParameters.Option())
	c, _, _, err := d.Dial(context.Background(), strings.Replace(w.scheme, "http", "ws", 1)+"://"+addr+"/")
	require.NoError(t, err)
	defer c.Close()
	h := sha256.New()
	for _, m := range messages {
		f, err := wsflate.CompressFrame(ws.NewFrame(m.op, true, m.data))
		require.NoError(t, err)
		require.NoError(t, ws.WriteFrame(c, ws.MaskFrame(f)))
		f, err = readFrame(c)
		require.NoError(t, err)
		f, err = wsflate.DecompressFrame(f)
		require.NoError(t, err)
		h.Write(f.Payload)
	}
	end := ws.NewCloseFrame(ws.NewCloseFrameBody(ws.StatusNormalClosure, "bye"))
	require.NoError(t, ws.WriteFrame(c, ws.MaskFrame(end)))
	f, err := readFrame(c)
	require.NoError(t, err)
	assert.Equal(t, ws.OpClose, f.Header.OpCode)
	return hex.EncodeToString(h.Sum(nil))
}

// readFrame reads a frame that one of ours has sent.
func readFrame(r io.Reader) (f ws.Frame, err error) {
	if f.Header, err = ws.ReadHeader(r); err == nil {
		f.Payload = make([]byte, f.Header.Length)
		_, err = io.ReadFull(r, f.Payload)
	}
	return f, err
}

// script writes a program for Node with its data beside it.
func script(t *testing.T, name string) (dir, path string) {
	t.Helper()
	dir = t.TempDir()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	require.NoError(t, err)
	path = filepath.Join(dir, name)
	require.NoError(t, os.WriteFile(path, text, 0o600))
	for i, m := range messages {
		kind := map[ws.OpCode]string{ws.OpText: "text", ws.OpBinary: "binary"}[m.op]
		require.NoError(t, os.WriteFile(filepath.Join(dir, fmt.Sprintf("%d.%s", i, kind)), m.data, 0o600))
	}
	return dir, path
}

// nodeClient is Node's own WebSocket, the same as a browser's. It knows no
// proxies, so it is led through one.
func nodeClient(t *testing.T, p *inspector, w way, addr string) string {
	t.Helper()
	node := need(t, "node")
	flags := []string{}
	if r := command(t, nil, node, "-p", "typeof WebSocket"); strings.TrimSpace(r.out) != "function" {
		flags = append(flags, "--experimental-websocket")
		if r := command(t, nil, node, append(flags, "-p", "typeof WebSocket")...); strings.TrimSpace(r.out) != "function" {
			t.Skip("this Node has no WebSocket")
		}
	}
	_, port, err := net.SplitHostPort(serve(t, nil, func(c net.Conn) {
		through, err := p.tunnel(addr)
		if !assert.NoError(t, err) {
			return
		}
		defer through.Close()
		go func() {
			io.Copy(through, c)
			through.(*net.TCPConn).CloseWrite()
		}()
		io.Copy(c, through)
	}))
	require.NoError(t, err)
	_, path := script(t, "client.mjs")
	url := strings.Replace(w.scheme, "http", "ws", 1) + "://localhost:" + port + "/"
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, node, append(flags, path, url)...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "NODE_EXTRA_CA_CERTS=" + caFile()}
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	require.NoError(t, err, "%s%s", out, said.String())
	return strings.TrimSpace(string(out))
}

// nodeServer is the server of ws, from npm, with compression of all messages.
func nodeServer(t *testing.T, cert *tls.Certificate) string {
	t.Helper()
	modules := os.Getenv("PROXYGLASS_NPM")
	if modules == "" {
		t.Skip("PROXYGLASS_NPM names no directory in which npm has installed ws")
	}
	dir, path := script(t, "server.cjs")
	if cert != nil {
		key, chain := pemOf(t, cert)
		require.NoError(t, os.WriteFile(filepath.Join(dir, "key.pem"), key, 0o600))
		require.NoError(t, os.WriteFile(filepath.Join(dir, "cert.pem"), chain, 0o600))
	}
	cmd := exec.Command(need(t, "node"), path)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "NODE_PATH=" + filepath.Join(modules, "node_modules")}
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	cmd.Stderr = os.Stderr
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	timer := time.AfterFunc(patience, func() { cmd.Process.Kill() })
	defer timer.Stop()
	port, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	return "127.0.0.1:" + strings.TrimSpace(port)
}

func pemOf(t *testing.T, cert *tls.Certificate) (key, chain []byte) {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	require.NoError(t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Certificate[0]})
}
