package record

import "encoding/binary"

// WebSocket is the section of one WebSocket frame (RFC 6455 section 5.2).
type WebSocket struct {
	From string // "from": "client" or "server"

	Fin    bool // "fin"
	Rsv1   bool // "rsv1": a compressed message's first frame has it (RFC 7692)
	Rsv2   bool // "rsv2"
	Rsv3   bool // "rsv3"
	Opcode int  // "opcode"
	Masked bool // "masked"
	// MaskKey is the masking key, its four bytes read little-endian, as GOST
	// does; 0 when the frame is not masked. JSON: "maskKey".
	MaskKey uint32

	Length    int64  // "length": of the payload as the frame's head says
	Payload   []byte // "payload": as on the wire, still masked, base64; null when nil
	Truncated bool   // "truncated": Payload holds only the start; the key is absent when false
}

// Unmasked returns the payload in the clear, as a copy; what is compressed
// stays compressed. It returns nil when no payload was captured.
func (w *WebSocket) Unmasked() []byte {
	if w.Payload == nil {
		return nil
	}
	plain := make([]byte, len(w.Payload))
	copy(plain, w.Payload)
	if !w.Masked {
		return plain
	}
	var key [4]byte
	binary.LittleEndian.PutUint32(key[:], w.MaskKey)
	for i := range plain {
		plain[i] ^= key[i&3]
	}
	return plain
}
