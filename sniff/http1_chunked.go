package sniff

import (
	"bytes"
	"fmt"
	"math"
)

// maxTrailer bounds a trailer section, in bytes.
const maxTrailer = 64 << 10

// HTTP1Chunks follows a chunked body (RFC 9112 section 7.1) through however it
// was cut into pieces. The zero value stands before the first chunk. It keeps
// the trailer section (up to 64 KiB) and nothing else.
type HTTP1Chunks struct {
	state   chunkState
	left    int64 // of the chunk's data
	digits  int
	trailer []byte
	cr      bool // the last byte of the framing was CR
	lf      bool // some line ended in LF alone
}

type chunkState uint8

const (
	chunkSize    chunkState = iota // in the hex digits
	chunkExt                       // behind them, up to LF
	chunkData                      // in the data
	chunkDataEnd                   // in the line end behind it
	chunkTrailer                   // behind the last chunk
	chunkDone
)

// Scan looks at b, the next bytes of the body. It returns the first run of
// chunk data in b, which may be empty, and how many bytes of b it has gone
// through, that run included; call it with the rest until all is consumed or
// Done. An error wraps [ErrHTTP1]: where the body ends is then unknown.
func (c *HTTP1Chunks) Scan(b []byte) (data []byte, n int, err error) {
	for n < len(b) && c.state != chunkDone {
		switch c.state {
		case chunkData:
			k := int(min(c.left, int64(len(b)-n)))
			c.Skip(int64(k))
			return b[n : n+k], n + k, nil
		case chunkTrailer:
			k, err := c.scanTrailer(b[n:])
			n += k
			if err != nil {
				return nil, n, err
			}
		default:
			if err := c.step(b[n]); err != nil {
				return nil, n, err
			}
			n++
		}
	}
	return nil, n, nil
}

// Done reports that the body is over.
func (c *HTTP1Chunks) Done() bool { return c.state == chunkDone }

// Left is how many bytes of the present chunk's data are still to come: they
// may be passed over with Skip instead of Scan.
func (c *HTTP1Chunks) Left() int64 {
	if c.state != chunkData {
		return 0
	}
	return c.left
}

// Skip passes over n bytes of chunk data, n being at most Left.
func (c *HTTP1Chunks) Skip(n int64) {
	if c.left -= n; c.left == 0 {
		c.state = chunkDataEnd
	}
}

// Trailer returns the trailer section as the fields of a head without a start
// line. It is complete when Done.
func (c *HTTP1Chunks) Trailer() HTTP1Head {
	h := HTTP1Head{}
	h.scanFields(string(c.trailer), false) // a length there means nothing (RFC 9110 section 6.5.1)
	if c.lf {
		h.Anomalies |= BareLF
	}
	return h
}

func (c *HTTP1Chunks) step(b byte) error {
	c.lf = c.lf || b == '\n' && !c.cr
	c.cr = b == '\r'
	switch c.state {
	case chunkSize:
		if d := hexDigit(b); d >= 0 {
			if c.left > math.MaxInt64>>4 {
				return fmt.Errorf("%w: chunk size", ErrHTTP1)
			}
			c.left, c.digits = c.left<<4|int64(d), c.digits+1
			return nil
		}
		if c.digits == 0 || b != ';' && b != '\r' && b != '\n' && b != ' ' && b != '\t' {
			return fmt.Errorf("%w: chunk size", ErrHTTP1)
		}
		if c.state = chunkExt; b == '\n' {
			c.sizeEnd()
		}
	case chunkExt:
		if b == '\n' {
			c.sizeEnd()
		}
	case chunkDataEnd:
		switch b {
		case '\r':
		case '\n':
			c.state, c.left, c.digits = chunkSize, 0, 0
		default:
			return fmt.Errorf("%w: chunk data longer than its size", ErrHTTP1)
		}
	}
	return nil
}

func (c *HTTP1Chunks) sizeEnd() {
	if c.state = chunkData; c.left == 0 {
		c.state = chunkTrailer
	}
}

// scanTrailer collects the lines up to the empty one that ends the body.
func (c *HTTP1Chunks) scanTrailer(b []byte) (n int, err error) {
	for n < len(b) {
		i := bytes.IndexByte(b[n:], '\n')
		part := b[n:]
		if i >= 0 {
			part = part[:i+1]
		}
		if len(c.trailer)+len(part) > maxTrailer {
			return n, fmt.Errorf("%w: trailer section over %d bytes", ErrHTTP1, maxTrailer)
		}
		c.trailer = append(c.trailer, part...)
		n += len(part)
		if i >= 0 && c.emptyLine() {
			c.state = chunkDone
			return n, nil
		}
	}
	return n, nil
}

// emptyLine reports that trailer ends in an empty line.
func (c *HTTP1Chunks) emptyLine() bool {
	t := bytes.TrimSuffix(c.trailer, []byte("\n"))
	t = bytes.TrimSuffix(t, []byte("\r"))
	return len(t) == 0 || t[len(t)-1] == '\n'
}

func hexDigit(b byte) int {
	switch {
	case b >= '0' && b <= '9':
		return int(b - '0')
	case b|0x20 >= 'a' && b|0x20 <= 'f':
		return int(b|0x20-'a') + 10
	}
	return -1
}
