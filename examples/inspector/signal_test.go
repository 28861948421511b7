//go:build unix

package main_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// slow is an origin that answers in two parts.
type slow struct {
	begun chan struct{} // the first part was sent
	more  chan struct{} // the second may go
}

func newSlow() *slow { return &slow{make(chan struct{}, 8), make(chan struct{})} }

func (s *slow) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	io.WriteString(w, "one ")
	w.(http.Flusher).Flush()
	s.begun <- struct{}{}
	select {
	case <-s.more:
		io.WriteString(w, "two")
	case <-r.Context().Done():
	}
}

// TestStopLetsExchangesEnd: the exchange that runs is completed, idle
// connections and half a request hold nothing up.
func TestStopLetsExchangesEnd(t *testing.T) {
	t.Parallel()
	need(t, "curl")
	for _, w := range ways {
		t.Run(w.name, func(t *testing.T) {
			t.Parallel()
			origin := newSlow()
			s := newSite(t, pki.good, origin)
			p := start(t)
			p.dial() // says nothing
			half := p.dial()
			io.WriteString(half, "GET http://")
			answer := make(chan string)
			go func() {
				defer close(answer) // also when curl fails
				answer <- p.curl(nil, append([]string{s.url(w, "/")}, w.flags...)...)
			}()
			<-origin.begun
			p.signal(syscall.SIGTERM)
			eventually(t, "the port to be closed", func() bool {
				c, err := net.Dial("tcp", p.addr)
				if err == nil {
					c.Close()
				}
				return err != nil
			})
			begun := time.Now()
			close(origin.more)
			assert.Equal(t, "one two", <-answer)
			code, last := p.wait()
			assert.Less(t, time.Since(begun), 2*time.Second, "the end of the last exchange is the end")
			assert.Zero(t, code)
			assert.Contains(t, last, "1 offered, 1 delivered")
			e := p.await(1, func(*entry) bool { return true })[0]
			assert.Equal(t, "one two", string(e.HTTP.Response.Body))
			assert.Empty(t, e.Err)
		})
	}
}

// fifo is a file that takes 64 KiB and then blocks, for nobody reads.
func fifo(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "fifo")
	require.NoError(t, syscall.Mkfifo(path, 0o600))
	return path
}

// fill makes records of 200 KiB in all.
func fill(t *testing.T, p *inspector) {
	t.Helper()
	s := newSite(t, pki.good, http.HandlerFunc(mirror))
	p.curl(nil, s.url(forward, "/?n=65536"), s.url(forward, "/?n=65536"), s.url(forward, "/?n=65536"))
}

// TestStopWhateverHangs: five seconds are enough.
func TestStopWhateverHangs(t *testing.T) {
	t.Parallel()
	need(t, "curl")
	origin := newSlow()
	s := newSite(t, pki.good, origin)
	hang := func(t *testing.T, p *inspector, w way) {
		if w.name == forward.name {
			io.WriteString(p.dial(), "GET http://"+s.plain+"/ HTTP/1.1\r\nHost: x\r\n\r\n")
		} else {
			io.WriteString(p.connect(s.plain), "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		}
		<-origin.begun
	}
	for _, c := range []struct {
		name  string
		sink  func(t *testing.T) []string // nil: none that hangs
		hang  []way
		least time.Duration
	}{
		{"origin", nil, []way{forward}, 2 * time.Second},
		{"origin behind a tunnel", nil, []way{tunnel}, 2 * time.Second},
		{"FIFO", func(t *testing.T) []string { return []string{"-records", fifo(t)} }, nil, 0},
		{"all", func(t *testing.T) []string { return []string{"-records", fifo(t)} }, []way{forward, tunnel}, 2 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var flags []string
			if c.sink != nil {
				flags = c.sink(t)
			}
			p := start(t, flags...)
			if c.sink != nil {
				fill(t, p)
			}
			for _, w := range c.hang {
				hang(t, p, w)
			}
			begun := time.Now()
			p.signal(syscall.SIGTERM)
			code, last := p.wait()
			took := time.Since(begun)
			assert.Zero(t, code)
			assert.Less(t, took, 5*time.Second)
			assert.Greater(t, took, c.least, "running exchanges get their time")
			assert.Contains(t, last, "stopped: ")
			if c.sink == nil {
				e := p.await(1, func(*entry) bool { return true })[0]
				assert.NotEmpty(t, e.Err)
			} else {
				assert.NotContains(t, last, " 0 dropped, 0 failed;")
				assert.Contains(t, last, "unfinished")
			}
		})
	}
}

// TestStopWithOutputThatHangs: nobody reads the pipe that is standard output.
func TestStopWithOutputThatHangs(t *testing.T) {
	t.Parallel()
	need(t, "curl")
	r, w, err := os.Pipe()
	require.NoError(t, err)
	defer r.Close()
	p := startWith(t, w)
	w.Close()
	fill(t, p)
	begun := time.Now()
	p.signal(syscall.SIGINT)
	code, last := p.wait()
	assert.Zero(t, code)
	assert.Less(t, time.Since(begun), 5*time.Second)
	got := count(t, last)
	assert.Equal(t, 3, got.offered)
	assert.Less(t, got.delivered, 3)
}

// TestStopWithAllOutputHanging: standard error leads into the same pipe, so even
// the last line cannot be written.
func TestStopWithAllOutputHanging(t *testing.T) {
	t.Parallel()
	need(t, "curl")
	r, w, err := os.Pipe()
	require.NoError(t, err)
	defer r.Close()
	cmd := exec.Command(program, append(caFlags(), "-listen", "127.0.0.1:0")...)
	cmd.Stdout, cmd.Stderr, cmd.Env = w, w, append(os.Environ(), noLinger)
	require.NoError(t, cmd.Start())
	w.Close()
	t.Cleanup(func() { cmd.Process.Kill() })
	first, err := bufio.NewReader(r).ReadString('\n')
	require.NoError(t, err)
	addr := strings.TrimPrefix(strings.TrimSpace(first), "listening on ")
	fill(t, &inspector{t: t, addr: addr})
	begun := time.Now()
	require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
	assert.NoError(t, cmd.Wait(), "exit code 0")
	assert.Less(t, time.Since(begun), 5*time.Second)
}

func TestSecondSignal(t *testing.T) {
	t.Parallel()
	origin := newSlow()
	s := newSite(t, pki.good, origin)
	p := start(t)
	io.WriteString(p.dial(), "GET http://"+s.plain+"/ HTTP/1.1\r\nHost: x\r\n\r\n")
	<-origin.begun
	p.signal(syscall.SIGTERM)
	time.Sleep(200 * time.Millisecond)
	assert.False(t, p.hasEnded(), "the exchange is waited for")
	begun := time.Now()
	p.signal(syscall.SIGTERM)
	p.wait()
	assert.Less(t, time.Since(begun), time.Second)
	assert.NotContains(t, p.err.String(), "stopped: ")
}

// TestReaderGone: what reads our output ends; the traffic goes on.
func TestReaderGone(t *testing.T) {
	t.Parallel()
	need(t, "curl")
	r, w, err := os.Pipe()
	require.NoError(t, err)
	p := startWith(t, w)
	w.Close()
	r.Close()
	s := newSite(t, pki.good, http.HandlerFunc(mirror))
	for range 3 {
		assert.Equal(t, s.plain+" /\n", p.curl(nil, s.url(forward, "/")))
	}
	p.signal(syscall.SIGTERM)
	code, last := p.wait()
	assert.Zero(t, code)
	assert.Contains(t, last, "3 offered, 0 delivered, 0 dropped, 3 failed")
	assert.True(t, strings.Contains(last, "broken pipe"), last)
}
