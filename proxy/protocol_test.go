package proxy_test

import (
	"context"

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
