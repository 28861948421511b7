package mitm

import (
	"bytes"
	"io"
	"net"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// records puts a message into records of n octets, with more after it.
func records(message []byte, n int) (hello, all []byte) {
	for len(message) > 0 {
		m := min(n, len(message))
		hello = append(hello, 22, 3, 1, byte(m>>8), byte(m))
		hello = append(hello, message[:m]...)
		message = message[m:]
	}
	return hello, append(bytes.Clone(hello), 20, 3, 3, 0, 1, 1)
}

func TestHelloRecords(t *testing.T) {
	message := append([]byte{1, 0, 0x10, 0}, make([]byte, 0x1000)...)
	for _, n := range []int{1, 2, 3, 4, 5, 100, 4099, 4100, 16384} {
		hello, all := records(message, n)
		assert.Equal(t, hello, helloRecords(all), "records of %d", n)
		for _, cut := range []int{0, 1, 4, 5, 6, len(hello) - 1} {
			assert.Nil(t, helloRecords(all[:min(cut, len(hello)-1)]), "records of %d, cut at %d", n, cut)
		}
	}
	assert.Nil(t, helloRecords([]byte("GET / HTTP/1.1\r\n\r\n")))
	assert.Nil(t, helloRecords([]byte{22, 3, 1, 0, 0, 22, 3, 1, 0, 0}))
}

func FuzzHelloRecords(f *testing.F) {
	_, all := records([]byte{1, 0, 0, 3, 1, 2, 3}, 2)
	f.Add(all)
	f.Add([]byte{22, 3, 1, 0, 4, 1, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		if hello := helloRecords(b); hello != nil {
			require.True(t, bytes.HasPrefix(b, hello))
			require.Equal(t, hello, helloRecords(hello), "nothing more is needed")
			require.Nil(t, helloRecords(hello[:len(hello)-1]), "nothing less is enough")
		}
	})
}

// What is kept of a client that never comes to an end is bounded.
func TestCaptureIsBounded(t *testing.T) {
	a, b := net.Pipe()
	defer b.Close()
	go func() {
		defer a.Close()
		a.Write(make([]byte, 3*maxHello))
	}()
	conn, hello := captureHello(b)
	n, err := io.Copy(io.Discard, conn)
	require.NoError(t, err)
	assert.EqualValues(t, 3*maxHello, n)
	assert.Nil(t, conn.(*captureConn).head)
	assert.Nil(t, hello())
}
