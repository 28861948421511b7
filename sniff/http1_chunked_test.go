package sniff

import (
	"bytes"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// scanned is what came of a chunked body.
type scanned struct {
	data    string
	n       int // bytes consumed
	trailer []string
	odd     []string
	done    bool
	err     string
}

// scanChunks scans parts one after the other, and passes over data by Skip in
// part if skip is true.
func scanChunks(parts [][]byte, skip bool) (s scanned) {
	var c HTTP1Chunks
	for _, b := range parts {
		for len(b) > 0 && !c.Done() {
			if left := c.Left(); skip && left > 0 {
				k := int(min(left, int64(len(b)), 3))
				c.Skip(int64(k))
				s.data += string(b[:k])
				s.n += k
				b = b[k:]
				continue
			}
			data, n, err := c.Scan(b)
			s.data += string(data)
			s.n += n
			b = b[n:]
			if err != nil {
				s.err = err.Error()
				return s
			}
		}
	}
	if s.done = c.Done(); s.done {
		h := c.Trailer()
		s.trailer, s.odd = fieldsOf(&h), h.Anomalies.Names(nil)
	}
	return s
}

func TestHTTP1Chunks(t *testing.T) {
	for _, tt := range []struct {
		name, body string
		data       string
		trailer    []string
		odd        []string
	}{
		{name: "empty", body: "0\r\n\r\n"},
		{name: "one", body: "5\r\nhello\r\n0\r\n\r\n", data: "hello"},
		{name: "more, in hex of either case", body: "a\r\n0123456789\r\nB\r\n0123456789a\r\n00000\r\n\r\n", data: "01234567890123456789a"},
		{name: "extensions", body: "1;a\r\nx\r\n2 ; b=\"c;d\"\r\nyz\r\n0;last\r\n\r\n", data: "xyz"},
		{name: "line ends in the data", body: "4\r\n\r\n\r\n\r\n0\r\n\r\n", data: "\r\n\r\n"},
		{name: "trailers", body: "1\r\nx\r\n0\r\nA: 1\r\nb:2\r\n\r\n", data: "x", trailer: []string{"A=1", "b=2"}},
		{name: "folded trailer", body: "0\r\nA: 1\r\n 2\r\n\r\n", trailer: []string{"A=1 2"}, odd: []string{"obs-fold"}},
		{name: "lengths in the trailer mean nothing", body: "0\r\nContent-Length: x\r\nB: 1\r\n\r\n", trailer: []string{"Content-Length=x", "B=1"}},
		{name: "LF alone behind the size", body: "1\nx\r\n0\r\n\r\n", data: "x", odd: []string{"bare-lf"}},
		{name: "LF alone behind the data", body: "1\r\nx\n0\r\n\r\n", data: "x", odd: []string{"bare-lf"}},
		{name: "LF alone behind an extension", body: "1;a\nx\r\n0\r\n\r\n", data: "x", odd: []string{"bare-lf"}},
		{name: "LF alone at the end", body: "0\r\n\n", odd: []string{"bare-lf"}},
		{name: "LF alone in the trailer", body: "0\r\nA: 1\n\r\n", trailer: []string{"A=1"}, odd: []string{"bare-lf"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			want := scanned{data: tt.data, n: len(tt.body), trailer: append([]string{}, tt.trailer...), odd: tt.odd, done: true}
			b := []byte(tt.body + "behind")
			require.Equal(t, want, scanChunks([][]byte{b}, false))
			for i := range len(b) {
				require.Equal(t, want, scanChunks([][]byte{b[:i], b[i:]}, i%2 == 0), "cut at %d", i)
			}
			require.Equal(t, want, scanChunks(byteByByte(b), false))
			for i := range len(tt.body) {
				require.False(t, scanChunks([][]byte{b[:i]}, false).done, "done at %d", i)
			}
		})
	}
}

func byteByByte(b []byte) (parts [][]byte) {
	for i := range b {
		parts = append(parts, b[i:i+1])
	}
	return parts
}

func TestHTTP1ChunksErrors(t *testing.T) {
	for body, n := range map[string]int{
		"x\r\n":                 0,
		"\r\n":                  0,
		";a\r\n":                0,
		"-1\r\n":                0,
		"5x\r\n":                1,
		"1\r\nab":               4,
		"1\r\nx\rb":             5,
		"8000000000000000\r\n":  15,
		"fffffffffffffffff\r\n": 15,
		"0\r\n" + strings.Repeat("A: b\r\n", 12<<10): 3 + 10922*6,
	} {
		for _, parts := range [][][]byte{{[]byte(body)}, byteByByte([]byte(body))} {
			s := scanChunks(parts, false)
			assert.Contains(t, s.err, ErrHTTP1.Error(), "%.40q", body)
			if len(parts) == 1 {
				assert.Equal(t, n, s.n, "%.40q", body)
			}
		}
	}
	var c HTTP1Chunks
	_, _, err := c.Scan([]byte("1\r\nab"))
	require.NoError(t, err)
	_, _, err = c.Scan([]byte("b"))
	assert.ErrorIs(t, err, ErrHTTP1)
}

// The largest chunk is only counted.
func TestHTTP1ChunksHuge(t *testing.T) {
	var c HTTP1Chunks
	_, n, err := c.Scan([]byte("7fffffffffffffff\r\n"))
	require.NoError(t, err)
	assert.Equal(t, 18, n)
	assert.EqualValues(t, int64(math.MaxInt64), c.Left())
	c.Skip(c.Left() - 1)
	data, _, err := c.Scan([]byte("x\r\n0\r\n\r\n"))
	require.NoError(t, err)
	assert.Equal(t, "x", string(data))
	_, _, err = c.Scan([]byte("\r\n0\r\n\r\n"))
	require.NoError(t, err)
	assert.True(t, c.Done())
	data, n, err = c.Scan([]byte("behind"))
	assert.Empty(t, data)
	assert.Zero(t, n)
	assert.NoError(t, err)
}

func TestHTTP1ChunksAllocs(t *testing.T) {
	body := []byte(strings.Repeat("400\r\n"+strings.Repeat("x", 1024)+"\r\n", 20) + "0\r\n")
	assert.Zero(t, testing.AllocsPerRun(100, func() {
		var c HTTP1Chunks
		for b := body; len(b) > 0; {
			_, n, err := c.Scan(b)
			if err != nil {
				t.Fatal(err)
			}
			b = b[n:]
		}
	}))
}

// FuzzHTTP1Chunks: whatever the pieces, the outcome is the same.
func FuzzHTTP1Chunks(f *testing.F) {
	for _, s := range []string{"0\r\n\r\n", "5;a=b\r\nhello\r\n0\r\nA: 1\r\n\r\nbehind", "1\nx\n0\n\n", "zz", "ffffffffffffffff\r\n", "0\r\nA\r\n b\r\n\r\n"} {
		f.Add([]byte(s), uint16(3))
	}
	f.Fuzz(func(t *testing.T, b []byte, cut uint16) {
		whole := scanChunks([][]byte{b}, false)
		k := min(int(cut), len(b))
		for _, parts := range [][][]byte{{b[:k], b[k:]}, byteByByte(b)} {
			got := scanChunks(parts, false)
			if whole.err != "" { // trailers are cut by pieces, errors come when they come
				if got.err == "" {
					t.Fatalf("an error alone in one piece: %q", b)
				}
				continue
			}
			if fmt.Sprint(whole) != fmt.Sprint(got) {
				t.Fatalf("%q\nwhole: %v\ncut:   %v", b, whole, got)
			}
		}
		if whole.n > len(b) || !bytes.Contains(b, nil) {
			t.Fatal("more consumed than there is")
		}
	})
}
