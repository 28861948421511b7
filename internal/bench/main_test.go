//go:build linux

package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/pprof"
	"testing"
	"time"
)

// What a process is told by its environment.
const (
	roleEnv    = "PROXYGLASS_BENCH_ROLE"    // what it plays; unset: it runs the tests
	dirEnv     = "PROXYGLASS_BENCH_DIR"     // where the authorities are
	profileEnv = "PROXYGLASS_BENCH_PROFILE" // where to leave a profile; unset: nowhere
)

func TestMain(m *testing.M) {
	role := os.Getenv(roleEnv)
	if role == "" {
		os.Exit(m.Run())
	}
	if err := play(role, os.Getenv(dirEnv)); err != nil {
		fmt.Fprintf(os.Stderr, "bench: %s: %v\n", role, err)
		os.Exit(1)
	}
}

// A command is what a process is asked, on its standard input.
type command struct {
	Do     string        // "visit", "get" of a visitor; "stats" of Proxyglass
	Way    string        // visit: how the connections reach the origin
	Proxy  string        // visit: the proxy's address
	Origin string        // visit: the origin's
	Conns  int           // visit: how many connections
	Bytes  int64         // get: the length of each answer
	For    time.Duration // get: how long to go on asking; zero: each connection asks once
}

// An answer is what it says to that, on its standard output; and, unasked, when
// it is ready.
type answer struct {
	Addrs    []string // where it listens
	Requests int64    // answered
	Took     time.Duration
	Recorded uint64 // records delivered
	Dropped  uint64 // and not
	Err      string
}

// roles are what a process of this binary can be.
var roles = map[string]func(dir string) (addrs []string, do func(command) (answer, error), err error){
	"origin":   origin,
	"visitor":  visitor,
	"relay":    relayFloor,
	"tls":      tlsFloor,
	"observes": func(dir string) ([]string, func(command) (answer, error), error) { return proxyglass(dir, false) },
	"opens":    func(dir string) ([]string, func(command) (answer, error), error) { return proxyglass(dir, true) },
}

// play does as it is told until standard input ends, which it does at the latest
// when the process that began all this does.
func play(name, dir string) error {
	begin, ok := roles[name]
	if !ok {
		return fmt.Errorf("no such role")
	}
	stop, err := profile(name)
	if err != nil {
		return err
	}
	defer stop()
	addrs, do, err := begin(dir)
	if err != nil {
		return err
	}
	in, out := json.NewDecoder(os.Stdin), json.NewEncoder(os.Stdout)
	if err := out.Encode(answer{Addrs: addrs}); err != nil {
		return err
	}
	for {
		var c command
		if err := in.Decode(&c); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		a, err := do(c)
		if err != nil {
			a.Err = err.Error()
		}
		if err := out.Encode(a); err != nil {
			return err
		}
	}
}

func profile(role string) (stop func(), err error) {
	dir := os.Getenv(profileEnv)
	if dir == "" {
		return func() {}, nil
	}
	f, err := os.Create(filepath.Join(dir, fmt.Sprintf("%s-%d.pprof", role, os.Getpid())))
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, err
	}
	return func() {
		pprof.StopCPUProfile()
		f.Close()
	}, nil
}
