package leaktest

import (
	"net"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestExtraFindsAGoroutine(t *testing.T) {
	before, end, done := Take(), make(chan bool), make(chan bool)
	go func() {
		<-end
		close(done)
	}()
	require.Len(t, before.extra(), 1)
	assert.Contains(t, before.extra()[0], "TestExtraFindsAGoroutine")
	close(end)
	<-done
	before.Compare(t)
}

func TestExtraFindsASocket(t *testing.T) {
	if len(sockets()) == 0 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		defer l.Close()
		if len(sockets()) == 0 {
			t.Skip("this system does not list a process's sockets")
		}
	}
	before := Take()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	assert.NotEmpty(t, before.extra())
	l.Close()
	before.Compare(t)
}
