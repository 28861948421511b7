package proxy_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/proxyglass/proxyglass/internal/leaktest"
	"github.com/proxyglass/proxyglass/internal/tcptest"
	"github.com/proxyglass/proxyglass/proxy"
	"github.com/proxyglass/proxyglass/record"
	"github.com/proxyglass/proxyglass/record/recordtest"
	"github.com/proxyglass/proxyglass/sniff"
)

// I1 at the pipeline: what goes in on one side comes out on the other, whatever
// is said, however it is cut, and whatever becomes of parsers and records.

// A conversation is what the two sides say, without regard to one another.
type conversation struct{ up, down string }

// randomConversation makes HTTP/1 that is valid, in part, mostly.
func randomConversation(rng *rand.Rand) conversation {
	var c conversation
	pick := func(of ...string) string { return of[rng.IntN(len(of))] }
	size := func() int { return rng.IntN(1 << rng.IntN(17)) }
	body := func(length int) string { return strings.Repeat("b", length) }
	message := func() string {
		fields := pick("", "X-a: 1\r\n", "Host: a\r\nhost: b\r\n", "X: a\r\n\tb\r\n", "Big: "+body(size())+"\r\n", "Expect: 100-continue\r\n", "bad\r\n", " folded\r\n")
		switch n := size(); rng.IntN(6) {
		case 0, 1:
			return fields + fmt.Sprintf("Content-Length: %d\r\n\r\n", n) + body(n)
		case 2:
			return fields + fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x;x=y\r\n%s\r\n0\r\nT: 1\r\n\r\n", n+1, body(n+1))
		case 3:
			return fields + pick("Content-Length: x\r\n\r\n", "Content-Length: 1\r\nContent-Length: 2\r\n\r\n", "Transfer-Encoding: x\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\nzz\r\n")
		}
		return fields + "\r\n"
	}
	for range 1 + rng.IntN(6) {
		c.up += pick("", "", "\r\n") + pick("GET", "HEAD", "POST", "CONNECT", "x-y") + " " + pick("/", "a:1", "http://a/") + " HTTP/1.1" + pick("\r\n", "\r\n", "\n") + pick("", "", "", "Upgrade: websocket\r\n") + message()
		c.down += pick("", "", "", "HTTP/1.1 100 Continue\r\n\r\n", "junk") + "HTTP/1.1 " + pick("200 OK", "200 OK", "204 N", "304 N", "101 S", "999 x", "xx") + "\r\n" + pick("", "", "", "Upgrade: websocket\r\n") + message()
	}
	switch rng.IntN(4) {
	case 0:
		c.up += body(size())
	case 1:
		c.down += body(size())
	case 2:
		c.up = c.up[:rng.IntN(len(c.up)+1)]
	}
	return c
}

// converse has both sides say their part, in pieces, at once, and checks what
// arrives.
func (l *line) converse(c conversation, seed uint64) {
	var wg sync.WaitGroup
	say := func(from, to *peer, text string, seed uint64) {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(seed, 9))
			for s := text; s != ""; {
				n := min(len(s), 1+rng.IntN(1<<rng.IntN(17)))
				if _, err := io.WriteString(from, s[:n]); !assert.NoError(l.t, err) {
					return
				}
				s = s[n:]
			}
			if h, ok := from.Conn.(interface{ CloseWrite() error }); ok {
				assert.NoError(l.t, h.CloseWrite())
			}
		})
		wg.Go(func() {
			got := make([]byte, len(text))
			n, err := io.ReadFull(to, got)
			assert.True(l.t, text == string(got), "%d of %d bytes, %v", n, len(text), err)
		})
	}
	say(l.client, l.server, c.up, seed)
	say(l.server, l.client, c.down, ^seed)
	wg.Wait()
	l.client.Close()
	l.server.Close()
}

// pipelines are ways to look on, none of which may show.
func pipelines() map[string]func(stuck *recordtest.Stuck) *proxy.Pipeline {
	with := func(r record.Recorder) func(*recordtest.Stuck) *proxy.Pipeline {
		return func(*recordtest.Stuck) *proxy.Pipeline {
			return &proxy.Pipeline{Recorder: r, MITM: newTerminator(), Capture: proxy.Capture{FrameRate: -1}}
		}
	}
	observer := func(o proxy.Observer) func(*recordtest.Stuck) *proxy.Pipeline {
		return func(*recordtest.Stuck) *proxy.Pipeline {
			return &proxy.Pipeline{Protocols: []proxy.Protocol{claims{func(*proxy.Flow) proxy.Observer { return o }}}}
		}
	}
	fail := func(*sniff.Reader) error { panic("a parser's") }
	reads := func(src *sniff.Reader) error {
		if b, err := src.Next(); err == nil {
			src.Advance(min(5, len(b)))
		}
		return errors.New("enough")
	}
	return map[string]func(*recordtest.Stuck) *proxy.Pipeline{
		"no recorder":       func(*recordtest.Stuck) *proxy.Pipeline { return &proxy.Pipeline{Recorder: record.Discard()} },
		"collecting":        with(nil),
		"failing":           with(recordtest.Fail(errors.New("no"))),
		"panicking":         with(recordtest.Panic("no")),
		"hanging":           with(recordtest.Hang()),
		"stuck":             func(s *recordtest.Stuck) *proxy.Pipeline { return &proxy.Pipeline{Recorder: s} },
		"not sniffing":      func(*recordtest.Stuck) *proxy.Pipeline { return &proxy.Pipeline{NoSniff: true} },
		"a parser gives up": observer(proxy.Observer{Up: reads, Down: reads}),
		"a parser panics":   observer(proxy.Observer{Up: fail, Down: fail}),
		"one direction":     observer(proxy.Observer{Down: reads}),
		"its end panics":    observer(proxy.Observer{Done: func(sniff.Traffic) { panic("done") }}),
		"a protocol panics": observerPanics,
		"records nobody takes": func(*recordtest.Stuck) *proxy.Pipeline {
			return &proxy.Pipeline{Recorder: &record.Async{Next: record.Discard(), MaxRecords: 1}}
		},
	}
}

func observerPanics(*recordtest.Stuck) *proxy.Pipeline {
	return &proxy.Pipeline{Protocols: []proxy.Protocol{claims{func(*proxy.Flow) proxy.Observer { panic("observe") }}}}
}

func TestVerbatim(t *testing.T) {
	for what, make := range pipelines() {
		for kind, pair := range map[string]func(testing.TB) (net.Conn, net.Conn){"tcp": tcptest.Pair, "pipe": pipePair} {
			t.Run(what+"/"+kind, func(t *testing.T) {
				leaktest.Check(t)
				for seed := range uint64(12) {
					c := randomConversation(rand.New(rand.NewPCG(seed, 1)))
					stuck := &recordtest.Stuck{}
					p := make(stuck)
					own, _ := p.Recorder.(*record.Async)
					l := newLineOver(t, p, proxy.Session{}, pair)
					l.converse(c, seed)
					if stuck.Release(); own != nil {
						own.Close(t.Context())
					}
					<-l.done
					ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
					l.pipeline.Close(ctx) // which hangs with what it flushes to
					cancel()
					if t.Failed() {
						t.Fatalf("seed %d: %.2000q", seed, c)
					}
				}
			})
		}
	}
}

func TestVerbatimOpened(t *testing.T) {
	for seed := range uint64(12) {
		l := newOpened(t, nil)
		l.converse(randomConversation(rand.New(rand.NewPCG(seed, 1))), seed)
		l.records()
	}
}

// pipePair is a connection without half-close, and without buffers.
func pipePair(t testing.TB) (net.Conn, net.Conn) {
	a, b := net.Pipe()
	t.Cleanup(func() { a.Close(); b.Close() })
	return a, b
}

// Every byte of a conversation in which nothing is wrong counts for one record.
func TestCountsAddUp(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	for range 10 {
		var s script
		for i := range 1 + rng.IntN(5) {
			body := strings.Repeat("x", rng.IntN(1<<rng.IntN(18)))
			s = append(s, up(fmt.Sprintf("PUT /%d HTTP/1.1\r\nContent-Length: %d\r\n\r\n%s", i, len(body), body)),
				down(fmt.Sprintf("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%sx\r\n0\r\n\r\n", len(body)+1, body)))
		}
		records := s.play(t, nil) // checks the sums
		require.Len(t, records, len(s)/2)
		for i, r := range records {
			assert.EqualValues(t, len(s[2*i].text), r.InputBytes)
			assert.EqualValues(t, len(s[2*i+1].text), r.OutputBytes)
		}
	}
}

// The queue of a pipeline that was given none is its own to close; one that was
// given belongs to who made it.
func TestPipelineClose(t *testing.T) {
	var zero proxy.Pipeline
	assert.NoError(t, zero.Close(t.Context()))
	assert.Zero(t, zero.Stats())

	seen := &recordtest.Collector{}
	queue := &record.Async{Next: seen}
	p := &proxy.Pipeline{Recorder: queue}
	l := newLine(t, p, proxy.Session{})
	l.pass(get, hello)
	l.end()
	assert.NoError(t, p.Close(t.Context()))
	assert.NoError(t, queue.Record(t.Context(), &record.Record{}), "still open")
	require.NoError(t, queue.Close(t.Context()))
	assert.Len(t, seen.Records(), 2)
	assert.EqualValues(t, 2, p.Stats().Offered)
}

func TestServeEndsWithItsContext(t *testing.T) {
	leaktest.Check(t)
	client, ours := tcptest.Pair(t)
	theirs, server := tcptest.Pair(t)
	ctx, cancel := context.WithCancel(t.Context())
	p := &proxy.Pipeline{}
	done := make(chan error, 1)
	go func() { done <- p.Serve(ctx, ours, theirs, proxy.Session{}) }()
	newPeer(t, client).send(get)
	newPeer(t, server).expect(get)
	cancel()
	select {
	case err := <-done:
		assert.ErrorIs(t, err, context.Canceled)
	case <-time.After(patience):
		require.Fail(t, "Serve does not return")
	}
	for _, c := range []net.Conn{client, server} {
		_, err := c.Read(make([]byte, 1))
		assert.Error(t, err, "closed by Serve")
	}
}

// Events of a stream arrive one by one.
func TestEventByEvent(t *testing.T) {
	for _, opened := range []bool{false, true} {
		var l *line
		if opened {
			l = newOpened(t, nil)
		} else {
			l = newLine(t, nil, proxy.Session{})
		}
		l.pass(get, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
		for range 20 {
			pass(t, l.server, l.client, "9\r\ndata: x\n\n\r\n")
		}
		l.pass("", "0\r\n\r\n")
		r := only(t, l.endTLS())
		assert.EqualValues(t, 180, r.HTTP.Response.ContentLength)
	}
}
