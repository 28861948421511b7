package main_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// prompt is the longest that an event may take from the origin to the client.
const prompt = 50 * time.Millisecond

// atOnce checks that what try measures is prompt. What waits for something waits
// for it every time; what waits for its turn on a busy machine does not.
func atOnce(t *testing.T, try func() time.Duration) {
	t.Helper()
	var took time.Duration
	for range 3 {
		if took = try(); took < prompt {
			return
		}
	}
	assert.Less(t, took, prompt)
}

// client is a net/http client whose way to the origin is w.
func (p *inspector) client(t *testing.T, w way) *http.Client {
	t.Helper()
	tr := &http.Transport{TLSClientConfig: trust(t, caFile(), "")}
	if w.name == tunnel.name {
		tr.DialContext = func(_ context.Context, _, addr string) (net.Conn, error) { return p.tunnel(addr) }
	} else {
		tr.Proxy = func(*http.Request) (*url.URL, error) { return url.Parse("http://" + p.addr) }
	}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: patience}
}

// TestEvents: server-sent events, and any answer that is sent in parts, arrive
// part by part, when they are sent.
func TestEvents(t *testing.T) {
	const events = 3
	s := newSite(t, pki.good, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/events" {
			w.Header().Set("Content-Type", "text/event-stream")
		}
		w.(http.Flusher).Flush()
		for range events {
			time.Sleep(100 * time.Millisecond) // nothing else is on its way
			fmt.Fprintf(w, "data: %d\n\n", time.Now().UnixNano())
			w.(http.Flusher).Flush()
		}
	}))
	for _, w := range ways {
		for _, path := range []string{"/events", "/chunks"} {
			t.Run(w.name+path, func(t *testing.T) {
				p := start(t)
				client := p.client(t, w)
				atOnce(t, func() time.Duration {
					resp, err := client.Get(s.url(w, path))
					require.NoError(t, err)
					defer resp.Body.Close()
					late := delays(t, resp.Body)
					require.Len(t, late, events)
					return slices.Max(late)
				})
				var e *entry
				eventually(t, "a record", func() bool { e = first(p.records(), uri(w.target(s.url(w, path)))); return e != nil })
				assert.Equal(t, events, strings.Count(string(e.HTTP.Response.Body), "data: "))
				assert.Greater(t, e.Timings.ResponseEnd-e.Timings.ResponseFirstByte, 200*time.Millisecond)
			})
		}
	}
}

// delays reads events, and tells how long each has been under way.
func delays(t *testing.T, r io.Reader) (all []time.Duration) {
	t.Helper()
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		text, ok := strings.CutPrefix(lines.Text(), "data: ")
		if !ok {
			continue
		}
		sent, err := strconv.ParseInt(text, 10, 64)
		require.NoError(t, err)
		all = append(all, time.Since(time.Unix(0, sent)))
	}
	require.NoError(t, lines.Err())
	return all
}

func first(all []*entry, what func(*entry) bool) *entry {
	for _, e := range all {
		if what(e) {
			return e
		}
	}
	return nil
}

// TestServerFirst: a server that speaks first is heard at once, and one silent
// client is no other's trouble.
func TestServerFirst(t *testing.T) {
	const greeting = "220 mail.example.com ESMTP ready\r\n"
	addr := serve(t, nil, func(c net.Conn) {
		io.WriteString(c, greeting)
		in := bufio.NewReader(c)
		for {
			line, err := in.ReadString('\n')
			if err != nil {
				return
			}
			io.WriteString(c, "250 "+line)
		}
	})
	p := start(t)
	for range 20 {
		p.connect(addr) // and never a word
	}
	atOnce(t, func() time.Duration {
		begun := time.Now()
		c := p.connect(addr)
		defer c.Close()
		in := bufio.NewReader(c)
		for i, want := range []string{greeting, "250 NOOP\r\n", "250 QUIT\r\n"} {
			if i > 0 {
				io.WriteString(c, strings.TrimPrefix(want, "250 "))
			}
			got, err := in.ReadString('\n')
			require.NoError(t, err)
			assert.Equal(t, want, got)
		}
		return time.Since(begun) // of tunnel, greeting and two answers
	})
	var e *entry
	eventually(t, "a record", func() bool { e = first(p.records(), func(*entry) bool { return true }); return e != nil })
	assert.Equal(t, "smtp", e.Proto)
	assert.Equal(t, "CONNECT", e.HTTP.Method)
	assert.EqualValues(t, len("NOOP\r\nQUIT\r\n"), e.InputBytes)
	assert.EqualValues(t, len(greeting)+len("250 NOOP\r\n250 QUIT\r\n"), e.OutputBytes)
}

// TestSilentClient: who connects late to what it asked for is still recognised.
func TestSilentClient(t *testing.T) {
	t.Parallel()
	s := newSite(t, pki.good, http.HandlerFunc(mirror))
	p := start(t, "-sniff-timeout", "100ms")
	c := p.connect(s.secure)
	time.Sleep(300 * time.Millisecond) // three times what undecided bytes may wait
	in := tls.Client(c, trust(t, caFile(), "localhost"))
	require.NoError(t, in.Handshake())
	io.WriteString(in, "GET /late HTTP/1.1\r\nHost: x\r\n\r\n")
	resp, err := http.ReadResponse(bufio.NewReader(in), nil)
	require.NoError(t, err)
	resp.Body.Close()
	p.await(1, uri("/late"))
}

// TestSniffTimeout: bytes that could still become several things are passed on.
func TestSniffTimeout(t *testing.T) {
	addr := serve(t, nil, func(c net.Conn) { io.Copy(c, c) })
	p := start(t, "-sniff-timeout", "200ms")
	atOnce(t, func() time.Duration { // only what may be TLS is held
		c := p.connect(addr)
		begun := time.Now()
		for _, part := range []string{"G", "E", "\x16"} {
			io.WriteString(c, part)
			_, err := io.ReadFull(c, make([]byte, 1))
			require.NoError(t, err)
		}
		return time.Since(begun)
	})
	c := p.connect(addr)
	begun := time.Now()
	io.WriteString(c, "\x16")
	_, err := io.ReadFull(c, make([]byte, 1))
	require.NoError(t, err)
	assert.GreaterOrEqual(t, time.Since(begun), 190*time.Millisecond)
	assert.Less(t, time.Since(begun), 2*time.Second)
}
