package main_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/proxyglass/proxyglass/record"
)

// patience is how long anything that should happen soon is waited for.
const patience = 15 * time.Second

// noLinger has a program under the race detector end when it ends, and not a
// second later.
const noLinger = "GORACE=atexit_sleep_ms=0"

// work is the directory of this run, program the inspector in it.
var work, program string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	var err error
	if work, err = os.MkdirTemp("", "inspector"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(work)
	program = filepath.Join(work, "inspector")
	build := []string{"build", "-o", program}
	if underRace() {
		build = append(build, "-race")
	}
	if out, err := exec.Command("go", append(build, ".")...).CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "%v\n%s", err, out)
		return 1
	}
	if err := makePKI(work); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// underRace reports whether the race detector watches these tests; it then
// watches the program too.
func underRace() bool {
	info, _ := debug.ReadBuildInfo()
	for _, s := range info.Settings {
		if s.Key == "-race" {
			return s.Value == "true"
		}
	}
	return false
}

// inspector is the program, running.
type inspector struct {
	t        testing.TB
	cmd      *exec.Cmd
	addr     string
	out, err buffer
	ended    chan struct{}
}

// caFlags are those of a CA that the tests share.
func caFlags() []string { return []string{"-ca", filepath.Join(work, "ca")} }

func caFile() string { return filepath.Join(work, "ca", "ca.crt") }

// start runs the inspector on a free port, with roots for the tests' origins.
func start(t testing.TB, args ...string) *inspector {
	t.Helper()
	return startWith(t, nil, args...)
}

// startWith is start with a standard output of one's own.
func startWith(t testing.TB, stdout *os.File, args ...string) *inspector {
	t.Helper()
	p := &inspector{t: t, ended: make(chan struct{})}
	all := append([]string{"-listen", "127.0.0.1:0", "-upstream-ca", pki.rootsFile}, caFlags()...)
	p.cmd = exec.Command(program, append(all, args...)...)
	p.cmd.Env = append(os.Environ(), noLinger)
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.err
	if stdout != nil {
		p.cmd.Stdout = stdout
	}
	require.NoError(t, p.cmd.Start())
	go func() {
		defer close(p.ended)
		_ = p.cmd.Wait() // the exit code is in ProcessState
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.ended
		assert.NotContains(t, p.err.String(), "goroutine ", "a panic, or a data race")
	})
	eventually(t, "the greeting", func() bool { return strings.Contains(p.err.String(), "\ntry ") || p.hasEnded() })
	_, rest, _ := strings.Cut(p.err.String(), "listening on ")
	p.addr, _, _ = strings.Cut(rest, "\n")
	require.NotEmpty(t, p.addr, p.err.String())
	return p
}

func (p *inspector) hasEnded() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

func (p *inspector) signal(s os.Signal) { require.NoError(p.t, p.cmd.Process.Signal(s)) }

// wait waits for the end; it returns the exit code and the last line.
func (p *inspector) wait() (code int, last string) {
	p.t.Helper()
	select {
	case <-p.ended:
	case <-time.After(patience):
		require.FailNow(p.t, "the program does not end")
	}
	lines := strings.Split(strings.TrimSpace(p.err.String()), "\n")
	return p.cmd.ProcessState.ExitCode(), lines[len(lines)-1]
}

// stop ends the program in an orderly way and returns all its records.
func (p *inspector) stop() []*entry {
	p.t.Helper()
	begun := time.Now()
	p.signal(syscall.SIGTERM)
	code, last := p.wait()
	assert.Equal(p.t, 0, code, p.err.String())
	assert.Less(p.t, time.Since(begun), 5*time.Second)
	assert.Contains(p.t, last, "stopped: ")
	assert.Contains(p.t, last, " 0 dropped, 0 failed")
	return p.records()
}

// An entry is one record, and its JSON.
type entry struct {
	record.Record
	json map[string]any
}

// records are those that have come out by now.
func (p *inspector) records() []*entry {
	p.t.Helper()
	return entries(p.t, p.out.String())
}

func entries(t testing.TB, text string) (all []*entry) {
	t.Helper()
	for line := range strings.Lines(text) {
		if !strings.HasSuffix(line, "\n") {
			break // not yet whole
		}
		e := &entry{}
		require.NoError(t, json.Unmarshal([]byte(line), &e.Record), line)
		require.NoError(t, json.Unmarshal([]byte(line), &e.json), line)
		all = append(all, e)
	}
	return all
}

// await waits for n records that satisfy what, and returns them.
func (p *inspector) await(n int, what func(*entry) bool) []*entry {
	p.t.Helper()
	var found []*entry
	eventually(p.t, fmt.Sprintf("%d records", n), func() bool {
		found = nil
		for _, e := range p.records() {
			if what(e) {
				found = append(found, e)
			}
		}
		return len(found) >= n
	}, &p.out, &p.err)
	require.Len(p.t, found, n)
	return found
}

// uri selects records by the request's target.
func uri(u string) func(*entry) bool {
	return func(e *entry) bool { return e.HTTP != nil && e.HTTP.URI == u }
}

// eventually waits until what is true.
func eventually(t testing.TB, name string, what func() bool, shown ...fmt.Stringer) {
	t.Helper()
	for end := time.Now().Add(patience); !what(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			text := ""
			for _, s := range shown {
				text += fmt.Sprintf("\n%.4000s", s)
			}
			require.FailNow(t, "waited in vain for "+name, text)
		}
	}
}

// buffer takes the output of a program that goes on.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// need finds a program, or skips the test.
func need(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("%s is not installed", name)
	}
	return path
}

// A result is what a program has said and how it ended.
type result struct {
	out, err string
	code     int
}

// command runs a client to its end, with nothing in its environment that
// would change where it connects.
func command(t testing.TB, stdin io.Reader, name string, args ...string) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, need(t, name), args...)
	var out, errors bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, &out, &errors
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + work, noLinger}
	return result{code: exitCode(t, cmd.Run()), out: out.String(), err: errors.String()}
}

func exitCode(t testing.TB, err error) int {
	t.Helper()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode()
	}
	require.NoError(t, err)
	return 0
}

// curl runs curl through the inspector, trusting the tests' CA. It must succeed.
func (p *inspector) curl(stdin io.Reader, args ...string) string {
	p.t.Helper()
	all := []string{"-sS", "--max-time", "60", "--noproxy", "", "-x", "http://" + p.addr, "--cacert", caFile()}
	r := command(p.t, stdin, "curl", append(all, args...)...)
	require.Zero(p.t, r.code, "%s\n%s", r.err, p.err.String())
	return r.out
}

// dial connects to the inspector.
func (p *inspector) dial() net.Conn {
	p.t.Helper()
	c, err := net.Dial("tcp", p.addr)
	require.NoError(p.t, err)
	p.t.Cleanup(func() { c.Close() })
	require.NoError(p.t, c.SetDeadline(time.Now().Add(patience)))
	return c
}

// connect asks the inspector for a tunnel to addr.
func (p *inspector) connect(addr string) net.Conn {
	p.t.Helper()
	c, err := p.tunnel(addr)
	require.NoError(p.t, err)
	p.t.Cleanup(func() { c.Close() })
	return c
}

// tunnel is connect for goroutines that are not the test's.
func (p *inspector) tunnel(addr string) (net.Conn, error) {
	c, err := net.Dial("tcp", p.addr)
	if err != nil {
		return nil, err
	}
	c.SetDeadline(time.Now().Add(patience))
	if _, err := fmt.Fprintf(c, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n", addr, addr); err != nil {
		return nil, err
	}
	var head []byte
	for b := make([]byte, 1); !bytes.HasSuffix(head, []byte("\r\n\r\n")); head = append(head, b[0]) {
		if _, err := io.ReadFull(c, b); err != nil {
			return nil, fmt.Errorf("%w after %q", err, head)
		}
	}
	if !bytes.Contains(head, []byte(" 200 ")) {
		return nil, fmt.Errorf("refused: %q", head)
	}
	return c, nil
}
