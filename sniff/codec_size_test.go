package sniff

import (
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestClientHelloSize(t *testing.T) {
	const around = 2 + 32 + 1 + 4 + 2 + 2 + 4 // of the message, but for the padding's data
	hello := func(n int) []byte {             // of n bytes with its header
		pad := extension(21, strings.Repeat("\x00", n-handshakeHeaderLen-around))
		return message(1, "\x03\x03"+random+"\x00"+vector("\x13\x01")+"\x01\x00"+vector(pad))
	}
	longest := hello(MaxHelloMessage)
	require.Len(t, longest, MaxHelloMessage)
	for _, size := range []int{maxRecordLen, 100, 6} {
		h, err := ParseClientHello(records(longest, size))
		require.NoError(t, err, "records of %d", size)
		assert.Len(t, h.Extensions[0].Data, MaxHelloMessage-handshakeHeaderLen-around)
	}

	_, err := ParseClientHello([]byte("\x16\x03\x01\x40\x00\x01\x00\xff\xfd"))
	require.Error(t, err, "a byte too long")
	assert.NotErrorIs(t, err, ErrIncomplete)

	raw := records(longest, 1) // 6 bytes each
	raw = raw[:len(raw)-6]
	_, err = ParseClientHello(raw)
	require.Error(t, err, "records too long together")
	assert.NotErrorIs(t, err, ErrIncomplete)
	_, err = ParseClientHello(raw[:MaxHelloStream])
	assert.ErrorIs(t, err, ErrIncomplete)
}

// TestHelloMemory measures hellos that are made to be large when read.
func TestHelloMemory(t *testing.T) {
	const n = 60_000
	for name, b := range map[string][]byte{
		"extensions":      clientHello(strings.Repeat("\x00\x63\x00\x00", n/4)),
		"names of a byte": clientHello(extension(16, vector(strings.Repeat("\x01a", n/2)))),
		"short names":     clientHello(extension(16, vector(strings.Repeat("\x02aa", n/3)))),
		"bad names":       clientHello(strings.Repeat(extension(16, vector(strings.Repeat("\x01a", 10)+"\x00")), n/27)),
		"key shares":      clientHello(extension(51, vector(strings.Repeat("\x00\x1d\x00\x00", n/4)))),
		"groups":          clientHello(extension(10, vector(strings.Repeat("\x00\x1d", n/2)))),
		"small records":   records(clientHello(extension(21, strings.Repeat("a", n/16)))[recordHeaderLen:], 1),
	} {
		const runs = 10
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range runs {
			_, err := ParseClientHello(b)
			require.NoError(t, err, name)
		}
		runtime.ReadMemStats(&after)
		assert.LessOrEqual(t, (after.TotalAlloc-before.TotalAlloc)/runs, uint64(2<<10+16*len(b)), name)
	}
}

func TestHelloAllocs(t *testing.T) {
	for _, name := range helloNames {
		b := readHex(t, name+".client")
		assert.LessOrEqual(t, testing.AllocsPerRun(100, func() { _, _ = ParseClientHello(b) }), 3.0, name)
		partial := b[:len(b)-1]
		assert.Zero(t, testing.AllocsPerRun(100, func() { _, _ = ParseClientHello(partial) }), name)
	}
	b := readHex(t, "tls12-h2.server")
	assert.LessOrEqual(t, testing.AllocsPerRun(100, func() { _, _ = ParseServerHello(b) }), 1.0)
}
