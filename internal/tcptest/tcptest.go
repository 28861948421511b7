// Package tcptest makes connections over loopback for tests.
package tcptest

import (
	"net"
	"testing"

	"github.com/stretchr/testify/require"
)

// Pair returns the two ends of a TCP connection over loopback. Both are closed
// when the test ends.
func Pair(t testing.TB) (dialled, accepted net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	dialled, err = net.Dial("tcp", l.Addr().String())
	require.NoError(t, err)
	accepted, err = l.Accept()
	require.NoError(t, err)
	t.Cleanup(func() { dialled.Close(); accepted.Close() })
	return dialled, accepted
}
