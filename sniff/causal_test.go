package sniff

import (
	"crypto/tls"
	"fmt"
	"io"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// I2: no peer sees a byte before the parser has, however slow the parser is.
// So whatever it does in answer, the parser has seen the cause of it.

func TestCausal(t *testing.T) {
	testCert() // made outside of the bubble, whose time is another
	for _, secure := range []bool{false, true} {
		t.Run(fmt.Sprintf("tls=%t", secure), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client, server := pipePair(t), pipePair(t)
				if secure {
					client = overTLS(t, client, tls.VersionTLS13, true)
					server = overTLS(t, server, tls.VersionTLS13, false)
				}
				var seenUp, seenDown atomic.Int64
				done := relayed(t.Context(), client.ours, server.ours, slow(&seenUp), slow(&seenDown))
				question, answer := make([]byte, 300), make([]byte, 700)
				go func() { // the server answers each question at once
					for i := int64(1); ; i++ {
						if _, err := io.ReadFull(server.peer, question); err != nil {
							server.peer.Close()
							return
						}
						if seen := seenUp.Load(); seen < i*300 {
							t.Errorf("the server has question %d, the parser %d bytes", i, seen)
						}
						server.peer.Write(answer)
					}
				}()
				begin := time.Now()
				for i := int64(1); i <= 20; i++ {
					_, err := client.peer.Write(question)
					require.NoError(t, err)
					_, err = io.ReadFull(client.peer, answer)
					require.NoError(t, err)
					assert.GreaterOrEqual(t, seenUp.Load(), i*300)
					assert.GreaterOrEqual(t, seenDown.Load(), i*700)
				}
				assert.GreaterOrEqual(t, time.Since(begin), 40*time.Second)
				client.peer.Close()
				<-done
			})
		})
	}
}

// slow is a parser that takes a second for each chunk, then says it has seen it.
func slow(seen *atomic.Int64) Parser {
	return func(r io.Reader) error {
		src := r.(*Reader)
		for {
			b, err := src.Next()
			if err != nil {
				return err
			}
			time.Sleep(time.Second)
			seen.Add(int64(len(b)))
			src.Advance(len(b))
		}
	}
}

// While a parser waits for more, the other side sees nothing of what it holds.
func TestMoreHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := pipePair(t), pipePair(t)
		var got atomic.Int64
		go func() {
			n, _ := io.Copy(countWrites{&got}, server.peer)
			got.Store(n)
			server.peer.Close()
		}()
		done := relayed(t.Context(), client.ours, server.ours, func(r io.Reader) error {
			src := r.(*Reader)
			for len(src.Held()) < 300 {
				if _, err := src.More(1000); err != nil {
					return err
				}
			}
			src.Advance(100)
			_, err := src.More(1000)
			return err
		}, nil)
		for i := range 3 {
			assert.Zero(t, got.Load(), "after %d chunks", i)
			client.peer.Write(make([]byte, 100))
			synctest.Wait()
		}
		assert.EqualValues(t, 100, got.Load(), "what was consumed is released by More")
		client.peer.Write(make([]byte, 7)) // and the rest when the parser returns
		synctest.Wait()
		assert.EqualValues(t, 307, got.Load())
		client.peer.Close()
		<-done
	})
}

type countWrites struct{ n *atomic.Int64 }

func (c countWrites) Write(p []byte) (int, error) {
	c.n.Add(int64(len(p)))
	return len(p), nil
}

// A deadline of the parser's own bounds its waiting and loses nothing.
func TestReaderDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := pipePair(t), pipePair(t)
		var waited time.Duration
		done := relayed(t.Context(), client.ours, server.ours, func(r io.Reader) error {
			src, begin := r.(*Reader), time.Now()
			src.SetDeadline(begin.Add(3 * time.Second))
			if _, err := src.More(100); err != nil {
				return err
			}
			for {
				if _, err := src.More(100); err != nil {
					waited = time.Since(begin)
					return err
				}
			}
		}, nil)
		client.peer.Write([]byte("he"))
		expect(t, server.peer, "he")
		time.Sleep(time.Hour)
		client.peer.Write([]byte("llo"))
		expect(t, server.peer, "llo")
		client.peer.Close()
		server.peer.Close()
		o := <-done
		assert.Equal(t, 3*time.Second, waited)
		assert.NoError(t, o.Up.Parser)
	})
}
