package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/proxyglass/proxyglass/bypass"
	"github.com/proxyglass/proxyglass/proxy"
)

// options are the flags, checked.
type options struct {
	listen        string
	caDir         string
	caCert, caKey string
	records       string
	mitm, bypass  string
	closed        bypass.Matcher // what mitm and bypass come to: the targets that are not opened
	alpn          string
	sniff         bool
	sniffTimeout  time.Duration
	body          int
	wsRate        float64

	upstreamCA       string
	upstreamInsecure bool
}

// usageError is a fault of the command line.
type usageError struct{ error }

func flags(o *options) *flag.FlagSet {
	f := flag.NewFlagSet("inspector", flag.ContinueOnError)
	f.SetOutput(io.Discard) // a fault is told by main, in one line
	f.StringVar(&o.listen, "listen", "127.0.0.1:8080", "`address` of the HTTP proxy; port 0: any")
	f.StringVar(&o.caDir, "ca", "", "CA `directory`, made the first time (default: under the user's config directory)")
	f.StringVar(&o.caCert, "ca-cert", "", "`file` with the certificate of a CA to use instead; goes with -ca-key")
	f.StringVar(&o.caKey, "ca-key", "", "`file` with its private key")
	f.StringVar(&o.records, "records", "-", "`where` records go: a file, - for the standard output, an http URL (one POST each), or none")
	f.StringVar(&o.mitm, "mitm", "all", "comma-separated `rules`: open only these hosts; all, or none")
	f.StringVar(&o.bypass, "bypass", "", "comma-separated `rules`: never open these hosts")
	f.StringVar(&o.alpn, "alpn", "", "application `protocol` to offer to origins, if the client offers it too (default: all that it offers)")
	f.BoolVar(&o.sniff, "sniff", true, "look at what passes; false: record connections and forwarded requests alone")
	f.DurationVar(&o.sniffTimeout, "sniff-timeout", 3*time.Second, "from a client's first byte to the verdict on what it speaks")
	f.IntVar(&o.body, "body", 65536, "`bytes` kept of each body and WebSocket frame; 0: none")
	f.Float64Var(&o.wsRate, "ws-rate", 10, "WebSocket frames recorded per second and direction; negative: all, 0: none")
	f.StringVar(&o.upstreamCA, "upstream-ca", "", "`file` with further roots to trust for origins")
	f.BoolVar(&o.upstreamInsecure, "upstream-insecure", false, "do not verify origins")
	return f
}

// usage is the text of -h.
func usage() string {
	var b bytes.Buffer
	f := flags(&options{})
	f.SetOutput(&b)
	f.PrintDefaults()
	return "usage: inspector [flags]\n" + b.String()
}

// parse reads the command line.
func parse(args []string) (*options, error) {
	o := &options{}
	f := flags(o)
	if err := f.Parse(args); errors.Is(err, flag.ErrHelp) {
		return nil, err
	} else if err != nil {
		return nil, usageError{err}
	}
	if f.NArg() > 0 {
		return nil, usageError{fmt.Errorf("unexpected argument %q", f.Arg(0))}
	}
	if err := o.check(); err != nil {
		return nil, usageError{err}
	}
	return o, nil
}

func (o *options) check() (err error) {
	switch {
	case (o.caCert == "") != (o.caKey == ""):
		return errors.New("-ca-cert and -ca-key go together")
	case o.records == "":
		return errors.New("-records: empty; say none to record nothing")
	case o.sniffTimeout <= 0:
		return errors.New("-sniff-timeout: must be positive")
	case o.body < 0:
		return errors.New("-body: must not be negative")
	case math.IsNaN(o.wsRate) || math.IsInf(o.wsRate, 0):
		return errors.New("-ws-rate: must be a number; a negative one means all")
	case slices.Contains(o.protocols(), "h2"):
		return errors.New("-alpn: h2 cannot be opened yet")
	}
	o.closed, err = matcher(o.mitm, o.bypass)
	return err
}

// protocols is the list of -alpn.
func (o *options) protocols() []string {
	if o.alpn == "" {
		return nil
	}
	return strings.Split(o.alpn, ",")
}

// opens reports whether any TLS may be opened.
func (o *options) opens() bool { return o.mitm != "none" && o.sniff }

func (o *options) capture() proxy.Capture {
	c := proxy.Capture{MaxBody: o.body, MaxFrame: o.body, FrameRate: o.wsRate, NoFrames: o.wsRate == 0}
	if o.body == 0 {
		c.MaxBody, c.MaxFrame = -1, -1
	}
	return c
}
