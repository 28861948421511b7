//go:build unix

package main_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// ask makes n requests through p, some at a time, and returns how long that took.
func ask(t *testing.T, p *inspector, url_ string, n int) time.Duration {
	t.Helper()
	transport := &http.Transport{Proxy: func(*http.Request) (*url.URL, error) { return url.Parse("http://" + p.addr) }}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: patience}
	begun := time.Now()
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range n / 4 {
				resp, err := client.Get(url_)
				if !assert.NoError(t, err) {
					return
				}
				io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
				assert.Equal(t, 200, resp.StatusCode)
			}
		})
	}
	all.Wait()
	return time.Since(begun)
}

var line = regexp.MustCompile(`^stopped: (\d+) connections; records: (\d+) offered, (\d+) delivered, (\d+) dropped, (\d+) failed(?:, (\d+) unfinished)?(?:; last error: (.*))?$`)

// counted are the numbers of the last line.
type counted struct {
	connections, offered, delivered, dropped, failed, unfinished int
	why                                                          string
}

func count(t *testing.T, last string) counted {
	t.Helper()
	m := line.FindStringSubmatch(last)
	require.NotNil(t, m, last)
	n := make([]int, 7)
	for i := range n {
		n[i], _ = strconv.Atoi(m[i])
	}
	c := counted{n[1], n[2], n[3], n[4], n[5], n[6], m[7]}
	assert.Equal(t, c.offered, c.delivered+c.dropped+c.failed+c.unfinished, last)
	return c
}

// TestSinkFails: whatever the collector of records does, it is the records'
// trouble alone.
func TestSinkFails(t *testing.T) {
	t.Parallel()
	const n = 200
	hanging := make(chan struct{})
	t.Cleanup(func() { close(hanging) })
	collector := func(t *testing.T, h http.HandlerFunc) string {
		s := httptest.NewServer(h)
		t.Cleanup(s.CloseClientConnections)
		return s.URL
	}
	for _, c := range []struct {
		name string
		sink func(t *testing.T) string
		want func(t *testing.T, c counted)
	}{
		{"hangs", func(t *testing.T) string {
			return collector(t, func(http.ResponseWriter, *http.Request) { <-hanging })
		}, func(t *testing.T, c counted) {
			assert.Zero(t, c.delivered)
			assert.Positive(t, c.dropped)
			assert.Contains(t, c.why, "POST to")
		}},
		{"answers 500", func(t *testing.T) string {
			return collector(t, func(w http.ResponseWriter, r *http.Request) { http.Error(w, "full", 500) })
		}, func(t *testing.T, c counted) {
			assert.Equal(t, n, c.failed)
			assert.Contains(t, c.why, "500")
		}},
		{"is gone", func(t *testing.T) string {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			require.NoError(t, err)
			defer l.Close()
			return "http://" + l.Addr().String()
		}, func(t *testing.T, c counted) {
			assert.Equal(t, n, c.failed)
			assert.Contains(t, c.why, "refused")
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, pki.good, http.HandlerFunc(mirror))
			p := start(t, "-records", c.sink(t))
			assert.Less(t, ask(t, p, s.url(forward, "/"), n), patience, "one time-out of the sink for each would be 200 s")
			begun := time.Now()
			p.signal(syscall.SIGTERM)
			code, last := p.wait()
			assert.Zero(t, code)
			assert.Less(t, time.Since(begun), 5*time.Second)
			got := count(t, last)
			assert.Equal(t, n, got.offered)
			assert.Positive(t, got.connections)
			c.want(t, got)
			assert.Empty(t, p.out.String(), "records alone go to standard output")
		})
	}
}

// TestPost: one POST per record, each a JSON object.
func TestPost(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var text string
	s := newSite(t, pki.good, http.HandlerFunc(mirror))
	sink := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		text += fmt.Sprintf("%s\n", body)
		w.WriteHeader(http.StatusNoContent)
	}))
	defer sink.Close()
	p := start(t, "-records", sink.URL+"/in?a=b")
	ask(t, p, s.url(forward, "/"), 20)
	p.stop()
	all := entries(t, text)
	require.Len(t, all, 20)
	assert.Equal(t, s.url(forward, "/"), all[0].HTTP.URI)
}

// TestFile: a file of records is its owner's; what is no file is only written to.
func TestFile(t *testing.T) {
	t.Parallel()
	s := newSite(t, pki.good, http.HandlerFunc(mirror))
	one := func(t *testing.T, path string) *inspector {
		p := start(t, "-records", path)
		ask(t, p, s.url(forward, "/"), 4)
		p.stop()
		return p
	}
	t.Run("new", func(t *testing.T) {
		t.Parallel()
		path := filepath.Join(t.TempDir(), "records.jsonl")
		p := one(t, path)
		assert.Empty(t, p.out.String())
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		assert.Len(t, entries(t, string(text)), 4)
		info, err := os.Stat(path)
		require.NoError(t, err)
		assert.Equal(t, os.FileMode(0o600), info.Mode().Perm())
		one(t, path)
		text, err = os.ReadFile(path)
		require.NoError(t, err)
		assert.Len(t, entries(t, string(text)), 8, "appended")
	})
	t.Run("too open", func(t *testing.T) {
		t.Parallel()
		path := filepath.Join(t.TempDir(), "records.jsonl")
		require.NoError(t, os.WriteFile(path, nil, 0o644))
		one(t, path)
		info, err := os.Stat(path)
		require.NoError(t, err)
		assert.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	})
	t.Run("device", func(t *testing.T) {
		t.Parallel()
		before, err := os.Stat(os.DevNull)
		require.NoError(t, err)
		one(t, os.DevNull)
		after, err := os.Stat(os.DevNull)
		require.NoError(t, err)
		assert.Equal(t, before.Mode(), after.Mode())
	})
	t.Run("standard output", func(t *testing.T) {
		t.Parallel()
		assert.Len(t, one(t, "/dev/stdout").records(), 4)
	})
	t.Run("FIFO", func(t *testing.T) {
		t.Parallel()
		path := fifo(t)
		require.NoError(t, os.Chmod(path, 0o622))
		text := make(chan string)
		go func() {
			got, _ := os.ReadFile(path)
			text <- string(got)
		}()
		one(t, path)
		assert.Len(t, entries(t, <-text), 4)
		info, err := os.Stat(path)
		require.NoError(t, err)
		assert.Equal(t, os.ModeNamedPipe|0o622, info.Mode())
	})
}
