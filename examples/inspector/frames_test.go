package main_test

import (
	"bytes"
	"crypto/tls"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"testing"

	"github.com/gobwas/ws"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// frameOf is the frame that a record tells of, as it was on the wire. Where the
// example's payload was cut, it has another of that length.
func frameOf(t *testing.T, example object) []byte {
	t.Helper()
	w := example["websocket"].(object)
	flag := func(key string) bool { return w[key].(bool) }
	head := ws.Header{
		Fin: flag("fin"), Rsv: ws.Rsv(flag("rsv1"), flag("rsv2"), flag("rsv3")), Masked: flag("masked"),
		OpCode: ws.OpCode(w["opcode"].(float64)), Length: int64(w["length"].(float64)),
	}
	binary.LittleEndian.PutUint32(head.Mask[:], uint32(w["maskKey"].(float64)))
	payload, err := base64.StdEncoding.DecodeString(w["payload"].(string))
	if err != nil {
		payload = bytes.Repeat([]byte{0xA5}, int(head.Length))
	}
	require.Len(t, payload, int(head.Length))
	var b bytes.Buffer
	require.NoError(t, ws.WriteHeader(&b, head))
	return append(b.Bytes(), payload...)
}

// handshakeOf is the two heads of the example that tells of the upgrade.
func handshakeOf(example object) (request, response []byte) {
	head := func(first string, header any) []byte {
		b := bytes.NewBufferString(first)
		for name, values := range header.(object) {
			for _, v := range values.([]any) {
				fmt.Fprintf(b, "%s: %s\r\n", name, v)
			}
		}
		b.WriteString("\r\n")
		return b.Bytes()
	}
	request = head(fmt.Sprintf("GET %s HTTP/1.1\r\nHost: %s\r\n", text(example, "http.uri"), text(example, "http.host")),
		at(example, "http.request.header"))
	response = head("HTTP/1.1 101 Switching Protocols\r\n", at(example, "http.response.header"))
	return request, response
}

// TestFrames replays the examples of WebSocket byte by byte.
func TestFrames(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		file string
		way  way
		ours object
	}{
		{"websocket.jsonl", tunnel, nil},
		{"gost/09-ws-plain.json", tunnel, nil},
		// The handshake's header sections stand on its own record alone.
		{"gost/11-wss-mitm-alpn.3.2.6.json", opened, object{"http.scheme": "https", "http.request": nil, "http.response": nil}},
	} {
		t.Run(c.way.name, func(t *testing.T) {
			t.Parallel()
			all := examples(t, c.file, "", "")
			frames, handshake := all[:len(all)-1], all[len(all)-1]
			request, response := handshakeOf(handshake)
			p := start(t, "-ws-rate", "-1")
			client, server, addr := p.pair(t, c.way)
			carried(t, client, server, request)
			carried(t, server, client, response)
			in, out := len(request), len(response)
			for _, f := range frames {
				b := frameOf(t, f)
				if f["websocket"].(object)["from"] == "client" {
					carried(t, client, server, b)
					in += len(b)
				} else {
					carried(t, server, client, b)
					out += len(b)
				}
			}
			client.Close()
			server.Close()

			got := p.stop()
			require.Len(t, got, len(all))
			for i, f := range frames {
				ours := object{}
				for k, v := range c.ours {
					ours[k] = v
				}
				for _, exact := range []string{"inputBytes", "outputBytes"} {
					ours[exact] = f[exact] // no value is free on a frame
				}
				same(t, f, withNulls(got[i].json, ours), ours)
				meaning(t, p, got[i], addr)
				assert.Equal(t, "GET", got[i].HTTP.Method)
				assert.Equal(t, 101, got[i].HTTP.StatusCode)
			}
			last := got[len(frames)]
			same(t, handshake, last.json, object{"http.scheme": last.HTTP.Scheme})
			meaning(t, p, last, addr)
			assert.EqualValues(t, in, last.InputBytes)
			assert.EqualValues(t, out, last.OutputBytes)
		})
	}
}

// carried writes b and checks that it arrives unharmed.
func carried(t *testing.T, from, to net.Conn, b []byte) {
	t.Helper()
	_, err := from.Write(b)
	require.NoError(t, err)
	got := make([]byte, len(b))
	_, err = io.ReadFull(to, got)
	require.NoError(t, err)
	require.True(t, bytes.Equal(b, got))
}

// withNulls puts null where ours leaves out what the example has.
func withNulls(got object, ours object) object {
	http := got["http"].(object)
	for key, v := range ours {
		if v == nil {
			http[key[len("http."):]] = nil
		}
	}
	return got
}

// pair is a connection through the inspector, both of its ends in our hands.
func (p *inspector) pair(t *testing.T, w way) (client, server net.Conn, addr string) {
	t.Helper()
	accepted := make(chan net.Conn)
	done := make(chan struct{})
	t.Cleanup(func() { close(done) })
	var cert *tls.Certificate
	if w.name == opened.name {
		cert = &pki.good
	}
	addr = serve(t, cert, func(c net.Conn) {
		if tc, ok := c.(*tls.Conn); ok && tc.Handshake() != nil {
			return
		}
		accepted <- c
		<-done
	})
	client = p.connect(addr)
	if cert != nil {
		config := trust(t, caFile(), "origin.test")
		config.NextProtos = []string{"http/1.1"}
		client = tls.Client(client, config)
		go client.(*tls.Conn).Handshake()
	}
	return client, <-accepted, addr
}

// TestFramesBehindUpgrade: what a server sends along with its 101 is WebSocket
// already.
func TestFramesBehindUpgrade(t *testing.T) {
	t.Parallel()
	for _, w := range []way{tunnel, opened} {
		t.Run(w.name, func(t *testing.T) {
			t.Parallel()
			all := examples(t, "websocket.jsonl", "", "")
			request, response := handshakeOf(all[4])
			first := frameOf(t, all[1])
			p := start(t)
			client, server, _ := p.pair(t, w)
			carried(t, client, server, request)
			carried(t, server, client, append(response, first...)) // one segment, one TLS record
			e := p.await(1, func(e *entry) bool { return e.WebSocket != nil })[0]
			assert.Equal(t, "hello", string(e.WebSocket.Payload))
			assert.Equal(t, "server", e.WebSocket.From)
		})
	}
}

// TestFrameRate: so many a second and direction are recorded; all are passed on.
func TestFrameRate(t *testing.T) {
	t.Parallel()
	const sent = 60
	for _, c := range []struct {
		rate        string
		least, most int
	}{{"10", 10, 40}, {"-1", sent, sent}, {"0", 0, 0}, {"0.5", 1, 5}} {
		t.Run(c.rate, func(t *testing.T) {
			t.Parallel()
			p := start(t, "-ws-rate", c.rate)
			client, server, _ := p.pair(t, tunnel)
			all := examples(t, "websocket.jsonl", "", "")
			request, response := handshakeOf(all[4])
			in, out := bytes.Repeat(frameOf(t, all[0]), sent), bytes.Repeat(frameOf(t, all[1]), sent)
			carried(t, client, server, request)
			carried(t, server, client, response)
			carried(t, client, server, in)
			carried(t, server, client, out)
			client.Close()
			server.Close()
			n := map[string]int{}
			for _, e := range p.stop() {
				if e.WebSocket != nil {
					n[e.WebSocket.From]++
				} else {
					assert.EqualValues(t, len(request)+len(in), e.InputBytes)
					assert.EqualValues(t, len(response)+len(out), e.OutputBytes)
				}
			}
			for _, from := range []string{"client", "server"} {
				assert.GreaterOrEqual(t, n[from], c.least, from)
				assert.LessOrEqual(t, n[from], c.most, from)
			}
		})
	}
}
