//go:build linux

package bench

import (
	"bufio"
	"encoding/json"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// patience is how long a process may take to answer.
const patience = time.Minute

// A process is this binary in another role.
type process struct {
	tb    testing.TB
	role  string
	pid   int
	addrs []string // where it listens
	in    *json.Encoder
	out   *os.File
	dec   *json.Decoder
	stop  func() // waits until it has ended; may be called again
}

// start runs a process until the test ends, or this process does, however that
// comes about: it then sees the end of its standard input, and is killed too.
func start(tb testing.TB, dir, role string) *process {
	tb.Helper()
	exe, err := os.Executable()
	require.NoError(tb, err)
	theirs, in, err := os.Pipe()
	require.NoError(tb, err)
	out, theirOut, err := os.Pipe()
	require.NoError(tb, err)
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), roleEnv+"="+role, dirEnv+"="+dir,
		"GORACE=atexit_sleep_ms=0") // a second each, otherwise, under the race detector
	cmd.Stdin, cmd.Stdout, cmd.Stderr = theirs, theirOut, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	err = cmd.Start()
	theirs.Close()
	theirOut.Close()
	require.NoError(tb, err)
	p := &process{
		tb: tb, role: role, pid: cmd.Process.Pid,
		in: json.NewEncoder(in), out: out, dec: json.NewDecoder(out),
		stop: sync.OnceFunc(func() {
			in.Close()
			kill := time.AfterFunc(5*time.Second, func() { cmd.Process.Kill() })
			cmd.Wait()
			kill.Stop()
			out.Close()
		}),
	}
	tb.Cleanup(p.stop)
	p.addrs = p.hear().Addrs
	return p
}

// ask has the process do something and returns its answer.
func (p *process) ask(c command) answer {
	p.tb.Helper()
	require.NoError(p.tb, p.in.Encode(c), p.role)
	return p.hear()
}

func (p *process) hear() (a answer) {
	p.tb.Helper()
	p.out.SetReadDeadline(time.Now().Add(patience))
	require.NoError(p.tb, p.dec.Decode(&a), "the answer of the process %q", p.role)
	require.Empty(p.tb, a.Err, p.role)
	return a
}

// cpu is the CPU time that the process has used, of all its threads, in user
// and system mode: its CPU-time clock (clock_getcpuclockid(3)), which counts
// nanoseconds where /proc has ticks.
func (p *process) cpu() time.Duration {
	p.tb.Helper()
	var ts unix.Timespec
	require.NoError(p.tb, unix.ClockGettime(int32(^p.pid<<3|2), &ts))
	return time.Duration(ts.Nano())
}

// rss is the resident memory of the process in KiB (proc_pid_status(5)).
func (p *process) rss() float64 {
	p.tb.Helper()
	f, err := os.Open("/proc/" + strconv.Itoa(p.pid) + "/status")
	require.NoError(p.tb, err)
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		if v, ok := strings.CutPrefix(s.Text(), "VmRSS:"); ok {
			kib, err := strconv.ParseFloat(strings.Fields(v)[0], 64)
			require.NoError(p.tb, err)
			return kib
		}
	}
	require.Fail(p.tb, "no VmRSS")
	return 0
}
