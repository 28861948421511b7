package record_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/proxyglass/proxyglass/record"
	"github.com/proxyglass/proxyglass/record/recordtest"
)

// A queue is bounded by Size: whatever can be large must count.
func TestSizeCountsEverything(t *testing.T) {
	const n = 10_000
	s, b := strings.Repeat("x", n), make([]byte, n)
	message := func(m record.Message) *record.Record {
		return &record.Record{HTTP: &record.HTTP{Response: &m}}
	}
	for name, r := range map[string]*record.Record{
		"host":        {Host: s},
		"err":         {Err: s},
		"label":       {Labels: map[string]string{"k": s}},
		"label key":   {Labels: map[string]string{s: ""}},
		"anomaly":     {Anomalies: []string{s}},
		"uri":         {HTTP: &record.HTTP{URI: s}},
		"body":        message(record.Message{Body: b}),
		"body, cap":   message(record.Message{Body: b[:0]}),
		"name":        message(record.Message{Header: record.Header{{Name: s}}}),
		"trailer":     message(record.Message{Trailer: record.Header{{Value: s}}}),
		"many fields": message(record.Message{Header: make(record.Header, n/32)}),
		"request":     {HTTP: &record.HTTP{Request: &record.Message{Body: b}}},
		"payload":     {WebSocket: &record.WebSocket{Payload: b}},
		"hello":       {TLS: &record.TLS{ClientHello: record.HexOf(b[:n/2])}},
		"server name": {TLS: &record.TLS{ServerName: s}},
		"answer":      {DNS: &record.DNS{Answer: s}},
	} {
		size := r.Size()
		assert.GreaterOrEqual(t, size, n-n%32, name)
		assert.Less(t, size, 2*n, name)
	}
	assert.Zero(t, (*record.Record)(nil).Size())
	for i, r := range recordtest.Samples() { // and it is not far from what it says
		assert.Greater(t, 2*r.Size(), len(r.AppendJSON(nil))/2, "sample %d", i)
	}
}
