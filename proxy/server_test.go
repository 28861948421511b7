package proxy_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/proxyglass/proxyglass/internal/leaktest"
	"github.com/proxyglass/proxyglass/proxy"
	"github.com/proxyglass/proxyglass/record/recordtest"
	"github.com/proxyglass/proxyglass/sniff"
)

// Programs of net/http at both ends.
func TestServerWithNetHTTP(t *testing.T) {
	r := newRelay(t, &proxy.Server{Pipeline: &proxy.Pipeline{MITM: newTerminator()}})
	handler := http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		b, _ := io.ReadAll(req.Body)
		w.Header().Set("Trailer", "T")
		io.WriteString(w, req.Method+" "+req.URL.Path+" ")
		w.Write(b)
		w.Header().Set("T", "end")
	})
	plain := httptest.NewServer(handler)
	defer plain.Close()
	secure := httptest.NewUnstartedServer(handler)
	secure.TLS = originConfig("127.0.0.1", nil)
	secure.StartTLS()
	defer secure.Close()

	tr := &http.Transport{
		Proxy:           http.ProxyURL(&url.URL{Scheme: "http", Host: r.addr}),
		TLSClientConfig: &tls.Config{RootCAs: poolOf(authorities().ours)},
	}
	defer tr.CloseIdleConnections()
	client := &http.Client{Transport: tr}
	n := 0
	for _, base := range []string{plain.URL, secure.URL, plain.URL, secure.URL} {
		for range 5 {
			res, err := client.Post(base+"/path", "text/plain", bytes.NewReader([]byte("body")))
			require.NoError(t, err)
			b, err := io.ReadAll(res.Body)
			require.NoError(t, err)
			assert.Equal(t, "POST /path body", string(b))
			assert.Equal(t, "end", res.Trailer.Get("T"))
			n++
		}
	}
	tr.CloseIdleConnections()
	for _, rec := range r.wait(n) {
		assert.Equal(t, 200, rec.HTTP.StatusCode)
		assert.Equal(t, "body", string(rec.HTTP.Request.Body))
		assert.Equal(t, "end", rec.HTTP.Response.Trailer[0].Value)
		assert.Empty(t, rec.Err)
	}
}

func TestFixed(t *testing.T) {
	o := newOrigin(t)
	r := newRelay(t, &proxy.Server{Front: proxy.Fixed(o.addr())})
	c := r.dial()
	c.send(get)
	s := o.accept()
	s.expect(get)
	s.send(hello)
	c.expect(hello)
	rec := r.wait(1)[0]
	assert.Equal(t, "GET / 200 >hello", brief(rec))
	assert.Equal(t, o.addr(), rec.Host)
}

// One connection more than there may be waits; half-closing works.
func TestMaxConns(t *testing.T) {
	o := newOrigin(t)
	r := newRelay(t, &proxy.Server{Front: proxy.Fixed(o.addr()), MaxConns: 1})
	first := r.dial()
	first.send("\x00a")
	s := o.accept()
	s.expect("\x00a")
	second := r.dial()
	second.send("\x00b")
	o.l.(*net.TCPListener).SetDeadline(time.Now().Add(50 * time.Millisecond))
	_, err := o.l.Accept()
	require.Error(t, err, "served beyond MaxConns")
	s.closeWrite()
	first.expectEnd()
	first.send("c") // the other half lives on
	s.expect("c")
	first.closeWrite()
	s.expectEnd()
	o.accept().expect("\x00b")
}

// failing is a listener that fails.
type failing struct {
	net.Listener
	errs   chan error
	closed chan struct{}
	once   sync.Once
}

func (l *failing) Accept() (net.Conn, error) {
	select {
	case err := <-l.errs:
		return nil, err
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *failing) Close() error { l.once.Do(func() { close(l.closed) }); return nil }

type passing struct{ error }

func (passing) Temporary() bool { return true }

func TestListenerFails(t *testing.T) {
	leaktest.Check(t)
	for _, max := range []int{0, 1} {
		l := &failing{errs: make(chan error, 9), closed: make(chan struct{})}
		gone := errors.New("gone")
		l.errs <- passing{errors.New("too many open files")}
		l.errs <- gone
		s := &proxy.Server{MaxConns: max, Logger: slog.New(slog.DiscardHandler)}
		assert.ErrorIs(t, s.Serve(l), gone)
		assert.NoError(t, s.Close())
		assert.ErrorIs(t, s.Serve(&failing{closed: make(chan struct{})}), proxy.ErrServerClosed)
	}
}

func TestListenAndServe(t *testing.T) {
	leaktest.Check(t)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	assert.ErrorContains(t, proxy.ListenAndServe(t.Context(), taken.Addr().String(), &proxy.Pipeline{}), "address already in use")
	assert.ErrorContains(t, (&proxy.Server{}).ListenAndServe("127.0.0.1:bad"), "bad")

	o := newOrigin(t)
	taken.Close() // a port that nobody has, as good as surely
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	seen := &recordtest.Collector{}
	go func() { done <- proxy.ListenAndServe(ctx, taken.Addr().String(), &proxy.Pipeline{Recorder: seen}) }()
	var conn net.Conn
	require.Eventually(t, func() bool {
		conn, err = net.Dial("tcp", taken.Addr().String())
		return err == nil
	}, patience, time.Millisecond)
	defer conn.Close()
	c := newPeer(t, conn)
	c.send(forwarded(o.addr(), "/"))
	s := o.accept()
	s.expect(rewritten(o.addr(), "/"))
	cancel()
	s.send(hello)
	c.expect(hello)
	c.expectEnd()
	select {
	case err := <-done:
		assert.ErrorIs(t, err, context.Canceled)
	case <-time.After(patience):
		require.Fail(t, "ListenAndServe does not return")
	}
	assert.Len(t, seen.Records(), 1)
	assert.ErrorContains(t, proxy.ListenAndServe(t.Context(), "bad", nil), "bad")
}

type frontFunc func(ctx context.Context, c *sniff.Conn) (*proxy.Request, error)

func (f frontFunc) Accept(ctx context.Context, c *sniff.Conn) (*proxy.Request, error) {
	return f(ctx, c)
}

// What others wrote may panic: that costs a connection.
func TestCallbacksPanic(t *testing.T) {
	dies := func(context.Context, string, string) (net.Conn, error) { panic("dial") }
	for _, s := range []*proxy.Server{
		{Front: frontFunc(func(context.Context, *sniff.Conn) (*proxy.Request, error) { panic("front") })},
		{Front: proxy.Fixed("a:1"), Dial: dies},
		{Front: frontFunc(func(context.Context, *sniff.Conn) (*proxy.Request, error) {
			return &proxy.Request{Host: "a:1", Granted: func() error { panic("granted") }}, nil
		}), Dial: func(context.Context, string, string) (net.Conn, error) {
			a, b := net.Pipe()
			go func() { io.Copy(io.Discard, b); b.Close() }()
			return a, nil
		}},
	} {
		r := newRelay(t, s)
		for range 3 {
			c := r.dial()
			_, err := io.ReadAll(c)
			assert.NoError(t, err)
		}
		r.close()
	}
}

// A client that leaves before it hears that it is connected has a record.
func TestGrantedFails(t *testing.T) {
	o := newOrigin(t)
	r := newRelay(t, &proxy.Server{Front: frontFunc(func(context.Context, *sniff.Conn) (*proxy.Request, error) {
		return &proxy.Request{Host: o.addr(), Granted: func() error { return errors.New("no ear") }}, nil
	})})
	r.dial()
	o.accept().expectEnd()
	assert.Equal(t, "no ear", only(t, r.wait(1)).Err)
}
