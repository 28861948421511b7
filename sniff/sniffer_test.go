package sniff

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestSniff(t *testing.T) {
	for _, tt := range []struct {
		name   string
		chunks []string
		end    bool
		s      Sniffer
		want   Protocol
	}{
		{"at once", []string{"GET / HTTP/1.1\r\n\r\n"}, false, Sniffer{}, HTTP1},
		{"byte by byte", strings.Split("GET / HTTP/1.1\r\n", ""), false, Sniffer{}, HTTP1},
		{"h2", []string{"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"}, false, Sniffer{}, HTTP2},
		{"ssh", []string{"SSH-2.0", "-x\r\n"}, false, Sniffer{}, SSH},
		{"nobody's", []string{"\x00\x01\x02"}, false, Sniffer{}, Unknown},
		{"ended early", []string{"GE"}, true, Sniffer{}, Unknown},
		{"ended at once", nil, true, Sniffer{}, Unknown},
		{"too long a head", []string{"GET /", strings.Repeat("a", 20)}, false, Sniffer{MaxBytes: 10}, Unknown},
		{"no detectors", []string{"GET / HTTP/1.1\r\n"}, false, Sniffer{Detectors: []Detector{}}, Unknown},
		{"one's own", []string{"xy", "zzy"}, false, Sniffer{Detectors: []Detector{magic{}}}, "magic"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := tcpPair(t)
			go func() {
				for _, chunk := range tt.chunks {
					io.WriteString(p.peer, chunk)
				}
				if tt.end {
					p.peer.Close()
				}
			}()
			c, err := tt.s.Sniff(t.Context(), p.ours)
			require.NoError(t, err)
			assert.Equal(t, tt.want, c.Protocol())
			expect(t, c, strings.Join(tt.chunks, "")) // nothing is lost
			if tt.end {
				expectEnd(t, c)
			}
		})
	}
}

// magic recognises "xyzzy".
type magic struct{}

func (magic) Protocol() Protocol { return "magic" }
func (magic) Detect(head []byte) Verdict {
	switch word := []byte("xyzzy"); {
	case bytes.HasPrefix(head, word):
		return Yes
	case bytes.HasPrefix(word, head):
		return More
	}
	return No
}

// The time-out runs from the first byte: a silent client is waited for.
func TestSniffTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := pipePair(t)
		go func() {
			time.Sleep(time.Hour)
			io.WriteString(p.peer, "GET ")
		}()
		begin := time.Now()
		c, err := (&Sniffer{Timeout: 5 * time.Second}).Sniff(t.Context(), p.ours)
		require.NoError(t, err)
		assert.Equal(t, time.Hour+5*time.Second, time.Since(begin))
		assert.Equal(t, Unknown, c.Protocol())
		go func() {
			time.Sleep(time.Hour) // no deadline is left
			io.WriteString(p.peer, "/")
		}()
		expect(t, c, "GET /")
	})
}

func TestSniffContext(t *testing.T) {
	why := errors.New("why it was cancelled")
	for _, sent := range []string{"", "GET "} {
		synctest.Test(t, func(t *testing.T) {
			p := pipePair(t)
			ctx, cancel := context.WithCancelCause(t.Context())
			go func() {
				if sent != "" { // a pipe's empty Write waits as well
					io.WriteString(p.peer, sent)
				}
				time.Sleep(time.Second)
				cancel(why)
			}()
			c, err := new(Sniffer).Sniff(ctx, p.ours)
			assert.Equal(t, why, err)
			go io.WriteString(p.peer, "/")
			expect(t, c, sent+"/")
		})
	}
}

// The end of ctx races with the first byte, whose coming sets a deadline.
func TestSniffContextAndFirstByte(t *testing.T) {
	for i := range 300 {
		p := tcpPair(t)
		ctx, cancel := context.WithCancel(t.Context())
		go io.WriteString(p.peer, "GET")
		go func() {
			time.Sleep(time.Duration(i) * time.Microsecond)
			cancel()
		}()
		begin := time.Now()
		c, err := (&Sniffer{Timeout: 10 * time.Second}).Sniff(ctx, p.ours)
		require.ErrorIs(t, err, context.Canceled)
		require.Less(t, time.Since(begin), 5*time.Second)
		expect(t, c, "GET")
		p.peer.Close()
		p.ours.Close()
	}
}
