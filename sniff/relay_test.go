package sniff

import (
	"bytes"
	"context"
	"io"
	"net"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// relayed runs Relay beside the test.
func relayed(ctx context.Context, client, server net.Conn, up, down Parser) <-chan outcome {
	done := make(chan outcome, 1)
	go func() {
		t, err := Relay(ctx, client, server, up, down)
		done <- outcome{t, err}
	}()
	return done
}

func closeWrite(t testing.TB, c net.Conn) {
	t.Helper()
	require.NoError(t, c.(closeWriter).CloseWrite())
}

func TestRelayCarriesAnExchange(t *testing.T) {
	for _, tr := range transports() {
		t.Run(tr.name, func(t *testing.T) {
			client, server := tr.pairs(t)
			var up, down bytes.Buffer
			keep := func(b *bytes.Buffer) Parser {
				return func(r io.Reader) error { _, err := io.Copy(b, r); return err }
			}
			done := relayed(t.Context(), client.ours, server.ours, keep(&up), keep(&down))

			_, err := client.peer.Write([]byte("question"))
			require.NoError(t, err)
			got := make([]byte, 8)
			_, err = io.ReadFull(server.peer, got)
			require.NoError(t, err)
			assert.Equal(t, "question", string(got))

			_, err = server.peer.Write([]byte("an answer"))
			require.NoError(t, err)
			got = make([]byte, 9)
			_, err = io.ReadFull(client.peer, got)
			require.NoError(t, err)
			assert.Equal(t, "an answer", string(got))

			client.peer.Close()
			n, err := server.peer.Read(got)
			assert.Zero(t, n)
			assert.Error(t, err)
			server.peer.Close()
			o := wait(t, done)
			assert.NoError(t, o.err)
			assert.EqualValues(t, 8, o.Up.Bytes)
			assert.EqualValues(t, 9, o.Down.Bytes)
			assert.Equal(t, "question", up.String())
			assert.Equal(t, "an answer", down.String())
		})
	}
}
