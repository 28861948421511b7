package proxy_test

import (
	"bytes"
	"encoding/base64"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"

	"github.com/gobwas/ws"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/proxyglass/proxyglass/proxy"
	"github.com/proxyglass/proxyglass/record"
)

const (
	upgrade  = "GET /mirror HTTP/1.1\r\nHost: ws.example\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\nSec-WebSocket-Key: x\r\n\r\n"
	upgraded = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
)

// frame is a frame's bytes; a client's are masked.
func frame(masked bool, op ws.OpCode, fin bool, rsv byte, payload string) string {
	f := ws.NewFrame(op, fin, []byte(payload))
	f.Header.Rsv = rsv
	if masked {
		f = ws.MaskFrameWith(f, [4]byte{0x8e, 0x5a, 0x73, 0x42})
	}
	return string(must(ws.CompileFrame(f)))
}

// split takes the records of frames from that of the handshake, the last.
func split(t *testing.T, records []*record.Record) (frames []*record.Record, shake *record.Record) {
	t.Helper()
	require.NotEmpty(t, records)
	frames, shake = records[:len(records)-1], records[len(records)-1]
	require.Nil(t, shake.WebSocket, summary(records))
	assert.Equal(t, "GET /mirror 101", strings.Split(brief(shake), " [")[0])
	return frames, shake
}

func TestWebSocketFrames(t *testing.T) {
	long := strings.Repeat("x", 300)
	longer := strings.Repeat("y", 70_000)
	frames := []struct {
		client, fin bool
		op          ws.OpCode
		rsv         byte
		payload     string
		kept        int
	}{
		{true, true, ws.OpText, 0, "Hello", -1},
		{false, true, ws.OpText, 0, "hello", -1},
		{false, true, ws.OpBinary, 4, long, -1}, // RSV1: compressed
		{true, false, ws.OpText, 0, "frag", -1},
		{true, true, ws.OpPing, 0, "", -1},
		{true, false, ws.OpContinuation, 0, "men", -1},
		{true, true, ws.OpContinuation, 0, "ts", -1},
		{false, true, ws.OpPong, 0, "p", -1},
		{false, true, ws.OpBinary, 0, longer, 64 << 10},
		{true, true, ws.OpBinary, 3, longer, 64 << 10},
		{true, true, 0xb, 0, "reserved", -1},
		{false, true, ws.OpClose, 0, "\x03\xe8", -1},
	}
	for _, opened := range []bool{false, true} {
		var l *line
		p := &proxy.Pipeline{Capture: proxy.Capture{FrameRate: -1}}
		if opened {
			l = newOpened(t, p)
		} else {
			l = newLine(t, p, proxy.Session{Host: "ws.example:80"})
		}
		first := frame(false, ws.OpText, true, 0, "with the 101")
		l.pass(upgrade, upgraded+first)
		in, out := len(upgrade), len(upgraded)+len(first)
		for _, f := range frames {
			b := frame(f.client, f.op, f.fin, f.rsv, f.payload)
			if f.client {
				pass(t, l.client, l.server, b)
				in += len(b)
			} else {
				pass(t, l.server, l.client, b)
				out += len(b)
			}
		}
		got, shake := split(t, l.endTLS())
		require.Len(t, got, len(frames)+1)
		for i, f := range frames {
			// The two directions' records may overtake one another.
			r := got[i+1]
			w := r.WebSocket
			assert.Equal(t, map[bool]string{true: "client", false: "server"}[f.client], w.From)
			assert.Equal(t, []bool{f.fin, f.rsv&4 != 0, f.rsv&2 != 0, f.rsv&1 != 0}, []bool{w.Fin, w.Rsv1, w.Rsv2, w.Rsv3})
			assert.EqualValues(t, f.op, w.Opcode)
			assert.Equal(t, f.client, w.Masked)
			assert.EqualValues(t, len(f.payload), w.Length)
			payload := f.payload
			if f.kept >= 0 {
				payload = payload[:f.kept]
			}
			assert.Equal(t, f.kept >= 0, w.Truncated)
			assert.Equal(t, payload, string(w.Unmasked()))
			size := len(frame(f.client, f.op, f.fin, f.rsv, f.payload))
			if f.client {
				assert.EqualValues(t, 0x42735a8e, w.MaskKey)
				assert.Equal(t, []int64{int64(size), 0}, []int64{r.InputBytes, r.OutputBytes})
			} else {
				assert.Zero(t, w.MaskKey)
				assert.Equal(t, []int64{0, int64(size)}, []int64{r.InputBytes, r.OutputBytes})
			}
			assert.Equal(t, []string{"ws.example", "GET", "HTTP/1.1", "/mirror"}, []string{r.HTTP.Host, r.HTTP.Method, r.HTTP.Proto, r.HTTP.URI})
			assert.Equal(t, 101, r.HTTP.StatusCode)
			assert.Nil(t, r.HTTP.Request)
			assert.Nil(t, r.HTTP.Response)
		}
		assert.Equal(t, "with the 101", string(got[0].WebSocket.Payload))
		assert.EqualValues(t, in, shake.InputBytes)
		assert.EqualValues(t, out, shake.OutputBytes)
		assert.Empty(t, shake.Err)
		assert.Equal(t, opened, shake.HTTP.Scheme == "https")
		assert.Equal(t, "x", shake.HTTP.Request.Header.Get("Sec-WebSocket-Key"))
	}
}

// The seed's own vectors: the mask key's bytes read little-endian, the payload
// as on the wire.
func TestWebSocketSeed(t *testing.T) {
	payload := must(base64.StdEncoding.DecodeString("xjofLsE="))
	wire := append([]byte{0x81, 0x85, 0xae, 0x5f, 0x73, 0x42}, payload...)
	l := newLine(t, nil, proxy.Session{})
	l.pass(upgrade, upgraded)
	l.pass(string(wire), "\x81\x05hello")
	frames, _ := split(t, l.end())
	require.Len(t, frames, 2)
	w := frames[0].WebSocket
	assert.EqualValues(t, 1114857390, w.MaskKey)
	assert.Equal(t, payload, w.Payload)
	assert.Equal(t, "hello", string(w.Unmasked()))
	assert.EqualValues(t, 11, frames[0].InputBytes)
	assert.EqualValues(t, 7, frames[1].OutputBytes)
}

func TestWebSocketCapture(t *testing.T) {
	f := frame(true, ws.OpText, true, 0, "hello")
	for _, tt := range []struct {
		name    string
		capture proxy.Capture
		frames  int
		payload string
	}{
		{"ten at once by default", proxy.Capture{}, 10, "hello"},
		{"one", proxy.Capture{FrameRate: 0.001}, 1, "hello"},
		{"three", proxy.Capture{FrameRate: 3}, 3, "hello"},
		{"all", proxy.Capture{FrameRate: -1}, 40, "hello"},
		{"none", proxy.Capture{NoFrames: true, FrameRate: -1}, 0, ""},
		{"no payload", proxy.Capture{FrameRate: -1, MaxFrame: -1}, 40, ""},
		{"short payload", proxy.Capture{FrameRate: -1, MaxFrame: 2}, 40, "he"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := newLine(t, &proxy.Pipeline{Capture: tt.capture}, proxy.Session{})
			l.pass(upgrade, upgraded)
			l.pass(strings.Repeat(f, 40), "")
			frames, shake := split(t, l.end())
			assert.InDelta(t, tt.frames, len(frames), 1, "a slow test may be given one more")
			for _, r := range frames {
				assert.Equal(t, tt.payload, string(r.WebSocket.Unmasked()))
				assert.EqualValues(t, 5, r.WebSocket.Length)
				assert.Equal(t, tt.payload != "hello", r.WebSocket.Truncated)
			}
			assert.EqualValues(t, len(upgrade)+40*len(f), shake.InputBytes)
			assert.Equal(t, http.StatusSwitchingProtocols, shake.HTTP.StatusCode)
		})
	}
}

func TestWebSocketMalformed(t *testing.T) {
	for _, tt := range []struct{ name, up, anomaly, err string }{
		{"a length with its top bit", "\x81\xff\xff\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00abc", "malformed-websocket-frame", ""},
		{"cut in the head", "\x81", "", ""},
		{"cut in the payload", "\x81\x85\x00\x00\x00\x00ab", "", "the connection ended inside the frame"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := newLine(t, nil, proxy.Session{})
			l.pass(upgrade, upgraded)
			l.pass(tt.up, "\x81\x01x")
			frames, shake := split(t, l.end())
			assert.Contains(t, strings.Join(shake.Anomalies, " "), tt.anomaly)
			assert.EqualValues(t, len(upgrade)+len(tt.up), shake.InputBytes)
			if tt.err != "" {
				require.Len(t, frames, 2)
				cut := frames[0]
				if cut.WebSocket.From == "server" {
					cut = frames[1]
				}
				assert.Equal(t, tt.err, cut.Err)
				assert.True(t, cut.WebSocket.Truncated)
				assert.EqualValues(t, len(tt.up), cut.InputBytes)
			}
		})
	}
}

// Frames in random pieces come out as they went in.
func TestWebSocketVerbatim(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	var all bytes.Buffer
	for range 200 {
		all.WriteString(frame(true, ws.OpBinary, true, 0, strings.Repeat("z", rng.IntN(1<<rng.IntN(14)))))
	}
	l := newLine(t, &proxy.Pipeline{Capture: proxy.Capture{FrameRate: -1}}, proxy.Session{})
	l.pass(upgrade, upgraded)
	for b := all.Bytes(); len(b) > 0; {
		n := min(len(b), 1+rng.IntN(1<<rng.IntN(13)))
		pass(t, l.client, l.server, string(b[:n]))
		b = b[n:]
	}
	frames, shake := split(t, l.end())
	assert.Len(t, frames, 200)
	assert.EqualValues(t, len(upgrade)+all.Len(), shake.InputBytes)
}
