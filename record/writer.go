package record

import (
	"bytes"
	"context"
	"io"
	"sync"
)

// maxChunk is about how much a batch writes at once, and how much of a buffer is
// kept between records: a single huge record does not hold its memory for ever.
const maxChunk = 256 << 10

// Writer is a [Recorder] that writes records to an io.Writer as JSON lines: one
// object and a line feed each, with no other line feed in it. It is safe for
// concurrent use and writes one thing at a time. Make one with [NewWriter].
//
// Record makes one Write per record. RecordBatch gathers records to Writes of
// about 256 KiB, always of whole lines. When a Write comes back short, what is
// in the stream ends in a torn line: the next Write then begins with a line feed,
// so that the damage stays with that one line.
//
// A context that has ended before its turn comes is an error; a Write that blocks
// cannot be interrupted by it.
type Writer struct {
	mu    sync.Mutex
	w     io.Writer
	buf   []byte
	lines int  // complete lines in buf
	torn  bool // the last Write ended within a line
}

// NewWriter returns a Writer to w.
func NewWriter(w io.Writer) *Writer { return &Writer{w: w} }

// Record writes r as one line with one Write.
func (w *Writer) Record(ctx context.Context, r *Record) error {
	if r == nil {
		return errNilRecord
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	w.append(r)
	_, err := w.flush()
	return err
}

// RecordBatch writes the records as lines, with as few Writes as make sense. A
// Write that fails ends the batch.
func (w *Writer) RecordBatch(ctx context.Context, rs []*Record) (n int, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var failed error
	for _, r := range rs {
		if r == nil {
			failed = errNilRecord
			continue
		}
		end := len(w.buf)
		w.append(r)
		if len(w.buf) < maxChunk {
			continue
		}
		// Too much for one Write: hold the last line back, unless it is alone.
		var rest []byte
		if w.lines > 1 {
			rest = w.buf[end:]
			w.buf, w.lines = w.buf[:end], w.lines-1
		}
		written, err := w.flushUnlessDone(ctx)
		n += written
		if err != nil {
			return n, err
		}
		if rest != nil {
			w.buf, w.lines = append(w.buf, rest...), 1
		}
	}
	written, err := w.flushUnlessDone(ctx)
	if n += written; err != nil {
		return n, err
	}
	return n, failed
}

// append adds r's line to the buffer.
func (w *Writer) append(r *Record) {
	if len(w.buf) == 0 && w.torn {
		w.buf = append(w.buf, '\n')
	}
	w.buf = append(r.AppendJSON(w.buf), '\n')
	w.lines++
}

func (w *Writer) flushUnlessDone(ctx context.Context) (int, error) {
	if err := ctx.Err(); err != nil && len(w.buf) > 0 {
		w.reset()
		return 0, err
	}
	return w.flush()
}

// flush writes the buffer, empties it, and returns how many records were written
// whole.
func (w *Writer) flush() (int, error) {
	if len(w.buf) == 0 {
		return 0, nil
	}
	defer w.reset() // also when Write panics
	buf, lines, wasTorn := w.buf, w.lines, w.torn
	w.torn = true
	n, err := w.w.Write(buf)
	if err == nil && n < len(buf) {
		err = io.ErrShortWrite
	}
	if err == nil {
		w.torn = false
		return lines, nil
	}
	n = max(0, min(n, len(buf)))
	if n == 0 {
		w.torn = wasTorn
	} else {
		w.torn = buf[n-1] != '\n'
	}
	whole := bytes.Count(buf[:n], []byte{'\n'})
	if buf[0] == '\n' && n > 0 {
		whole--
	}
	return whole, err
}

func (w *Writer) reset() {
	w.buf, w.lines = w.buf[:0], 0
	if cap(w.buf) > 2*maxChunk {
		w.buf = nil
	}
}
