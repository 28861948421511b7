package proxy

import (
	"encoding/binary"
	"errors"
	"sync"
	"time"

	"github.com/gobwas/ws"
	"golang.org/x/time/rate"

	"github.com/proxyglass/proxyglass/record"
	"github.com/proxyglass/proxyglass/sniff"
)

// webSocket observes a connection that was switched to WebSocket (RFC 6455):
// frame by frame, in both directions.
type webSocket struct {
	flow    *Flow
	summary *record.HTTP // of the handshake, on every frame's record
	mu      sync.Mutex   // guards odd
	odd     []string
	upgrade *exchange
}

func newWebSocket(f *Flow, x *exchange) *webSocket {
	s := x.http
	s.Request, s.Response = nil, nil
	return &webSocket{flow: f, summary: &s, upgrade: x}
}

func (w *webSocket) up(src *sniff.Reader) error   { return w.frames(src, "client") }
func (w *webSocket) down(src *sniff.Reader) error { return w.frames(src, "server") }

func (w *webSocket) done(sniff.Traffic) {
	for _, what := range w.odd {
		w.upgrade.note(what)
	}
}

// frames follows the frames that one side sends.
func (w *webSocket) frames(src *sniff.Reader, from string) error {
	capture := w.flow.pipeline.Capture
	if capture.NoFrames || w.flow.pipeline.queue == nil {
		return nil
	}
	every := capture.FrameRate < 0
	var limiter *rate.Limiter
	if !every {
		r := capture.FrameRate
		if r == 0 {
			r = 10
		}
		limiter = rate.NewLimiter(rate.Limit(r), max(1, int(r)))
	}
	for {
		if _, err := src.Next(); err != nil {
			return err
		}
		start := time.Now()
		head, err := ws.ReadHeader(src)
		if errors.Is(err, ws.ErrHeaderLengthMSB) || errors.Is(err, ws.ErrHeaderLengthUnexpected) {
			w.note("malformed-websocket-frame")
			return err
		}
		if err != nil {
			return err
		}
		if !every && !limiter.AllowN(start, 1) {
			if _, err := src.Skip(head.Length); err != nil {
				return err
			}
			continue
		}
		if err := w.frame(src, &head, from, start); err != nil {
			return err
		}
	}
}

// frame follows one frame's payload and records the frame.
func (w *webSocket) frame(src *sniff.Reader, head *ws.Header, from string, start time.Time) error {
	section := &record.WebSocket{
		From: from, Fin: head.Fin, Rsv1: head.Rsv1(), Rsv2: head.Rsv2(), Rsv3: head.Rsv3(),
		Opcode: int(head.OpCode), Masked: head.Masked, Length: head.Length,
	}
	if head.Masked {
		section.MaskKey = binary.LittleEndian.Uint32(head.Mask[:])
	}
	payload := record.Message{}
	seen := int64(ws.HeaderSize(*head))
	body := bodyReader{message: &payload, limit: limit(w.flow.pipeline.Capture.MaxFrame), wire: &seen}
	payload.Body = body.room(head.Length)
	err := body.readLength(src, head.Length)
	section.Payload, section.Truncated = payload.Body, payload.Truncated || payload.ContentLength < head.Length

	r := w.flow.Record(start)
	r.HTTP, r.WebSocket = w.summary, section
	if from == "client" {
		r.InputBytes = seen
	} else {
		r.OutputBytes = seen
	}
	r.Duration = time.Since(start)
	if err != nil {
		r.Err = "the connection ended inside the frame"
	}
	w.flow.Emit(r)
	return err
}

func (w *webSocket) note(what string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.odd = append(w.odd, what)
}
