package sniff

import (
	"context"
	"crypto/tls"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/proxyglass/proxyglass/internal/leaktest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// I3: when Relay has returned there is no goroutine, no descriptor and no
// timer of its left. Most tests of this package check that; these are about
// the ways out that are not the usual one.

func TestCancel(t *testing.T) {
	fill := make([]byte, 32<<20)
	for _, tr := range transports() {
		t.Run(tr.name, func(t *testing.T) {
			client, server := tr.pairs(t)
			before := leaktest.Take()
			ctx, cancel := context.WithCancel(t.Context())
			done := relayed(ctx, client.ours, server.ours, readOn, nil)
			go func() { client.peer.Write(fill) }() // nobody reads these
			go func() { server.peer.Write(fill) }()
			time.Sleep(10 * time.Millisecond)
			begin := time.Now()
			cancel()
			o := wait(t, done)
			assert.ErrorIs(t, o.err, context.Canceled)
			assert.Less(t, time.Since(begin), time.Second)
			client.peer.Close()
			server.peer.Close()
			before.Compare(t)
		})
	}
}

// Deadlines that interrupted a relay are taken back.
func TestCancelLeavesNoDeadline(t *testing.T) {
	for _, kind := range []string{"tcp", "unix", "pipe"} {
		t.Run(kind, func(t *testing.T) {
			leaktest.Check(t)
			client, server := transportNamed(kind).pairs(t)
			ctx, cancel := context.WithCancel(t.Context())
			done := relayed(ctx, client.ours, server.ours, nil, nil)
			cancel()
			assert.ErrorIs(t, wait(t, done).err, context.Canceled)
			for _, p := range []pair{client, server} {
				go io.WriteString(p.peer, "in")
				expect(t, p.ours, "in")
				go io.WriteString(p.ours, "out")
				expect(t, p.peer, "out")
			}
		})
	}
}

func TestCancelledBeforeItBegins(t *testing.T) {
	leaktest.Check(t)
	client, server := tcpPair(t), tcpPair(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	o := wait(t, relayed(ctx, client.ours, server.ours, nil, nil))
	assert.ErrorIs(t, o.err, context.Canceled)
}

// The end of ctx races with the end of the streams.
func TestCancelAtTheEnd(t *testing.T) {
	leaktest.Check(t)
	for i := range 200 {
		client, server := tcpPair(t), tcpPair(t)
		ctx, cancel := context.WithCancel(t.Context())
		done := relayed(ctx, client.ours, server.ours, nil, nil)
		go func() {
			time.Sleep(time.Duration(i) * time.Microsecond)
			cancel()
		}()
		client.peer.Close()
		server.peer.Close()
		o := wait(t, done)
		if o.err != nil {
			require.ErrorIs(t, o.err, context.Canceled)
		}
		client.ours.Close()
		server.ours.Close()
	}
}

// No timer acts on the connections after Relay has returned.
func TestNoTimerIsLeft(t *testing.T) {
	testCert()
	synctest.Test(t, func(t *testing.T) {
		client, server := pipePair(t), pipePair(t)
		ours := refusing{server.ours}
		c := NewConn(client.ours)
		stop := func(r io.Reader) error {
			if _, err := r.(*Reader).Next(); err != nil {
				return err
			}
			return Stop
		}
		done := relayed(t.Context(), c, ours, nil, stop)
		write(t, client.peer, "refused, which starts the timer")
		write(t, server.peer, "answer")
		<-done
		synctest.Wait()
		got := make(chan error, 1)
		go func() { // until long after the timer would have fired
			_, err := io.ReadFull(server.ours, make([]byte, 1))
			got <- err
		}()
		time.Sleep(time.Hour)
		write(t, server.peer, "x")
		assert.NoError(t, <-got)
		client.peer.Close()
		server.peer.Close()
	})
}

// A close_notify without a FIN keeps nobody waiting once the other side is done.
func TestCloseNotifyWithoutFIN(t *testing.T) {
	leaktest.Check(t)
	client, server := transportNamed("tls-plain").pairs(t)
	done := relayed(t.Context(), client.ours, server.ours, nil, nil)
	closeWrite(t, client.peer)
	expectEnd(t, server.peer)
	require.NoError(t, server.peer.Close())
	expectEnd(t, client.peer)
	wait(t, done) // though the client keeps its transport open
}

func TestHandshakeWithinRelay(t *testing.T) {
	leaktest.Check(t)
	client, server := tcpPair(t), tcpPair(t)
	peer := tls.Client(client.peer, clientConfig(tls.VersionTLS13))
	ours := tls.Server(NewConn(client.ours), serverConfig(tls.VersionTLS13)) // no handshake yet
	done := relayed(t.Context(), ours, server.ours, nil, nil)
	write(t, peer, "lazily")
	expect(t, server.peer, "lazily")
	require.NoError(t, peer.Close())
	expectEnd(t, server.peer)
	server.peer.Close()
	wait(t, done)
}

// The server ends before the client has begun its handshake.
func TestEndBeforeTheHandshake(t *testing.T) {
	leaktest.Check(t)
	client, server := tcpPair(t), tcpPair(t)
	ours := tls.Server(NewConn(client.ours), serverConfig(tls.VersionTLS13))
	done := relayed(t.Context(), ours, server.ours, nil, nil)
	server.peer.Close()
	_, err := client.peer.Read(make([]byte, 1))
	assert.Error(t, err)
	wait(t, done)
}
