// Inspector is an HTTP proxy that shows what passes through it: JSON records of
// every exchange, one a line, on its standard output.
//
//	go run ./examples/inspector
//
// It says on its standard error how to trust it and what to try. Run it with -h
// for the flags. SIGINT or SIGTERM end it within five seconds, a second one at
// once.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/proxyglass/proxyglass/proxy"
)

func main() {
	// A reader of our output that goes away costs records, not the traffic.
	signal.Ignore(syscall.SIGPIPE)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := inspect(ctx, stop, os.Args[1:])
	var bad usageError
	switch {
	case err == nil:
	case errors.Is(err, flag.ErrHelp):
		fmt.Print(usage())
	case errors.As(err, &bad):
		fail(2, bad.Error()+" (-h lists the flags)")
	default:
		fail(1, err.Error())
	}
}

// fail ends the program with one line that says why.
func fail(code int, why string) {
	fmt.Fprintln(os.Stderr, "inspector: "+strings.Join(strings.Fields(why), " "))
	os.Exit(code)
}

// inspect runs the proxy until ctx ends. It calls stop then, so that the next
// signal ends the program.
func inspect(ctx context.Context, stop func(), args []string) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	ca, err := openCA(o)
	if err != nil {
		return err
	}
	sink, err := openSink(o.records)
	if err != nil {
		return err
	}
	opener, err := terminator(o, ca)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", o.listen)
	if err != nil {
		return err
	}
	clients := &counter{Listener: listener}
	logger := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	pipeline := &proxy.Pipeline{
		Recorder:     sink,
		MITM:         opener,
		Bypass:       o.closed,
		Capture:      o.capture(),
		NoSniff:      !o.sniff,
		SniffTimeout: o.sniffTimeout,
		Logger:       logger,
	}
	server := &proxy.Server{Pipeline: pipeline, Logger: logger}
	served := make(chan error, 1)
	go func() { served <- server.Serve(clients) }()
	greet(os.Stderr, listener.Addr(), ca, o)

	select {
	case <-ctx.Done():
		stop()
	case err = <-served:
	}
	return wind(server, pipeline, clients, err)
}
