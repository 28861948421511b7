package sniff

import (
	"io"
	"sync"
)

// flowBuffers holds buffers of flowSize between uses.
var flowBuffers = sync.Pool{New: func() any { b := new([flowSize]byte); return b }}

// borrow takes a buffer from the pool, if none is held.
func (r *Reader) borrow() []byte {
	if r.buf == nil {
		r.buf = flowBuffers.Get().(*[flowSize]byte)[:]
	}
	return r.buf
}

// giveBack returns the buffer; nothing may be held in it.
func (r *Reader) giveBack() {
	if cap(r.buf) == flowSize {
		flowBuffers.Put((*[flowSize]byte)(r.buf[:flowSize]))
	}
	r.buf = nil
}

// fill reads the next chunk behind what is held.
func (r *Reader) fill() error {
	if r.rerr != nil {
		return r.rerr
	}
	if r.isInterrupted() {
		return errInterrupted
	}
	n, err := r.readChunk()
	r.w += n
	if n > 0 {
		// An error that came with the bytes comes again with the next fill:
		// time-outs because the deadline stands, the others are kept here.
		if err != nil && !isTimeout(err) {
			r.rerr = err
		}
		return nil
	}
	switch {
	case err == nil:
		return r.fill() // a Read may return 0, nil
	case isTimeout(err):
		return r.timedOut(err)
	case r.srcClosed.Load():
		err = io.EOF
	}
	r.rerr = err
	return err
}

// readChunk waits for bytes and reads them to buf[w:], growing buf if it must.
func (r *Reader) readChunk() (int, error) {
	if r.w > 0 {
		return r.readBehind()
	}
	switch {
	case r.src.waiting.Load():
		return r.src.Read(r.borrow())
	case r.below != nil:
		return r.readRecord()
	case r.src.raw.can():
		n, err := r.src.raw.wait(r)
		r.src.tapped(r.buf[:n])
		r.src.noteEnd(err)
		return n, err
	}
	// No way to wait without a buffer, nor to gather what a small one cuts.
	return r.src.Read(r.borrow())
}

// readBehind reads with something held, moving and growing it if need be.
func (r *Reader) readBehind() (int, error) {
	if r.r > 0 { // all before r is released
		copy(r.buf, r.buf[r.r:r.w])
		r.w, r.rel, r.r = r.w-r.r, r.rel-r.r, 0
	}
	if r.w == len(r.buf) {
		grown := make([]byte, 2*len(r.buf))
		copy(grown, r.buf)
		r.giveBack()
		r.buf = grown
	}
	return r.src.Read(r.buf[r.w:])
}

// readRecord reads from a TLS connection. Waiting is done with a small buffer;
// what was decrypted beyond it is then gathered, so that one record that was
// read is one record that is written.
func (r *Reader) readRecord() (int, error) {
	if r.bulk && r.buf != nil {
		if n, err := r.readMode(readTry, r.buf); n > 0 || err != errWouldBlock {
			return n, err
		}
	}
	r.giveBack()
	n, err := r.src.Read(r.small[:])
	if n > 0 {
		copy(r.borrow(), r.small[:n])
	}
	if n == len(r.small) && err == nil {
		var m int
		if m, err = r.readMode(readRefuse, r.buf[n:]); err == errWouldBlock {
			err = nil
		}
		n += m
	}
	return n, err
}

// readMode reads while the Conn below TLS may not wait.
func (r *Reader) readMode(mode readMode, p []byte) (int, error) {
	r.below.mode.Store(mode)
	n, err := r.src.Read(p)
	r.below.mode.Store(readWait)
	if isWouldBlock(err) {
		err = errWouldBlock
	}
	return n, err
}
