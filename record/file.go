package record

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/DeRuina/timberjack"
)

// DefaultMaxFileBytes is the size at which a [File] rotates when its MaxBytes is
// zero.
const DefaultMaxFileBytes = 100 << 20

// fileMode is for the owner alone: records hold credentials and bodies.
const fileMode fs.FileMode = 0o600

// File is a [Recorder] that appends records to a file as JSON lines, as [Writer]
// does, and rotates it by size: NAME.jsonl is renamed to NAME-TIME-size.jsonl
// beside it. The file, and so its older ones, have mode 0600: a file that exists
// with a wider mode is narrowed before anything is written, and when that is not
// allowed, opening it fails. A symbolic link is followed. A last line that an
// earlier program did not finish is ended, so that it spoils no other.
//
// A path that is not a regular file, such as /dev/null, /dev/stdout or a FIFO,
// is only opened and written to: no change of mode, no rotation, no rename. The
// same holds for what leads through a file descriptor of the process
// (/dev/stdout, /dev/fd/3), even when a shell has tied that to a regular file.
// Opening a FIFO does not wait for its reader; what is in the FIFO when the last
// of both ends closes is lost, as FIFOs go.
//
// One process writes to a file at a time; nobody else may rename it. The fields
// must not be changed after the first use. All methods are safe for concurrent
// use.
type File struct {
	Path     string        // must not be empty; its directory must exist
	MaxBytes int64         // size at which the file is rotated, rounded up to whole MiB, also the most that one record may have; zero: DefaultMaxFileBytes, negative: never rotated
	Backups  int           // how many older files are kept; zero or less: all
	MaxAge   time.Duration // age at which older files are removed, rounded up to whole days; zero or less: never
	Compress bool          // older files are compressed with gzip, in the background; false: left as they are

	mu     sync.Mutex
	out    *Writer
	close  func() error
	closed bool
}

// OpenFile opens a File with that path and all else at its defaults.
func OpenFile(path string) (*File, error) {
	f := &File{Path: path}
	if err := f.Open(); err != nil {
		return nil, err
	}
	return f, nil
}

// Open opens the file, creating it if need be, unless it is open. Without a call
// of Open the first record opens it; a call shows a wrong path early.
func (f *File) Open() error {
	_, err := f.writer()
	return err
}

// Record writes r as one line with one Write.
func (f *File) Record(ctx context.Context, r *Record) error {
	w, err := f.writer()
	if err != nil {
		return err
	}
	return w.Record(ctx, r)
}

// RecordBatch writes the records as lines, many with one Write.
func (f *File) RecordBatch(ctx context.Context, rs []*Record) (int, error) {
	w, err := f.writer()
	if err != nil {
		return 0, err
	}
	return w.RecordBatch(ctx, rs)
}

// Close closes the file, after a Write to a regular file that is under way; a
// Write to anything else, which may hang, is interrupted where the system can.
// What is recorded later is refused with [ErrClosed]. A second Close does
// nothing. It does not sync.
func (f *File) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return nil
	}
	f.closed = true
	if f.close == nil {
		return nil
	}
	return f.close()
}

func (f *File) writer() (*Writer, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.closed:
		return nil, ErrClosed
	case f.out != nil:
		return f.out, nil
	case f.Path == "":
		return nil, errors.New("record: File has no path")
	}
	if err := f.open(); err != nil {
		return nil, fmt.Errorf("record: %w", err)
	}
	return f.out, nil
}

func (f *File) open() error {
	info, err := os.Stat(f.Path)
	if err == nil && !info.Mode().IsRegular() || throughDescriptor(f.Path) {
		return f.openSpecial(err == nil && info.Mode()&fs.ModeNamedPipe != 0)
	}
	file, err := os.OpenFile(f.Path, os.O_RDWR|os.O_CREATE|os.O_APPEND, fileMode)
	if err != nil {
		return err
	}
	torn, err := prepare(file)
	if err != nil {
		return errors.Join(err, file.Close())
	}
	if f.MaxBytes < 0 {
		f.use(file, torn)
		return nil
	}
	if err := file.Close(); err != nil {
		return err
	}
	path, err := filepath.EvalSymlinks(f.Path) // rotation must rename the file, not a link to it
	if err != nil {
		return err
	}
	f.use(f.rotating(path), torn)
	return nil
}

func (f *File) rotating(path string) *timberjack.Logger {
	const mib, day = 1 << 20, 24 * time.Hour
	size := f.MaxBytes
	if size == 0 {
		size = DefaultMaxFileBytes
	}
	l := &timberjack.Logger{
		Filename:    path,
		MaxSize:     int((size-1)/mib) + 1,
		MaxBackups:  max(0, f.Backups),
		Compression: "none",
		FileMode:    fileMode,
	}
	if f.MaxAge > 0 {
		l.MaxAge = int((f.MaxAge-1)/day) + 1
	}
	if f.Compress {
		l.Compression = "gzip"
	}
	return l
}

// use makes w the output. A Close waits for a Write under way, and after it no
// other reaches w: a closed timberjack.Logger would open its file again.
func (f *File) use(w io.WriteCloser, torn bool) {
	out := &Writer{w: w, torn: torn}
	f.out = out
	f.close = func() error {
		out.mu.Lock()
		defer out.mu.Unlock()
		out.w = closedWriter{}
		return w.Close()
	}
}

type closedWriter struct{}

func (closedWriter) Write([]byte) (int, error) { return 0, ErrClosed }

// openSpecial opens what is not to be treated as a file. A FIFO is opened for
// reading too, or the system would wait for a reader.
func (f *File) openSpecial(fifo bool) error {
	flag := os.O_WRONLY | os.O_APPEND
	if fifo {
		flag = os.O_RDWR
	}
	file, err := os.OpenFile(f.Path, flag, 0)
	if err != nil {
		return err
	}
	f.out, f.close = NewWriter(file), file.Close
	return nil
}

// prepare narrows the mode of a regular file and tells whether its last line has
// no end.
func prepare(file *os.File) (torn bool, err error) {
	info, err := file.Stat()
	if err != nil {
		return false, err
	}
	if info.Mode().Perm()&^fileMode != 0 {
		if err := file.Chmod(fileMode); err != nil {
			return false, err
		}
	}
	if info.Size() == 0 {
		return false, nil
	}
	var last [1]byte
	if _, err := file.ReadAt(last[:], info.Size()-1); err != nil {
		return false, err
	}
	return last[0] != '\n', nil
}

// throughDescriptor reports whether path, or a symbolic link on the way, names an
// open file of the process instead of a place in the file system.
func throughDescriptor(path string) bool {
	for range 40 { // as many links as Linux follows
		abs, err := filepath.Abs(path)
		if err != nil {
			return false
		}
		switch {
		case abs == "/dev/stdin", abs == "/dev/stdout", abs == "/dev/stderr",
			strings.HasPrefix(abs, "/dev/fd/"), strings.HasPrefix(abs, "/proc/"):
			return true
		}
		target, err := os.Readlink(abs)
		if err != nil {
			return false
		}
		if !filepath.IsAbs(target) {
			target = filepath.Join(filepath.Dir(abs), target)
		}
		path = target
	}
	return false
}
