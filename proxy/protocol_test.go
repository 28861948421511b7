package proxy_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/proxyglass/proxyglass/proxy"
	"github.com/proxyglass/proxyglass/sniff"
)

// claims is a Protocol that says of everything that it is its own.
type claims struct {
	observe func(f *proxy.Flow) proxy.Observer // nil: observes nothing
}

func (c claims) Detector() sniff.Detector { return c }
func (claims) Protocol() sniff.Protocol   { return "claimed" }

func (claims) Detect(head []byte) sniff.Verdict {
	if len(head) == 0 {
		return sniff.More
	}
	return sniff.Yes
}

func (c claims) Observe(_ context.Context, f *proxy.Flow) proxy.Observer {
	if c.observe == nil {
		return proxy.Observer{}
	}
	return c.observe(f)
}

// What an observer returns, or leaves undone, costs the connection nothing, and
// leaves a record of it.
func TestProtocolReturns(t *testing.T) {
	for name, o := range map[string]proxy.Observer{
		"nothing": {},
		"stop":    {Up: func(*sniff.Reader) error { return sniff.Stop }, Down: func(*sniff.Reader) error { return sniff.Stop }},
		"panics": {
			Up:   func(*sniff.Reader) error { panic("up") },
			Done: func(sniff.Traffic) { panic("done") },
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLine(t, &proxy.Pipeline{
				Protocols: []proxy.Protocol{claims{func(*proxy.Flow) proxy.Observer { return o }}},
			}, proxy.Session{})
			l.pass("hello", "welcome")
			l.pass("more", "and more")
			rec := only(t, l.end())
			assert.Equal(t, "claimed", rec.Proto)
			assert.EqualValues(t, len("hellomore"), rec.InputBytes)
			assert.EqualValues(t, len("welcomeand more"), rec.OutputBytes)
		})
	}
}

// A record's labels are its own, so that an observer may add to them.
func TestProtocolLabels(t *testing.T) {
	labels := map[string]string{"site": "one"}
	observe := func(f *proxy.Flow) proxy.Observer {
		return proxy.Observer{Done: func(sniff.Traffic) {
			r := f.Record(time.Now())
			r.Labels["line"] = "two"
			f.Emit(r)
		}}
	}
	l := newLine(t, &proxy.Pipeline{Labels: labels, Protocols: []proxy.Protocol{claims{observe}}}, proxy.Session{})
	l.pass("hello", "welcome")
	assert.Equal(t, map[string]string{"site": "one", "line": "two"}, only(t, l.end()).Labels)
	assert.Equal(t, map[string]string{"site": "one"}, labels)
}
