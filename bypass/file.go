package bypass

import (
	"context"
	"crypto/sha256"
	"errors"
	"log/slog"
	"os"
	"time"
)

// File is a list in a file, with the format of [ParseReader]. It is a [Matcher]
// and an [Explainer] and knows nothing before [File.Load] or [File.Run] has
// loaded it: till then Match answers [ErrNotLoaded].
//
// When a reload fails (the file is gone, one line of it is bad, it is empty)
// the last good list stays in force. The failure is logged and stands in
// [File.Status]. Who writes the file replaces it by renaming another, because
// half of a file cannot be told from a whole one; of a file cut to nothing that
// much is seen, and it is an error.
//
// A File starts no goroutine. It is not copied once it is used; its methods are
// safe for concurrent use, its fields are not changed meanwhile.
type File struct {
	Path     string        // a regular file; required
	Period   time.Duration // how often Run looks for changes; 0: Run loads once
	MaxBytes int64         // a longer file is an error; 0: 64 MiB
	Logger   *slog.Logger  // nil: quiet

	source source
	sum    [sha256.Size]byte // of the list in force; guarded by source.loading
}

// Load reads the file now. An error leaves the list in force as it is.
func (f *File) Load(ctx context.Context) error {
	var sum [sha256.Size]byte
	get := func(ctx context.Context) (string, bool, error) {
		text, err := f.read(ctx)
		sum = sha256.Sum256([]byte(text))
		return text, f.source.list.Load() == nil || sum != f.sum, err
	}
	return f.source.load(ctx, f.Path, f.Logger, get, func() { f.sum = sum })
}

// Run loads the file now and again each Period, until ctx ends, and returns
// ctx's error. After a failure it tries again sooner: after a second, then two,
// four, up to Period. With a Period of 0 it returns nil once the file is loaded,
// and its pauses go up to a minute.
func (f *File) Run(ctx context.Context) error { return f.source.run(ctx, f.Period, f.Load) }

// Match asks the list in force; see [List.Match]. Before the first it answers
// [ErrNotLoaded].
func (f *File) Match(ctx context.Context, t Target) (bool, error) { return f.source.match(ctx, t) }

// Explain says which rule matches t, and from which file it comes.
func (f *File) Explain(t Target) (rule string, ok bool) { return f.source.explain(f.Path, t) }

// Status tells how loading goes.
func (f *File) Status() Status { return f.source.report() }

func (f *File) read(ctx context.Context) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	// A FIFO would block where no context can reach it.
	info, err := os.Stat(f.Path)
	if err != nil {
		return "", reason(err)
	}
	if !info.Mode().IsRegular() {
		return "", errors.New("not a regular file")
	}
	file, err := os.Open(f.Path)
	if err != nil {
		return "", reason(err)
	}
	defer file.Close()
	return readText(file, f.MaxBytes, info.Size())
}

// reason is err without the path, which stands before it anyway.
func reason(err error) error {
	if pe, ok := errors.AsType[*os.PathError](err); ok {
		return pe.Err
	}
	return err
}
