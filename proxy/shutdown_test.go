package proxy_test

import (
	"context"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/proxyglass/proxyglass/proxy"
)

// shutdown runs Shutdown beside the test.
func (r *relay) shutdown(ctx context.Context) <-chan error {
	done := make(chan error, 1)
	go func() { done <- r.server.Shutdown(ctx) }()
	return done
}

func requireReturns(t testing.TB, done <-chan error) error {
	t.Helper()
	select {
	case err := <-done:
		return err
	case <-time.After(patience):
		require.FailNow(t, "does not return")
		return nil
	}
}

func requireWaits(t testing.TB, done <-chan error) {
	t.Helper()
	select {
	case <-done:
		require.FailNow(t, "does not wait")
	case <-time.After(50 * time.Millisecond):
	}
}

// What is idle is closed at once, in whatever state it is.
func TestShutdownOfWhatIsIdle(t *testing.T) {
	for what, bring := range map[string]func(r *relay, o *origin) *peer{
		"nothing said": func(r *relay, _ *origin) *peer { return r.dial() },
		"half a head":  func(r *relay, _ *origin) *peer { c := r.dial(); c.send("GET http"); return c },
		"CONNECT, silent": func(r *relay, o *origin) *peer {
			c := r.dial()
			c.send("CONNECT " + o.addr() + " HTTP/1.1\r\n\r\n")
			c.expect("HTTP/1.1 200 Connection established\r\nProxy-Agent: proxyglass\r\n\r\n")
			return c
		},
		"kept alive": func(r *relay, o *origin) *peer {
			c := r.dial()
			c.send(forwarded(o.addr(), "/"))
			s := o.accept()
			s.expect(rewritten(o.addr(), "/"))
			s.send(hello)
			c.expect(hello)
			r.wait(1)
			return c
		},
	} {
		t.Run(what, func(t *testing.T) {
			r, o := newRelay(t, &proxy.Server{}), newOrigin(t)
			c := bring(r, o)
			assert.NoError(t, requireReturns(t, r.shutdown(t.Context())))
			_, err := io.ReadAll(c)
			_ = err // an end or a reset, as the system likes
			assert.ErrorIs(t, requireReturns(t, r.served), proxy.ErrServerClosed)
		})
	}
}

// A running exchange comes to its end first.
func TestShutdownWaitsForAnExchange(t *testing.T) {
	r, o := newRelay(t, &proxy.Server{}), newOrigin(t)
	c := r.dial()
	c.send(forwarded(o.addr(), "/"))
	s := o.accept()
	s.expect(rewritten(o.addr(), "/"))
	done := r.shutdown(t.Context())
	requireWaits(t, done)
	s.send(hello)
	c.expect(hello)
	assert.NoError(t, requireReturns(t, done))
	c.expectEnd()
	assert.Equal(t, "GET http://"+o.addr()+"/ 200 >hello", brief(only(t, r.wait(1))))
}

// A dial that is under way counts.
func TestShutdownWaitsForADial(t *testing.T) {
	o := newOrigin(t)
	r := newRelay(t, &proxy.Server{Front: proxy.Fixed(o.addr())})
	c := r.dial()
	c.send(get)
	s := o.accept()
	s.expect(get)
	done := r.shutdown(t.Context())
	requireWaits(t, done)
	s.send(hello)
	c.expect(hello)
	assert.NoError(t, requireReturns(t, done))
}

// Of a tunnel nobody knows when it is idle: it is waited for, and cut when the
// context ends.
func TestShutdownOfATunnel(t *testing.T) {
	tunnel := func(t *testing.T) (*relay, *peer, *peer) {
		r, o := newRelay(t, &proxy.Server{}), newOrigin(t)
		c := r.dial()
		c.send("CONNECT " + o.addr() + " HTTP/1.1\r\n\r\n")
		c.expect("HTTP/1.1 200 Connection established\r\nProxy-Agent: proxyglass\r\n\r\n")
		c.send("\x00binary")
		s := o.accept()
		s.expect("\x00binary")
		return r, c, s
	}
	t.Run("ends by itself", func(t *testing.T) {
		r, c, s := tunnel(t)
		done := r.shutdown(t.Context())
		requireWaits(t, done)
		s.send("more")
		c.expect("more")
		c.Close()
		s.Close()
		assert.NoError(t, requireReturns(t, done))
	})
	t.Run("is cut", func(t *testing.T) {
		r, c, s := tunnel(t)
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		assert.ErrorIs(t, requireReturns(t, r.shutdown(ctx)), context.DeadlineExceeded)
		io.ReadAll(c)
		io.ReadAll(s)
		assert.NotEmpty(t, only(t, r.wait(1)).Err, "the record says so")
	})
}

func TestCloseCutsAll(t *testing.T) {
	r, o := newRelay(t, &proxy.Server{}), newOrigin(t)
	c := r.dial()
	c.send(forwarded(o.addr(), "/"))
	s := o.accept()
	s.expect(rewritten(o.addr(), "/"))
	records := r.close()
	io.ReadAll(c)
	io.ReadAll(s)
	require.Len(t, records, 1, "recorded before Close returns")
	assert.Equal(t, 0, records[0].HTTP.StatusCode)
	assert.NotEmpty(t, records[0].Err)
	assert.NoError(t, r.server.Close(), "again")
	assert.NoError(t, r.server.Shutdown(t.Context()), "again")
}
