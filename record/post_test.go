package record_test

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/proxyglass/proxyglass/record"
	"github.com/proxyglass/proxyglass/record/recordtest"
)

func server(t *testing.T, h http.HandlerFunc) *httptest.Server {
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}

func post(t *testing.T, p *record.Post) *record.Post {
	t.Cleanup(func() { _ = p.Close() })
	return p
}

func TestPost(t *testing.T) {
	connections := map[string]bool{}
	var got []string
	s := server(t, func(w http.ResponseWriter, r *http.Request) {
		assert.Equal(t, "POST", r.Method)
		assert.Equal(t, "/in", r.URL.Path)
		assert.Equal(t, "application/json", r.Header.Get("Content-Type"))
		user, password, _ := r.BasicAuth()
		assert.Equal(t, "u:p", user+":"+password)
		body, err := io.ReadAll(r.Body)
		assert.NoError(t, err)
		assert.EqualValues(t, len(body), r.ContentLength)
		got = append(got, string(body))
		connections[r.RemoteAddr] = true
		w.WriteHeader(http.StatusAccepted)
		_, _ = io.WriteString(w, strings.Repeat("thanks ", 1000))
	})
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1") // must not matter: that may be ourselves
	p := post(t, &record.Post{URL: strings.Replace(s.URL, "://", "://u:p@", 1) + "/in"})
	for _, r := range recordtest.Samples() {
		require.NoError(t, p.Record(t.Context(), r))
		assert.Equal(t, string(r.AppendJSON(nil)), got[len(got)-1])
	}
	assert.Len(t, connections, 1, "the answer is read, so that the connection is kept")
	assert.Error(t, p.Record(t.Context(), nil))
}

func TestPostStatus(t *testing.T) {
	for status, ok := range map[int]bool{200: true, 204: true, 299: true, 300: false, 301: false, 307: false, 404: false, 500: false, 503: false} {
		hits := 0
		s := server(t, func(w http.ResponseWriter, r *http.Request) {
			hits++
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(status)
		})
		for _, client := range []*http.Client{nil, s.Client()} {
			hits = 0
			err := post(t, &record.Post{URL: s.URL, Client: client}).Record(t.Context(), seq(1))
			assert.Equal(t, ok, err == nil, "%d: %v", status, err)
			if !ok {
				assert.ErrorContains(t, err, http.StatusText(status))
				assert.ErrorContains(t, err, "record: POST to 127.0.0.1")
			}
			assert.Equal(t, 1, hits, "no redirect is followed")
		}
	}
}

func TestPostTimeout(t *testing.T) {
	release := make(chan struct{})
	s := server(t, func(http.ResponseWriter, *http.Request) { <-release })
	defer close(release) // before the server's own cleanup
	err := post(t, &record.Post{URL: s.URL, Timeout: 20 * time.Millisecond}).Record(t.Context(), seq(1))
	assert.ErrorIs(t, err, context.DeadlineExceeded)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	err = post(t, &record.Post{URL: s.URL, Timeout: -1}).Record(ctx, seq(1))
	assert.ErrorIs(t, err, context.DeadlineExceeded)
}

func TestPostBadURL(t *testing.T) {
	for _, url := range []string{"", "localhost:8000", "/path", "ftp://x/", "http://", "http://u:secret@x:port/", "http://u:secret@[::1/%zz"} {
		p := &record.Post{URL: url}
		err := p.Record(t.Context(), seq(1))
		assert.ErrorContains(t, err, "record: URL of the HTTP recorder", url)
		assert.NotContains(t, err.Error(), "secret")
		assert.NoError(t, p.Close())
	}
}

func TestPostErrorsKeepSecrets(t *testing.T) {
	p := post(t, &record.Post{URL: "http://u:secret@" + closedPort(t) + "/?token=secret"})
	err := p.Record(t.Context(), seq(1))
	require.Error(t, err)
	assert.NotContains(t, err.Error(), "secret")
	assert.Contains(t, err.Error(), "refused")
}

func closedPort(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	return l.Addr().String()
}

func TestPostConforms(t *testing.T) {
	var mu sync.Mutex
	var got []*record.Record
	s := server(t, func(w http.ResponseWriter, r *http.Request) {
		rec := new(record.Record)
		assert.NoError(t, json.NewDecoder(r.Body).Decode(rec))
		mu.Lock()
		defer mu.Unlock()
		got = append(got, rec)
	})
	recordtest.TestRecorder(t, recordtest.Suite{
		Open: func(t *testing.T) record.Recorder {
			mu.Lock()
			defer mu.Unlock()
			got = nil
			return post(t, &record.Post{URL: s.URL, Timeout: 10 * time.Second})
		},
		Broken: func(t *testing.T) record.Recorder { return post(t, &record.Post{URL: "http://" + closedPort(t)}) },
		Read:   func(*testing.T, record.Recorder) []*record.Record { return got },
	})
}
