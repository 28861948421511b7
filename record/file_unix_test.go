//go:build unix

package record_test

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/proxyglass/proxyglass/record"
)

func TestFileWritesToAFIFO(t *testing.T) {
	path := filepath.Join(t.TempDir(), "fifo")
	require.NoError(t, syscall.Mkfifo(path, 0o644))
	require.NoError(t, os.Chmod(path, 0o644))
	f := open(t, &record.File{Path: path}) // nobody reads yet: it must not wait
	require.NoError(t, f.Record(t.Context(), seq(5)))
	reader, err := os.Open(path)
	require.NoError(t, err)
	defer reader.Close()
	for r, err := range record.Read(reader) {
		require.NoError(t, err)
		assert.EqualValues(t, 5, r.Seq)
		break
	}
	assert.Equal(t, fs.ModeNamedPipe|0o644, mode(t, path))

	// A Write that hangs because the reader does not read ends with Close.
	result := make(chan error, 1)
	go func() { result <- f.Record(context.Background(), sized(1<<20)) }()
	select {
	case err := <-result:
		t.Fatal("the FIFO took it all:", err)
	case <-time.After(20 * time.Millisecond): // nothing tells that the Write has begun
	}
	require.NoError(t, f.Close())
	assert.Error(t, <-result)
}
