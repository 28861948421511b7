// Hello is the shortest program that opens what passes through it: an HTTP proxy
// that writes a JSON record of every exchange to its standard output.
//
//	go run ./examples/hello
//	curl --proxy 127.0.0.1:8080 --cacert ca/ca.crt https://example.com/
package main

import (
	"context"
	"log"
	"os"
	"os/signal"

	"github.com/proxyglass/proxyglass/bypass"
	"github.com/proxyglass/proxyglass/mitm"
	"github.com/proxyglass/proxyglass/proxy"
	"github.com/proxyglass/proxyglass/record"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()

	ca, err := mitm.OpenCA("ca") // made the first time, mode 0600
	if err != nil {
		log.Fatal(err)
	}
	p := &proxy.Pipeline{
		Recorder: record.NewWriter(os.Stdout),
		MITM:     &mitm.Terminator{Issuer: &mitm.CertIssuer{CA: ca}},
		Bypass:   bypass.Must(".bank.example", "10.0.0.0/8"),
	}
	log.Fatal(proxy.ListenAndServe(ctx, "127.0.0.1:8080", p))
}
