package record

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
)

// MaxLine is the length up to which [Read] takes a line.
const MaxLine = 64 << 20

// ErrLineTooLong is what [Read] yields for a line of more than MaxLine bytes.
var ErrLineTooLong = errors.New("record: line too long")

// Read returns an iterator over a stream of JSON lines, as [Writer] and [File]
// write them. A line that is no record (torn, or too long) is yielded as a nil
// record and an error that names its number, from 1, and reading goes on with the
// next. Empty lines are skipped. An error of r itself is yielded as it is, and is
// the last. The records are the caller's; memory is bounded by MaxLine.
func Read(r io.Reader) iter.Seq2[*Record, error] {
	return read(r, MaxLine)
}

func read(r io.Reader, maxLine int) iter.Seq2[*Record, error] {
	return func(yield func(*Record, error) bool) {
		br := bufio.NewReaderSize(r, 64<<10)
		var buf []byte
		for number := 1; ; number++ {
			line, err := readLine(br, buf[:0], maxLine)
			buf = line
			if err != nil && err != io.EOF && err != ErrLineTooLong {
				yield(nil, err)
				return
			}
			if line = bytes.TrimSpace(line); len(line) > 0 || err == ErrLineTooLong {
				rec, bad := decodeLine(line, err)
				if bad != nil {
					bad = fmt.Errorf("record: line %d: %w", number, bad)
				}
				if !yield(rec, bad) {
					return
				}
			}
			if err == io.EOF {
				return
			}
		}
	}
}

// ReadFile is [Read] of the file at path, which is open while the iteration
// lasts. That it cannot be opened is the only error then.
func ReadFile(path string) iter.Seq2[*Record, error] {
	return func(yield func(*Record, error) bool) {
		f, err := os.Open(path)
		if err != nil {
			yield(nil, fmt.Errorf("record: %w", err))
			return
		}
		defer f.Close()
		Read(f)(yield)
	}
}

func decodeLine(line []byte, err error) (*Record, error) {
	if err == ErrLineTooLong {
		return nil, err
	}
	if line[0] != '{' {
		return nil, errors.New("not a JSON object")
	}
	r := new(Record)
	if err := r.decode(line); err != nil {
		return nil, err
	}
	return r, nil
}

// readLine appends the next line to buf, or io.EOF and what there was before it.
// Of a line that is too long it reads and drops the rest.
func readLine(br *bufio.Reader, buf []byte, maxLine int) ([]byte, error) {
	long := false
	for {
		part, err := br.ReadSlice('\n')
		if long = long || len(buf)+len(part) > maxLine; !long {
			buf = append(buf, part...)
		}
		switch {
		case err == bufio.ErrBufferFull:
		case long && (err == nil || err == io.EOF):
			return nil, ErrLineTooLong // an io.EOF comes again
		default:
			return buf, err
		}
	}
}
