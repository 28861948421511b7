package proxy

import (
	"errors"
	"io"

	"github.com/proxyglass/proxyglass/record"
	"github.com/proxyglass/proxyglass/sniff"
)

// bodyReader follows one body. It keeps the first limit bytes of it and has the
// rest passed by in bulk.
type bodyReader struct {
	message *record.Message
	limit   int
	wire    *int64               // counts what passes, framing included
	odd     sniff.HTTP1Anomalies // of the trailer section
}

func (b *bodyReader) read(src *sniff.Reader, framing sniff.HTTP1Framing, length int64) error {
	switch framing {
	case sniff.ByLength:
		b.message.Body = b.room(length)
		return b.readLength(src, length)
	case sniff.ByChunks:
		return b.readChunks(src)
	case sniff.UntilClose:
		return b.readLength(src, -1)
	}
	return nil
}

// room makes the slice for a body of known length.
func (b *bodyReader) room(length int64) []byte {
	if n := min(length, int64(b.limit)); n > 0 {
		return make([]byte, 0, min(n, 16<<10))
	}
	return nil
}

// readLength reads n bytes, or all that come if n < 0.
func (b *bodyReader) readLength(src *sniff.Reader, n int64) error {
	for n != 0 {
		if b.full() {
			k, err := src.Skip(n)
			b.message.Truncated = b.message.Truncated || k > 0
			b.count(k)
			return short(err, n-k)
		}
		p, err := src.Next()
		if err != nil {
			return short(err, n)
		}
		if n > 0 && int64(len(p)) > n {
			p = p[:n]
		}
		b.keep(p)
		b.count(int64(len(p)))
		src.Advance(len(p))
		if n > 0 {
			n -= int64(len(p))
		}
	}
	return nil
}

// short makes an end of the stream inside a body of known length an error of
// its own.
func short(err error, left int64) error {
	if errors.Is(err, io.EOF) && left > 0 {
		return io.ErrUnexpectedEOF
	}
	return err
}

// readChunks reads a chunked body with its trailer section.
func (b *bodyReader) readChunks(src *sniff.Reader) error {
	var c sniff.HTTP1Chunks
	for !c.Done() {
		if n := c.Left(); n > 0 && b.full() {
			k, err := src.Skip(n)
			b.message.Truncated = b.message.Truncated || k > 0
			c.Skip(k)
			b.count(k)
			if err != nil {
				return short(err, 1)
			}
			continue
		}
		p, err := src.Next()
		if err != nil {
			return short(err, 1)
		}
		data, n, err := c.Scan(p)
		b.keep(data)
		b.count(int64(len(data)))
		*b.wire += int64(n - len(data))
		src.Advance(n)
		if err != nil {
			return err
		}
	}
	trailer := c.Trailer()
	b.odd = trailer.Anomalies
	b.message.Trailer = headerOf(&trailer)
	return nil
}

func (b *bodyReader) full() bool { return len(b.message.Body) >= b.limit }

func (b *bodyReader) count(n int64) {
	b.message.ContentLength += n
	*b.wire += n
}

// keep appends to the body what there is room for.
func (b *bodyReader) keep(p []byte) {
	if left := b.limit - len(b.message.Body); len(p) > left {
		b.message.Truncated = true
		p = p[:left]
	}
	if len(p) > 0 {
		b.message.Body = append(b.message.Body, p...)
	}
}
