package main_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// An object is a part of a record in JSON.
type object = map[string]any

// at returns what is at a path such as "http.response.header".
func at(o object, path string) any {
	var v any = o
	for key := range strings.SplitSeq(path, ".") {
		m, ok := v.(object)
		if !ok {
			return nil
		}
		v = m[key]
	}
	return v
}

// text is at for a string.
func text(o object, path string) string { s, _ := at(o, path).(string); return s }

// examples reads the records of a file in testdata.
func examples(t *testing.T, name, from, to string) []object {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", "schema", name))
	require.NoError(t, err)
	if from != "" {
		b = bytes.ReplaceAll(b, []byte(from), []byte(to))
	}
	var all []object
	if filepath.Ext(name) == ".json" {
		var file struct{ Records []object }
		require.NoError(t, json.Unmarshal(b, &file))
		return file.Records
	}
	for line := range bytes.Lines(b) {
		var o object
		require.NoError(t, json.Unmarshal(line, &o))
		all = append(all, o)
	}
	return all
}

// free are the values that are each run's own: only their types are compared.
// What they mean is checked by meaning.
var free = []string{
	"service", "remote", "local", "client", "src", "dst", "host", "route", "clientIP", "sid", "duration", "time",
	"inputBytes", "outputBytes", "tls.cipherSuite", "tls.clientHello", "tls.serverHello", "http.response.header.Proxy-Agent",
}

// same checks that got has every key of want, with the same type and value;
// where ours is another on purpose, ours says which, by path.
func same(t *testing.T, want, got object, ours object) {
	t.Helper()
	sameAt(t, "", want, got, ours)
}

func sameAt(t *testing.T, path string, want, got any, ours object) {
	t.Helper()
	name := strings.TrimPrefix(path, ".")
	if our, ok := ours[name]; ok {
		assert.Equal(t, our, got, "%s, where ours is another", name)
		return
	}
	if w, ok := want.(object); ok {
		g, ok := got.(object)
		require.True(t, ok, "%s is %T", name, got)
		for key := range w {
			if assert.Contains(t, g, key, "under %q", name) {
				sameAt(t, path+"."+key, w[key], g[key], ours)
			}
		}
		return
	}
	s, _ := want.(string)
	if slices.Contains(free, name) || strings.HasSuffix(s, "characters)") {
		assert.IsType(t, want, got, name)
		return
	}
	assert.Equal(t, want, got, name)
}

// meaning checks what same cannot compare.
func meaning(t *testing.T, p *inspector, e *entry, host string) {
	t.Helper()
	assert.Equal(t, "proxyglass", e.Service)
	assert.Equal(t, host, e.Host)
	assert.Equal(t, host, e.Route)
	assert.Equal(t, p.addr, e.Local)
	assert.Equal(t, e.Remote, e.Client)
	assert.Equal(t, "127.0.0.1", e.ClientIP)
	assert.True(t, strings.HasPrefix(e.Remote, "127.0.0.1:"), e.Remote)
	assert.Len(t, e.SID, 20)
	assert.WithinDuration(t, time.Now(), e.Time, time.Minute)
	assert.Positive(t, e.Duration)
	if e.Err == "" {
		assert.Equal(t, host, e.Dst)
		assert.True(t, strings.HasPrefix(e.Src, "127.0.0.1:"), e.Src)
	}
	if e.TLS != nil {
		assert.Regexp(t, "^160301[0-9a-f]{500,}$", text(e.json, "tls.clientHello"))
		assert.Regexp(t, "^160303[0-9a-f]{100,}$", text(e.json, "tls.serverHello"))
		assert.Regexp(t, "^TLS_[A-Z0-9_]+$", e.TLS.CipherSuite)
	}
}

// passed is how much has passed on a connection, seen from the origin.
type passed struct{ in, out int64 }

func or(v any, otherwise int) int {
	if n, ok := v.(float64); ok {
		return int(n)
	}
	return otherwise
}

// replayOrigin answers one request on a connection as the example's origin did.
func replayOrigin(t *testing.T, cert *tls.Certificate, example object) (addr string, seen chan passed) {
	t.Helper()
	seen = make(chan passed, 1)
	var answer bytes.Buffer
	header, _ := at(example, "http.response.header").(object)
	if text(example, "http.method") == "CONNECT" { // what is inside is not told
		example, header = object{}, object{"Content-Length": []any{"0"}}
	}
	fmt.Fprintf(&answer, "HTTP/1.1 %d Whatever\r\n", or(at(example, "http.statusCode"), 200))
	for name, values := range header {
		for _, v := range values.([]any) {
			fmt.Fprintf(&answer, "%s: %s\r\n", name, v)
		}
	}
	answer.WriteString("\r\n")
	body, err := base64.StdEncoding.DecodeString(text(example, "http.response.body"))
	require.NoError(t, err)
	answer.Write(body)
	return serve(t, cert, func(c net.Conn) {
		var request bytes.Buffer
		r, err := http.ReadRequest(bufio.NewReader(io.TeeReader(c, &request)))
		if err != nil {
			return
		}
		io.Copy(io.Discard, r.Body)
		c.Write(answer.Bytes())
		seen <- passed{int64(request.Len()), int64(answer.Len())}
		io.Copy(io.Discard, c)
	}), seen
}

// TestShapes replays the records of HTTP and TLS.
func TestShapes(t *testing.T) {
	t.Parallel()
	need(t, "curl")
	const answered = "http.statusCode" // GOST leaves it out
	for _, c := range []struct {
		file   string
		rename string // what stands for the origin's address
		flags  []string
		tls    bool
		url    string
		ours   object
	}{
		{"http-connect-unsniffed.jsonl", "www.example.com:80", []string{"-sniff=false"}, false, "http://www.example.com:80/", nil},
		{"http-sniffed.jsonl", "www.example.com:80", nil, false, "http://www.example.com/", nil},
		{"tls-sniffed.jsonl", "www.example.com:443", []string{"-mitm", "none"}, true, "https://www.example.com/", nil},
		{"gost/01-plain-get-forward.json", "origin.test:19080", nil, false, "forward", nil},
		{"gost/02-plain-get-connect.json", "", nil, false, "http://origin.test:19080/p?x=1", nil},
		{"gost/03-https-nosniff-connect.json", "origin.test:18443", []string{"-sniff=false"}, true, "https://origin.test:18443/",
			object{"http.scheme": "", answered: 200.0}},
		{"gost/04-https-sniff-nomitm.3.2.6.json", "origin.test:18443", []string{"-mitm", "none"}, true, "https://origin.test:18443/",
			object{answered: 200.0}},
		{"gost/06-mitm-h1-get.json", "", nil, true, "https://origin.test:18443/h", object{"http.scheme": "https"}},
		{"gost/08-mitm-h1-post-chunked.json", "", nil, true, "https://origin.test:19443/raw", object{"http.scheme": "https"}},
		{"gost/10-wss-mitm-noalpn.3.2.6.json", "origin.test:19443", []string{"-mitm", "none"}, true, "https://origin.test:19443/",
			object{answered: 200.0}},
		{"gost/14-err-refused.json", "origin.test:1", nil, false, "refused", nil},
		{"gost/17-mitm-h1-gzip.json", "", nil, true, "https://origin.test:19443/gzip", object{"http.scheme": "https"}},
	} {
		t.Run(strings.ReplaceAll(c.file, "/", " "), func(t *testing.T) {
			t.Parallel()
			var cert *tls.Certificate
			if c.tls {
				cert = &pki.good
			}
			origin := examples(t, c.file, "", "")[0]
			addr, seen := replayOrigin(t, cert, origin)
			if c.url == "refused" {
				addr = closedPort(t)
				c.ours = object{
					"http.scheme": "", "http.statusCode": 502.0, "err": "dial tcp " + addr + ": connect: connection refused",
					"http.response.contentLength": float64(len("proxyglass: dial tcp : connect: connection refused\n") + len(addr)),
					"http.response.body": base64.StdEncoding.EncodeToString([]byte("proxyglass: dial tcp " + addr +
						": connect: connection refused\n")),
				}
			}
			example := examples(t, c.file, c.rename, addr)[0]
			p := start(t, c.flags...)
			p.replay(t, c.url, addr, example)
			all := p.stop()
			require.Len(t, all, 1)
			same(t, example, all[0].json, c.ours)
			meaning(t, p, all[0], addr)
			if got := all[0]; got.HTTP.Method != "CONNECT" && c.url != "forward" {
				assert.Equal(t, passed{got.InputBytes, got.OutputBytes}, <-seen)
			}
		})
	}
}

// replay has curl send the example's request.
func (p *inspector) replay(t *testing.T, url, addr string, example object) {
	t.Helper()
	args := []string{"-sS", "--max-time", "20", "--noproxy", "", "-x", "http://" + p.addr, "--output", os.DevNull}
	inner := text(example, "http.method") != "CONNECT"
	if inner && at(example, "tls") != nil {
		args = append(args, "--cacert", caFile(), "--http1.1")
	} else {
		args = append(args, "--cacert", pki.rootsFile)
	}
	if text(example, "tls.proto") == "" {
		args = append(args, "--no-alpn")
	}
	switch url {
	case "forward":
		url = "http://" + addr + "/np"
	case "refused":
		url = "http://" + addr + "/"
		args = append(args, "-p")
	default:
		_, authority, _ := strings.Cut(url, "://")
		authority, _, _ = strings.Cut(authority, "/")
		if _, _, err := net.SplitHostPort(authority); err != nil {
			authority += map[bool]string{true: ":443", false: ":80"}[strings.HasPrefix(url, "https:")]
		}
		args = append(args, "-p", "--connect-to", authority+":"+addr)
	}
	if agent, ok := at(example, "http.request.header.User-Agent").([]any); ok {
		args = append(args, "-A", agent[0].(string))
	}
	if connection, ok := at(example, "http.request.header.Proxy-Connection").([]any); ok {
		args = append(args, "--proxy-header", "Proxy-Connection: "+connection[0].(string))
	}
	var stdin io.Reader
	if body := text(example, "http.request.body"); body != "" {
		b, err := base64.StdEncoding.DecodeString(body)
		require.NoError(t, err)
		stdin = bytes.NewReader(b)
		args = append(args, "--data-binary", "@-", "-H", "Transfer-Encoding: chunked")
	}
	r := command(t, stdin, "curl", append(args, url)...)
	if text(example, "err") == "" {
		require.Zero(t, r.code, "%v\n%s", args, r.err)
	}
}

// closedPort is an address at which nobody listens.
func closedPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().String()
}
