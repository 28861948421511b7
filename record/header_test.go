package record_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/proxyglass/proxyglass/record"
)

func headerJSON(t testing.TB, h record.Header) (string, http.Header) {
	r := record.Record{HTTP: &record.HTTP{Request: &record.Message{Header: h}}}
	var out struct {
		HTTP struct {
			Request struct{ Header json.RawMessage }
		}
	}
	require.NoError(t, json.Unmarshal(r.AppendJSON(nil), &out))
	var m http.Header
	require.NoError(t, json.Unmarshal(out.HTTP.Request.Header, &m))
	return string(out.HTTP.Request.Header), m
}

func TestHeaderJSON(t *testing.T) {
	tests := []struct {
		name string
		h    record.Header
		want string
	}{
		{"empty", nil, `{}`},
		{"canonical", record.Header{{"ETAG", "1"}, {"sec-websocket-key", "2"}, {"x--y", "3"}}, `{"Etag":["1"],"Sec-Websocket-Key":["2"],"X--Y":["3"]}`},
		{"merged", record.Header{{"set-cookie", "a"}, {"B", "1"}, {"Set-Cookie", "b"}, {"SET-COOKIE", "c"}}, `{"Set-Cookie":["a","b","c"],"B":["1"]}`},
		{"no token", record.Header{{"a b", "1"}, {"A b", "2"}, {"a b", "3"}, {"", "4"}}, `{"a b":["1","3"],"A b":["2"],"":["4"]}`},
		{"not UTF-8", record.Header{{"\xff", "1"}, {"\xfe", "2"}}, `{"` + "\ufffd" + `":["1","2"]}`},
		{"value", record.Header{{"a", "\x01\"\xff"}}, `{"A":["\u0001\"` + "\ufffd" + `"]}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			text, _ := headerJSON(t, tt.h)
			assert.Equal(t, tt.want, text)
			// A long section takes another way to the same result.
			filler := make(record.Header, 100)
			for i := range filler {
				filler[i] = record.Field{Name: fmt.Sprintf("Zz-%d", i), Value: "z"}
			}
			long, _ := headerJSON(t, append(filler, tt.h...))
			assert.True(t, strings.HasSuffix(long, strings.TrimPrefix(tt.want, "{")), long)
		})
	}
}

// A head of 256 KiB has room for this many; BenchmarkManyFields shows the time.
func TestHeaderOfManyFields(t *testing.T) {
	distinct := make(record.Header, 60_000)
	same := make(record.Header, 60_000)
	for i := range distinct {
		distinct[i] = record.Field{Name: fmt.Sprintf("%05x", i)}
		same[i] = record.Field{Name: "x", Value: fmt.Sprint(i)}
	}
	_, m := headerJSON(t, distinct)
	assert.Len(t, m, len(distinct))
	_, m = headerJSON(t, same)
	require.Len(t, m["X"], len(same))
	assert.Equal(t, "59999", m["X"][59999])
}

func TestHeaderLookup(t *testing.T) {
	h := record.Header{{"Accept", "a"}, {"X-One", "1"}, {"accept", "b"}}
	assert.Equal(t, "a", h.Get("ACCEPT"))
	assert.Equal(t, []string{"a", "b"}, h.Values("aCCept"))
	assert.Equal(t, "", h.Get("none"))
	assert.Nil(t, h.Values("none"))
	assert.Equal(t, http.Header{"Accept": {"a", "b"}, "X-One": {"1"}}, h.Map())
	assert.Equal(t, http.Header{}, record.Header(nil).Map())
	assert.Equal(t, "", record.Header{{"ſ", "long s"}}.Get("s"), "folding is ASCII's")
}

func TestUnmasked(t *testing.T) {
	w := record.WebSocket{Masked: true, MaskKey: 1114857390, Payload: []byte{0xc6, 0x3a, 0x1f, 0x2e, 0xc1}}
	assert.Equal(t, "hello", string(w.Unmasked()))
	assert.Equal(t, byte(0xc6), w.Payload[0], "the record stays as it is")
	w.Masked = false
	assert.Equal(t, w.Payload, w.Unmasked())
	w.Payload = nil
	assert.Nil(t, w.Unmasked())
}

// A mask key read the wrong way round would make garbage of the text frames.
func TestUnmaskedExamples(t *testing.T) {
	var texts []string
	for name, example := range examples(t) {
		var r record.Record
		require.NoError(t, json.Unmarshal(example, &r))
		if r.WebSocket != nil && r.WebSocket.Opcode == 1 && strings.HasPrefix(name, "seed/") {
			texts = append(texts, string(r.WebSocket.Unmasked()))
		}
	}
	assert.NotEmpty(t, texts)
	for _, text := range texts {
		assert.Regexp(t, `^[ -~]+$`, text)
	}
}
