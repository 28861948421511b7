package sniff

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/proxyglass/proxyglass/internal/leaktest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// I1: whatever the chunks and whatever the parsers, what comes out on one side
// is what went in on the other.

func TestVerbatim(t *testing.T) {
	runs := uint64(16)
	if testing.Short() {
		runs = 4
	}
	for _, tr := range transports() {
		t.Run(tr.name, func(t *testing.T) {
			for seed := range runs {
				t.Run(fmt.Sprint(seed), func(t *testing.T) {
					leaktest.Check(t)
					rng := rand.New(rand.NewPCG(seed, 1))
					client, server := tr.pairs(t)
					up, down := randomBytes(rng), randomBytes(rng)
					upParser := &scripted{t: t, want: up, next: rng.Uint32}
					downParser := &scripted{t: t, want: down, next: rand.New(rand.NewPCG(seed, 2)).Uint32}
					carry(t, client, server, up, down, upParser.parse, downParser.parse, seed)
				})
			}
		})
	}
}

// randomBytes returns random bytes, mostly few.
func randomBytes(rng *rand.Rand) []byte {
	b := make([]byte, rng.IntN([]int{1, 2, 600, 5000, 100_000, 400_000}[rng.IntN(6)]))
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return b
}

// carry relays up and down at once, in chunks of every size, and checks what
// arrives.
func carry(t *testing.T, client, server pair, up, down []byte, upParser, downParser Parser, seed uint64) {
	_, cHalf := client.peer.(closeWriter)
	_, sHalf := server.peer.(closeWriter)
	_, tls := client.peer.(interface{ Handshake() error })
	half := cHalf && sHalf && !(tls && isPipe(client))
	done := relayed(t.Context(), client.ours, server.ours, upParser, downParser)

	var wg sync.WaitGroup
	var gotUp, gotDown []byte
	wg.Go(func() { writeChunks(t, client.peer, up, half, seed) })
	wg.Go(func() { writeChunks(t, server.peer, down, half, ^seed) })
	wg.Go(func() { gotUp = readAll(t, server.peer, len(up), half) })
	wg.Go(func() { gotDown = readAll(t, client.peer, len(down), half) })
	wg.Wait()
	assert.True(t, bytes.Equal(up, gotUp), "up: %d bytes became %d", len(up), len(gotUp))
	assert.True(t, bytes.Equal(down, gotDown), "down: %d bytes became %d", len(down), len(gotDown))
	if !half {
		client.peer.Close()
		io.Copy(io.Discard, server.peer)
		server.peer.Close()
	}
	o := wait(t, done)
	if half {
		assert.NoError(t, o.err)
	}
	assert.EqualValues(t, len(up), o.Up.Bytes)
	assert.EqualValues(t, len(down), o.Down.Bytes)
}

// isPipe tells a pair that has no half-close below its TLS.
func isPipe(p pair) bool {
	_, ok := NewConn(p.ours).transport().(closeWriter)
	return !ok
}

func writeChunks(t *testing.T, c net.Conn, b []byte, end bool, seed uint64) {
	rng := rand.New(rand.NewPCG(seed, 3))
	for len(b) > 0 {
		n := min(len(b), 1+rng.IntN([]int{1, 3, 511, 512, 513, 4096, 20_000, 70_000}[rng.IntN(8)]))
		_, err := c.Write(b[:n])
		if !assert.NoError(t, err) {
			return
		}
		if b = b[n:]; rng.IntN(8) == 0 {
			time.Sleep(time.Duration(rng.IntN(300)) * time.Microsecond)
		}
	}
	if end {
		assert.NoError(t, c.(closeWriter).CloseWrite())
	}
}

func readAll(t *testing.T, c net.Conn, n int, end bool) []byte {
	if end {
		b, err := io.ReadAll(c)
		assert.NoError(t, err)
		return b
	}
	b := make([]byte, n)
	_, err := io.ReadFull(c, b)
	assert.NoError(t, err)
	return b
}

// scripted is a parser that does whatever next makes it do, and checks that it
// sees what was sent, in its order.
type scripted struct {
	t    testing.TB
	want []byte        // what will have been sent in all
	next func() uint32 // the script: random, or a fuzzer's bytes
	off  int
}

var errScripted = errors.New("the parser has had enough")

func (s *scripted) parse(r io.Reader) error {
	src := r.(*Reader)
	for {
		if err := s.step(src); err != nil {
			if errors.Is(err, errScripted) && s.next()%2 == 0 {
				return nil
			}
			return err
		}
	}
}

func (s *scripted) step(r *Reader) error {
	op, arg := s.next()%16, int(s.next()%(80<<10))
	small := arg % 700
	switch op {
	case 0, 1:
		p := make([]byte, small+1)
		n, err := r.Read(p)
		s.see(p[:n], n)
		return err
	case 2, 3, 4:
		b, err := r.Next()
		n := min(len(b), small)
		s.see(b, n)
		r.Advance(n)
		return err
	case 5, 6:
		b, err := r.Next()
		s.see(b, len(b))
		r.Advance(len(b))
		return err
	case 7:
		if s.off+len(r.Held()) == len(s.want) {
			return r.Flush() // nothing more may come, nor an end: the other side would wait for ever
		}
		b, err := r.More(arg)
		s.see(b, 0)
		if err == ErrTooLong {
			return nil
		}
		return err
	case 8, 9:
		n, err := r.Skip(int64(arg))
		s.off += int(n)
		return err
	case 10:
		n, err := r.Skip(int64(small))
		s.off += int(n)
		return err
	case 11:
		r.SetDeadline(time.Now().Add(time.Duration(small) * time.Microsecond))
		b, err := r.More(arg)
		r.SetDeadline(time.Time{})
		s.see(b, 0)
		if err == ErrTooLong || isTimeout(err) {
			return nil
		}
		return err
	case 12:
		s.see(r.Held(), 0)
		return r.Flush()
	case 13:
		return s.rarely(errScripted)
	case 14:
		if s.rarely(errScripted) != nil {
			panic("a parser may panic")
		}
	case 15:
		if s.rarely(errScripted) != nil {
			r.Advance(len(r.Held()) + 1) // panics
		}
	}
	return nil
}

// rarely returns err now and then, so that most scripts go on for a while.
func (s *scripted) rarely(err error) error {
	if s.next()%8 == 0 {
		return err
	}
	return nil
}

// see checks b against what was sent, and goes n bytes forward.
func (s *scripted) see(b []byte, n int) {
	if s.off+len(b) > len(s.want) || !bytes.Equal(b, s.want[s.off:s.off+len(b)]) {
		s.t.Errorf("the parser sees other bytes than were sent, at %d", s.off)
	}
	s.off += n
}

// A parser that never lets go of the script's bytes: it holds all it is given.
func TestVerbatimWithAParserThatOnlyHolds(t *testing.T) {
	for _, tr := range transports() {
		t.Run(tr.name, func(t *testing.T) {
			client, server := tr.pairs(t)
			if isPipe(client) || isPipe(server) {
				t.Skip("has no half-close, and what is held waits for the end")
			}
			b := bytes.Repeat([]byte("hold "), 50_000)
			hold := func(r io.Reader) error {
				for {
					if _, err := r.(*Reader).More(100 << 10); err != nil {
						return err
					}
				}
			}
			carry(t, client, server, b, b[:len(b)/2], hold, hold, 7)
		})
	}
}

func TestVerbatimInBulk(t *testing.T) {
	const size = 64 << 20
	pattern := make([]byte, 1<<20-7) // no multiple of anything
	rng := rand.New(rand.NewPCG(4, 4))
	for i := range pattern {
		pattern[i] = byte(rng.Uint32())
	}
	skip := func(r io.Reader) error {
		src := r.(*Reader)
		for _, n := range []int64{100, 20 << 20, 65 << 10, -1} {
			if _, err := src.Skip(n); err != nil {
				return err
			}
			if n > 0 {
				if b, err := src.Next(); err != nil || len(b) == 0 {
					return err
				}
			}
		}
		return nil
	}
	for _, tr := range transports() {
		if tr.name != "tcp" && tr.name != "tls13" {
			continue
		}
		t.Run(tr.name, func(t *testing.T) {
			leaktest.Check(t)
			client, server := tr.pairs(t)
			done := relayed(t.Context(), client.ours, server.ours, skip, skip)
			var wg sync.WaitGroup
			for _, ends := range [][2]net.Conn{{client.peer, server.peer}, {server.peer, client.peer}} {
				wg.Go(func() {
					for left := size; left > 0; left -= len(pattern) {
						if _, err := ends[0].Write(pattern[:min(left, len(pattern))]); !assert.NoError(t, err) {
							return
						}
					}
					closeWrite(t, ends[0])
				})
				wg.Go(func() {
					got, n := make([]byte, len(pattern)), 0
					for {
						m, err := io.ReadFull(ends[1], got)
						if !assert.True(t, bytes.Equal(got[:m], pattern[:m])) {
							return
						}
						if n += m; err != nil {
							break
						}
					}
					assert.Equal(t, size, n)
				})
			}
			wg.Wait()
			o := wait(t, done)
			require.NoError(t, o.err)
			assert.EqualValues(t, size, o.Up.Bytes)
			assert.EqualValues(t, size, o.Down.Bytes)
		})
	}
}

// FuzzVerbatim drives the parser of each direction by a fuzzer's bytes.
func FuzzVerbatim(f *testing.F) {
	f.Add(uint8(0), uint16(1000), []byte{})
	f.Add(uint8(1), uint16(60000), []byte{2, 9, 7, 200, 12, 0, 5, 1, 8, 255})
	f.Add(uint8(2), uint16(20000), []byte{11, 40, 7, 255, 0, 3, 14, 0, 0})
	f.Add(uint8(3), uint16(3), []byte{7, 2, 12, 1, 2, 1, 15, 0, 0, 0})
	all := transports()
	over := []transport{all[0], all[1], all[2], all[4]}
	f.Fuzz(func(t *testing.T, kind uint8, size uint16, script []byte) {
		tr := over[int(kind)%len(over)]
		client, server := tr.pairs(t)
		b := make([]byte, size)
		for i := range b {
			b[i] = byte(i ^ i>>8)
		}
		up := &scripted{t: t, want: b, next: scriptOf(script)}
		down := &scripted{t: t, want: b, next: scriptOf(script[len(script)/2:])}
		carry(t, client, server, b, b, up.parse, down.parse, uint64(size))
	})
}

// scriptOf reads numbers from b, then goes on with zeros.
func scriptOf(b []byte) func() uint32 {
	return func() uint32 {
		if len(b) == 0 {
			return 0
		}
		v := uint32(b[0]) * 257
		if v%16 != uint32(b[0])%16 {
			v = uint32(b[0])
		}
		b = b[1:]
		return v
	}
}
