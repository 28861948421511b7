package sniff

import (
	"errors"
	"io"
	"net"
	"syscall"
)

// splicePiece is how much the kernel is asked to move at a time: much enough to
// cost nothing, little enough that a relay's progress is seen.
const splicePiece = 1 << 20

// splice moves a piece of what is left of n in the kernel, if it can and if it
// pays; ok tells whether it did.
func (r *Reader) splice(n, done int64) (moved int64, ok bool, err error) {
	if !canSplice || n >= 0 && n-done < spliceAfter || n < 0 && done < spliceAfter {
		return 0, false, nil
	}
	src, dst := r.src.tcp(), r.tcpDst()
	if src == nil || dst == nil || r.rerr != nil {
		return 0, false, nil
	}
	if r.isInterrupted() {
		return 0, true, errInterrupted
	}
	r.giveBack()
	r.piece = io.LimitedReader{R: src, N: splicePiece}
	if n >= 0 {
		r.piece.N = min(r.piece.N, n-done)
	}
	want := r.piece.N
	moved, err = dst.ReadFrom(&r.piece)
	r.released.Add(moved)
	if err == nil && moved < want {
		err = io.EOF
	}
	return moved, true, r.spliceError(err, src, dst)
}

func (r *Reader) tcpDst() *net.TCPConn {
	t, _ := r.dst.Conn.(*net.TCPConn)
	return t
}

// spliceError finds out which side has failed, which splice(2) does not say:
// it makes all the difference to what the other direction may still deliver.
func (r *Reader) spliceError(err error, src, dst *net.TCPConn) error {
	switch {
	case err == nil:
		return nil
	case isTimeout(err):
		return r.timedOut(err)
	case err == io.EOF || !isGone(dst):
		r.src.noteEnd(err)
		r.rerr = err
		return err
	}
	r.werr = err
	if errors.Is(err, syscall.ECONNRESET) {
		if r.dst.reset.Store(true); isGone(src) {
			r.src.reset.Store(true)
		}
	}
	return err
}
