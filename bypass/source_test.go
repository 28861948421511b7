package bypass

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func write(t *testing.T, path, text string) {
	t.Helper()
	require.NoError(t, os.WriteFile(path+".new", []byte(text), 0o600))
	require.NoError(t, os.Rename(path+".new", path))
}

// matches asks m about a host.
func matches(t *testing.T, m Matcher, host string) bool {
	t.Helper()
	ok, err := m.Match(context.Background(), Target{Host: host, Port: 443})
	require.NoError(t, err)
	return ok
}

func TestFileLoad(t *testing.T) {
	ctx := context.Background()
	path := filepath.Join(t.TempDir(), "rules.txt")
	var log bytes.Buffer
	f := &File{Path: path, MaxBytes: 100, Logger: slog.New(slog.NewTextHandler(&log, nil))}

	assert.Zero(t, f.Status())
	_, err := f.Match(ctx, Target{Host: "a.test"})
	assert.ErrorIs(t, err, ErrNotLoaded)
	_, ok := f.Explain(Target{Host: "a.test"})
	assert.False(t, ok)

	require.ErrorIs(t, f.Load(ctx), os.ErrNotExist)
	assert.ErrorIs(t, f.Status().Err, os.ErrNotExist)
	assert.False(t, f.Status().Tried.IsZero())
	assert.True(t, f.Status().Loaded.IsZero())
	_, err = f.Match(ctx, Target{Host: "a.test"})
	assert.ErrorIs(t, err, ErrNotLoaded)

	write(t, path, "# first\n.a.test\n10.0.0.0/8\n")
	require.NoError(t, f.Load(ctx))
	assert.True(t, matches(t, f, "www.a.test"))
	assert.Equal(t, 2, f.Status().Rules)
	assert.NoError(t, f.Status().Err)
	assert.False(t, f.Status().Loaded.IsZero())
	rule, ok := f.Explain(Target{Host: "www.a.test"})
	assert.True(t, ok)
	assert.Equal(t, ".a.test from "+path, rule)
	list := f.source.list.Load()
	require.NoError(t, f.Load(ctx))
	assert.Same(t, list, f.source.list.Load(), "the same text is not parsed again")

	// Whatever is wrong with a newer text: the last good list stays.
	for text, reason := range map[string]string{
		".b.test\nbad rule\n.c.test\n1.2.3.4/99\n": `line 2 "bad rule": ' ' cannot stand in a host name; line 4 "1.2.3.4/99"`,
		"":                       "nothing in it",
		" \n\n":                  "nothing in it",
		strings.Repeat("#", 101): "longer than 100 bytes",
	} {
		write(t, path, text)
		log.Reset()
		err := f.Load(ctx)
		assert.ErrorContains(t, err, "bypass: "+path+": "+reason)
		assert.Equal(t, err, f.Status().Err)
		assert.Contains(t, log.String(), "the last good ones stay")
		assert.Equal(t, 2, f.Status().Rules)
		assert.True(t, matches(t, f, "www.a.test"))
		assert.False(t, matches(t, f, "www.b.test"))
	}
	require.NoError(t, os.Remove(path))
	require.Error(t, f.Load(ctx))
	assert.True(t, matches(t, f, "www.a.test"))

	// The old text again is no news, but good.
	write(t, path, "# first\n.a.test\n10.0.0.0/8\n")
	require.NoError(t, f.Load(ctx))
	assert.NoError(t, f.Status().Err)

	write(t, path, "# a list may be empty on purpose\n")
	require.NoError(t, f.Load(ctx))
	assert.False(t, matches(t, f, "www.a.test"))

	canceled, cancel := context.WithCancel(ctx)
	cancel()
	before := f.Status()
	assert.ErrorIs(t, f.Load(canceled), context.Canceled)
	assert.Equal(t, before, f.Status())

	assert.ErrorContains(t, (&File{Path: t.TempDir()}).Load(ctx), "not a regular file")
	assert.ErrorContains(t, (&File{Path: "/dev/zero"}).Load(ctx), "not a regular file")
	assert.Error(t, new(File).Load(ctx))
}

func TestFileRun(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rules.txt")
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		f := &File{Path: path, Period: 10 * time.Second}
		done := make(chan error, 1)
		go func() { done <- f.Run(ctx) }()
		synctest.Wait()
		assert.Error(t, f.Status().Err, "there is no file yet")

		// Retries after 1, 2, 4 and then each 8, at most 10, seconds.
		write(t, path, ".a.test\n")
		time.Sleep(time.Second)
		synctest.Wait()
		assert.True(t, matches(t, f, "a.test"))

		write(t, path, ".b.test\n")
		time.Sleep(10*time.Second - 1)
		synctest.Wait()
		assert.True(t, matches(t, f, "a.test"), "not yet time to look")
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		assert.False(t, matches(t, f, "a.test"))
		assert.True(t, matches(t, f, "b.test"))

		cancel()
		assert.ErrorIs(t, <-done, context.Canceled)
		assert.True(t, matches(t, f, "b.test"), "the list outlives Run")
		assert.NoError(t, f.Status().Err)
	})
}

func TestRunPauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, tt := range []struct {
			period time.Duration
			fails  int
			pauses []time.Duration
		}{
			{0, 8, []time.Duration{1, 2, 4, 8, 16, 32, 60, 60}},
			{5 * time.Second, 5, []time.Duration{1, 2, 4, 5, 5, 5, 5}},
			{time.Second / 2, 2, []time.Duration{0, 0, 0}},
		} {
			var at []time.Time
			ctx, cancel := context.WithCancel(context.Background())
			err := new(source).run(ctx, tt.period, func(context.Context) error {
				at = append(at, time.Now())
				switch n := len(at); {
				case n > len(tt.pauses):
					cancel()
					return nil
				case n <= tt.fails:
					return errors.New("gone")
				}
				return nil
			})
			cancel()
			if tt.period == 0 {
				assert.NoError(t, err, "loaded once, without a period")
			} else {
				assert.ErrorIs(t, err, context.Canceled)
			}
			require.Len(t, at, len(tt.pauses)+1)
			for i, pause := range tt.pauses {
				assert.Equal(t, pause*time.Second, at[i+1].Sub(at[i]).Truncate(time.Second), "%v: pause %d", tt.period, i)
			}
		}
	})
}

func TestConcurrentUse(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rules.txt")
	write(t, path, ".a.test\n")
	f := &File{Path: path}
	require.NoError(t, f.Load(context.Background()))
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 100 {
				assert.NoError(t, f.Load(context.Background()))
				ok, err := f.Match(context.Background(), Target{Host: "www.a.test"})
				assert.True(t, ok && err == nil)
				f.Explain(Target{Host: "www.a.test"})
				f.Status()
			}
		})
	}
	wg.Wait()
}

// server answers with what the test puts into handle.
func server(t *testing.T) (url string, handle *atomic.Pointer[http.HandlerFunc]) {
	handle = new(atomic.Pointer[http.HandlerFunc])
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { (*handle.Load())(w, r) }))
	t.Cleanup(s.Close)
	return s.URL, handle
}

func TestHTTPLoad(t *testing.T) {
	ctx := context.Background()
	base, handle := server(t)
	serve := func(f http.HandlerFunc) { handle.Store(&f) }
	var log bytes.Buffer
	secret := strings.Replace(base, "http://", "http://user:hunter2@", 1) + "/rules.txt?token=s3cret"
	h := &HTTP{URL: secret, MaxBytes: 1000, Timeout: 5 * time.Second, Logger: slog.New(slog.NewTextHandler(&log, nil))}
	_, err := h.Match(ctx, Target{Host: "a.test"})
	assert.ErrorIs(t, err, ErrNotLoaded)

	serve(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusNotModified) })
	assert.ErrorContains(t, h.Load(ctx), "status 304", "of what?")

	serve(func(w http.ResponseWriter, r *http.Request) {
		_, password, _ := r.BasicAuth()
		assert.Equal(t, "hunter2", password)
		assert.Equal(t, "s3cret", r.URL.Query().Get("token"))
		assert.Empty(t, r.Header.Get("If-None-Match"))
		w.Header().Set("ETag", `"v1"`)
		w.Header().Set("Last-Modified", "Sun, 22 Nov 2026 10:00:00 GMT")
		io.WriteString(w, ".a.test\n")
	})
	require.NoError(t, h.Load(ctx))
	assert.True(t, matches(t, h, "www.a.test"))
	rule, ok := h.Explain(Target{Host: "www.a.test"})
	assert.True(t, ok)
	assert.Equal(t, ".a.test from "+base+"/rules.txt", rule)

	serve(func(w http.ResponseWriter, r *http.Request) {
		assert.Equal(t, `"v1"`, r.Header.Get("If-None-Match"))
		assert.Equal(t, "Sun, 22 Nov 2026 10:00:00 GMT", r.Header.Get("If-Modified-Since"))
		w.WriteHeader(http.StatusNotModified)
	})
	list := h.source.list.Load()
	require.NoError(t, h.Load(ctx))
	assert.Same(t, list, h.source.list.Load())
	assert.Equal(t, 1, h.Status().Rules)

	for name, tt := range map[string]struct {
		f      http.HandlerFunc
		reason string
	}{
		"503":   {func(w http.ResponseWriter, r *http.Request) { http.Error(w, ".b.test", 503) }, "status 503"},
		"204":   {func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(204) }, "status 204"},
		"empty": {func(w http.ResponseWriter, r *http.Request) {}, "nothing in it"},
		"HTML":  {func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "<html>\nlog in first") }, `line 1 "<html>"`},
		"long":  {func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, strings.Repeat(".b.test\n", 200)) }, "longer than 1000"},
		"cut": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "100")
			io.WriteString(w, ".b.test\n")
		}, "unexpected EOF"},
		"aborted": {func(w http.ResponseWriter, r *http.Request) { panic(http.ErrAbortHandler) }, "EOF"},
		"loop":    {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.URL.String(), 302) }, "redirects"},
	} {
		serve(tt.f)
		log.Reset()
		assert.ErrorContains(t, h.Load(ctx), tt.reason, name)
		assert.ErrorContains(t, h.Status().Err, "bypass: "+base+"/rules.txt: ", name)
		assert.Contains(t, log.String(), "the last good ones stay", name)
		for _, text := range []string{log.String(), h.Status().Err.Error()} {
			assert.NotContains(t, text, "hunter2")
			assert.NotContains(t, text, "s3cret")
		}
		assert.True(t, matches(t, h, "www.a.test"), name)
		assert.False(t, matches(t, h, "www.b.test"), name)
	}

	serve(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, ".b.test\n") })
	require.NoError(t, h.Load(ctx))
	assert.True(t, matches(t, h, "www.b.test"))
	serve(func(w http.ResponseWriter, r *http.Request) {
		assert.Empty(t, r.Header.Get("If-None-Match"), "the newer version had no ETag")
		io.WriteString(w, ".c.test\n")
	})
	require.NoError(t, h.Load(ctx))
	assert.True(t, matches(t, h, "www.c.test"))
}

func TestHTTPBadURL(t *testing.T) {
	for _, url := range []string{"", "rules.txt", "file:///etc/hosts", "http://", "http://user:hunter2@[::1/", "http://x:hunter2 @y/\x7f"} {
		h := &HTTP{URL: url}
		err := h.Load(context.Background())
		require.Error(t, err, url)
		assert.NotContains(t, err.Error(), "hunter2")
		_, err = h.Match(context.Background(), Target{Host: "a.test"})
		assert.ErrorIs(t, err, ErrNotLoaded)
	}
}

// stuck is a server that never answers.
type stuck struct{}

func (stuck) RoundTrip(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

// slow is a server whose body never ends.
type slow struct{}

func (slow) RoundTrip(r *http.Request) (*http.Response, error) {
	body, w := io.Pipe()
	context.AfterFunc(r.Context(), func() { w.CloseWithError(r.Context().Err()) })
	return &http.Response{StatusCode: 200, Header: http.Header{}, Body: body, ContentLength: -1}, nil
}

func TestHTTPTimeout(t *testing.T) {
	for _, transport := range []http.RoundTripper{stuck{}, slow{}} {
		synctest.Test(t, func(t *testing.T) {
			for timeout, want := range map[time.Duration]time.Duration{0: 30 * time.Second, 3 * time.Second: 3 * time.Second} {
				h := &HTTP{URL: "http://rules.test/", Timeout: timeout, Client: &http.Client{Transport: transport}}
				start := time.Now()
				assert.ErrorIs(t, h.Load(context.Background()), context.DeadlineExceeded)
				assert.Equal(t, want, time.Since(start))
				assert.ErrorIs(t, h.Status().Err, context.DeadlineExceeded)
			}
			ctx, cancel := context.WithCancel(context.Background())
			h := &HTTP{URL: "http://rules.test/", Period: time.Minute, Client: &http.Client{Transport: transport}}
			done := make(chan error, 1)
			go func() { done <- h.Run(ctx) }()
			synctest.Wait()
			cancel()
			assert.ErrorIs(t, <-done, context.Canceled)
		})
	}
}
