package record_test

import (
	"compress/gzip"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/proxyglass/proxyglass/record"
	"github.com/proxyglass/proxyglass/record/recordtest"
)

func open(t *testing.T, f *record.File) *record.File {
	t.Helper()
	require.NoError(t, f.Open())
	t.Cleanup(func() { _ = f.Close() })
	return f
}

func mode(t *testing.T, path string) fs.FileMode {
	info, err := os.Stat(path)
	require.NoError(t, err)
	return info.Mode()
}

func TestFileAppends(t *testing.T) {
	for _, maxBytes := range []int64{0, -1} {
		path := filepath.Join(t.TempDir(), "records.jsonl")
		for i := range 3 {
			f := open(t, &record.File{Path: path, MaxBytes: maxBytes})
			require.NoError(t, f.Record(t.Context(), seq(i+1)))
			require.NoError(t, f.Close())
			require.NoError(t, f.Close(), "again")
			assert.ErrorIs(t, f.Record(t.Context(), seq(9)), record.ErrClosed)
			_, err := f.RecordBatch(t.Context(), []*record.Record{seq(9)})
			assert.ErrorIs(t, err, record.ErrClosed)
		}
		var got []uint64
		for r, err := range record.ReadFile(path) {
			require.NoError(t, err)
			got = append(got, r.Seq)
		}
		assert.Equal(t, []uint64{1, 2, 3}, got)
		assert.Equal(t, fs.FileMode(0o600), mode(t, path))
	}
}

func TestFileNarrowsTheMode(t *testing.T) {
	for _, wide := range []fs.FileMode{0o644, 0o666, 0o700, 0o640} {
		path := filepath.Join(t.TempDir(), "records.jsonl")
		require.NoError(t, os.WriteFile(path, nil, 0o600))
		require.NoError(t, os.Chmod(path, wide))
		open(t, &record.File{Path: path})
		assert.Equal(t, fs.FileMode(0o600), mode(t, path), "before anything is written")
	}
}

func TestFileRotates(t *testing.T) {
	for _, compress := range []bool{false, true} {
		dir := t.TempDir()
		path := filepath.Join(dir, "records.jsonl")
		require.NoError(t, os.WriteFile(path, nil, 0o644))
		f := open(t, &record.File{Path: path, MaxBytes: 1, Compress: compress}) // that is 1 MiB
		var batch []*record.Record
		for range 30 {
			batch = append(batch, sized(100_000))
		}
		n, err := f.RecordBatch(t.Context(), batch)
		require.NoError(t, err)
		require.Equal(t, len(batch), n)
		assert.ErrorContains(t, f.Record(t.Context(), sized(2<<20)), "exceeds", "larger than a whole file")
		require.NoError(t, f.Close()) // waits for the compression

		files, err := os.ReadDir(dir)
		require.NoError(t, err)
		assert.Greater(t, len(files), 2)
		count := 0
		for _, entry := range files {
			name := filepath.Join(dir, entry.Name())
			assert.Equal(t, fs.FileMode(0o600), mode(t, name), name)
			in, err := os.Open(name)
			require.NoError(t, err)
			if strings.HasSuffix(name, ".gz") {
				require.True(t, compress)
				unzipped, err := gzip.NewReader(in)
				require.NoError(t, err)
				count += len(readAll(t, unzipped))
			} else {
				count += len(readAll(t, in))
			}
			require.NoError(t, in.Close())
		}
		assert.Equal(t, len(batch), count, "rotation loses nothing")
	}
}

func TestFileKeepsBackups(t *testing.T) {
	dir := t.TempDir()
	f := open(t, &record.File{Path: filepath.Join(dir, "records.jsonl"), MaxBytes: 1 << 20, Backups: 1, MaxAge: time.Hour})
	for range 6 {
		require.NoError(t, f.Record(t.Context(), sized(900_000)))
		time.Sleep(2 * time.Millisecond) // the names of older files have milliseconds
	}
	require.NoError(t, f.Close())
	files, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Len(t, files, 2)
}

func TestFileFollowsALink(t *testing.T) {
	dir := t.TempDir()
	link, target := filepath.Join(dir, "link.jsonl"), filepath.Join(dir, "target.jsonl")
	require.NoError(t, os.Symlink("target.jsonl", link))
	f := open(t, &record.File{Path: link, MaxBytes: 1})
	for range 3 {
		require.NoError(t, f.Record(t.Context(), sized(900_000)))
	}
	info, err := os.Lstat(link)
	require.NoError(t, err)
	assert.NotZero(t, info.Mode()&fs.ModeSymlink, "the link is still one")
	assert.True(t, mode(t, target).IsRegular())
}

func TestFileEndsATornLine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "records.jsonl")
	require.NoError(t, os.WriteFile(path, []byte(`{"service":"to`), 0o600))
	f := open(t, &record.File{Path: path})
	require.NoError(t, f.Record(t.Context(), seq(1)))
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, `{"service":"to`+"\n"+string(seq(1).AppendJSON(nil))+"\n", string(text))
}

func TestFileOpenErrors(t *testing.T) {
	dir := t.TempDir()
	for _, path := range []string{"", dir, filepath.Join(dir, "none", "x.jsonl"), filepath.Join(dir, "nul\x00")} {
		_, err := record.OpenFile(path)
		assert.ErrorContains(t, err, "record: ", path)
		assert.Error(t, (&record.File{Path: path}).Record(t.Context(), seq(1)))
	}
	// It is tried again with the next record.
	late := filepath.Join(dir, "late", "x.jsonl")
	f := &record.File{Path: late}
	require.Error(t, f.Record(t.Context(), seq(1)))
	require.NoError(t, os.Mkdir(filepath.Dir(late), 0o700))
	require.NoError(t, f.Record(t.Context(), seq(2)))
	require.NoError(t, f.Close())
}

func TestFileLeavesADeviceAlone(t *testing.T) {
	before := mode(t, os.DevNull)
	f := open(t, &record.File{Path: os.DevNull, MaxBytes: 1})
	for range 5 {
		require.NoError(t, f.Record(t.Context(), sized(1<<20)))
	}
	assert.Equal(t, before, mode(t, os.DevNull))
	left, err := filepath.Glob("/dev/null?*")
	require.NoError(t, err)
	assert.Empty(t, left)
}

// What a shell has tied to /dev/stdout is not ours to rotate, also when it is a
// regular file, and also by way of a link.
func TestFileLeavesADescriptorAlone(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("descriptors as files: Linux")
	}
	dir := t.TempDir()
	target, err := os.OpenFile(filepath.Join(dir, "out"), os.O_CREATE|os.O_WRONLY, 0o644)
	require.NoError(t, err)
	defer target.Close()
	require.NoError(t, target.Chmod(0o644))
	link := filepath.Join(dir, "link")
	require.NoError(t, os.Symlink(filepath.Join("/proc/self/fd", itoa(target.Fd())), link))
	f := open(t, &record.File{Path: link, MaxBytes: 1})
	for range 3 {
		require.NoError(t, f.Record(t.Context(), sized(900_000)))
	}
	assert.Equal(t, fs.FileMode(0o644), mode(t, target.Name()))
	files, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Len(t, files, 2, "not rotated")
}

func itoa(n uintptr) string {
	if n < 10 {
		return string(rune('0' + n))
	}
	return itoa(n/10) + itoa(n%10)
}

func TestFileConforms(t *testing.T) {
	recordtest.TestRecorder(t, recordtest.Suite{
		Open: func(t *testing.T) record.Recorder {
			return open(t, &record.File{Path: filepath.Join(t.TempDir(), "records.jsonl")})
		},
		Broken: func(t *testing.T) record.Recorder {
			if _, err := os.Stat("/dev/full"); err == nil {
				return open(t, &record.File{Path: "/dev/full"})
			}
			return &record.File{Path: t.TempDir()}
		},
		Read: func(t *testing.T, r record.Recorder) []*record.Record {
			in, err := os.Open(r.(*record.File).Path)
			require.NoError(t, err)
			defer in.Close()
			return readAll(t, in)
		},
	})
}

// A file takes what a fast proxy makes without a drop.
func TestFileBehindAsync(t *testing.T) {
	path := filepath.Join(t.TempDir(), "records.jsonl")
	a := &record.Async{Next: open(t, &record.File{Path: path})}
	const n = 20_000
	for i := range n {
		require.NoError(t, a.Record(t.Context(), seq(i+1)))
	}
	require.NoError(t, a.Close(t.Context()))
	count := 0
	for r, err := range record.ReadFile(path) {
		require.NoError(t, err)
		count++
		require.EqualValues(t, count, r.Seq)
	}
	assert.Equal(t, n, count)
	assert.Equal(t, record.Stats{Offered: n, Delivered: n}, a.Stats())
}
