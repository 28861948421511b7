package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/proxyglass/proxyglass/proxy"
	"github.com/proxyglass/proxyglass/record"
)

// How long the end may take, from the first signal on. Five seconds is the
// promise; what hangs all the same, be it the terminal, is left behind.
const (
	drainTime = 3 * time.Second
	flushTime = 4 * time.Second
	lastTime  = 4500 * time.Millisecond
)

// wind lets what runs come to its end, flushes the records and says what became
// of all. If that hangs it ends the program, with an exit code for its err.
func wind(server *proxy.Server, pipeline *proxy.Pipeline, clients *counter, err error) error {
	time.AfterFunc(lastTime, func() {
		if err != nil {
			os.Exit(1)
		}
		os.Exit(0)
	})
	flush, cancel := context.WithTimeout(context.Background(), flushTime)
	defer cancel()
	drain, cancel := context.WithTimeout(flush, drainTime)
	defer cancel()
	// Errors say that time was up: cut exchanges have records that tell so, and
	// lost records are counted.
	_ = server.Shutdown(drain)
	_ = pipeline.Close(flush)
	fmt.Fprintln(os.Stderr, counts(clients.accepted.Load(), pipeline.Stats()))
	return err
}

// counts is the line that the program ends with.
func counts(clients uint64, s record.Stats) string {
	var b strings.Builder
	fmt.Fprintf(&b, "stopped: %d connections; records: %d offered, %d delivered, %d dropped, %d failed",
		clients, s.Offered, s.Delivered, s.Dropped.Total(), s.Failed)
	if n := s.Queued + s.InFlight; n > 0 {
		fmt.Fprintf(&b, ", %d unfinished", n)
	}
	if s.LastErr != nil {
		fmt.Fprintf(&b, "; last error: %v", s.LastErr)
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

// counter is a listener that counts.
type counter struct {
	net.Listener
	accepted atomic.Uint64
}

func (c *counter) Accept() (net.Conn, error) {
	conn, err := c.Listener.Accept()
	if err == nil {
		c.accepted.Add(1)
	}
	return conn, err
}
