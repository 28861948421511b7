//go:build linux

package bench

import (
	"crypto/tls"
	"errors"
	"io"
	"net"

	"github.com/proxyglass/proxyglass/mitm"
	"github.com/proxyglass/proxyglass/proxy"
	"github.com/proxyglass/proxyglass/record"
)

// proxyglass is what is measured, as a program would put it together: with all
// its defaults, and a record of every exchange as JSON.
func proxyglass(dir string, opens bool) ([]string, func(command) (answer, error), error) {
	p := &proxy.Pipeline{Recorder: record.NewWriter(io.Discard)}
	if opens {
		ca, err := mitm.OpenCA(proxyCA(dir))
		if err != nil {
			return nil, nil, err
		}
		roots, err := trust(originCA(dir))
		if err != nil {
			return nil, nil, err
		}
		p.MITM = &mitm.Terminator{Issuer: &mitm.CertIssuer{CA: ca}, Upstream: &tls.Config{RootCAs: roots}}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, err
	}
	go (&proxy.Server{Pipeline: p}).Serve(l)
	return []string{l.Addr().String()}, func(c command) (answer, error) {
		if c.Do != "stats" {
			return answer{}, errors.New("unknown command: " + c.Do)
		}
		s := p.Stats()
		return answer{Recorded: s.Delivered, Dropped: s.Dropped.Total() + s.Failed}, nil
	}, nil
}
