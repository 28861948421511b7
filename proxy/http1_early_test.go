package proxy_test

import (
	"testing"

	"github.com/gobwas/ws"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/proxyglass/proxyglass/proxy"
)

// TestEarlyFrames: a client that does not wait for the 101, as it should, sends
// frames all the same, and no request.
func TestEarlyFrames(t *testing.T) {
	l := newLine(t, &proxy.Pipeline{Capture: proxy.Capture{FrameRate: -1}}, proxy.Session{Host: "ws.example:80"})
	early, late := frame(true, ws.OpText, true, 0, "early"), frame(true, ws.OpText, true, 0, "late")
	pass(t, l.client, l.server, upgrade)
	pass(t, l.client, l.server, early[:3])
	pass(t, l.client, l.server, early[3:])
	pass(t, l.server, l.client, upgraded)
	pass(t, l.client, l.server, late)
	frames, shake := split(t, l.end())
	require.Len(t, frames, 2, summary(frames))
	assert.Equal(t, "early", string(frames[0].WebSocket.Unmasked()))
	assert.Equal(t, "late", string(frames[1].WebSocket.Unmasked()))
	assert.EqualValues(t, len(upgrade)+len(early)+len(late), shake.InputBytes)
}

// TestEarlyFramesAlone: nothing follows them that would wake the parser.
func TestEarlyFramesAlone(t *testing.T) {
	l := newLine(t, &proxy.Pipeline{Capture: proxy.Capture{FrameRate: -1}}, proxy.Session{Host: "ws.example:80"})
	early := frame(true, ws.OpText, true, 0, "early")
	pass(t, l.client, l.server, upgrade)
	pass(t, l.client, l.server, early)
	pass(t, l.server, l.client, upgraded)
	frames, shake := split(t, l.end())
	require.Len(t, frames, 1, summary(frames))
	assert.Equal(t, "early", string(frames[0].WebSocket.Unmasked()))
	assert.EqualValues(t, len(upgrade)+len(early), shake.InputBytes)
}
