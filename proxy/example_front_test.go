package proxy_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http/httptest"
	"strings"

	"github.com/proxyglass/proxyglass/proxy"
	"github.com/proxyglass/proxyglass/record/recordtest"
	"github.com/proxyglass/proxyglass/sniff"
)

// LineFront is a front-end of the program's own: a client's first line is the
// target, and is answered by a line.
type LineFront struct{}

func (LineFront) Accept(_ context.Context, c *sniff.Conn) (*proxy.Request, error) {
	var line []byte
	for len(line) < 300 { // and no byte more than the line: the rest is the target's
		b := make([]byte, 1)
		if _, err := io.ReadFull(c, b); err != nil {
			return nil, err
		}
		if b[0] == '\n' {
			break
		}
		line = append(line, b[0])
	}
	return &proxy.Request{
		Host: string(line),
		Granted: func() error {
			_, err := io.WriteString(c, "ready\n")
			return err
		},
		Refused: func(err error) bool {
			_, err = fmt.Fprintf(c, "sorry: %v\n", err)
			return err == nil // the client may ask for another target
		},
	}, nil
}

func ExampleFront() {
	origin := newsOrigin()
	defer origin.Close()
	var seen recordtest.Collector
	p := &proxy.Pipeline{Recorder: &seen}
	s := &proxy.Server{Pipeline: p, Front: LineFront{}}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	go s.Serve(l)

	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		log.Fatal(err)
	}
	from := bufio.NewReader(c)
	for _, host := range []string{"nowhere", strings.TrimPrefix(origin.URL, "http://")} {
		fmt.Fprintln(c, host)
		answer, _ := from.ReadString('\n')
		fmt.Print(answer)
	}
	io.WriteString(c, "GET /news HTTP/1.1\r\nHost: news.example\r\nConnection: close\r\n\r\n")
	status, _ := from.ReadString('\n')
	fmt.Println(strings.TrimSpace(status))
	io.Copy(io.Discard, from)
	c.Close()
	s.Shutdown(context.Background())
	p.Close(context.Background())
	for _, r := range seen.Records() {
		fmt.Println("recorded:", r.HTTP != nil, r.Err)
	}
	// Output:
	// sorry: dial tcp: address nowhere: missing port in address
	// ready
	// HTTP/1.1 200 OK
	// recorded: false dial tcp: address nowhere: missing port in address
	// recorded: true
}

// A port forward: whoever connects gets to one origin, and is observed.
func ExampleFixed() {
	origin := httptest.NewServer(nil)
	defer origin.Close()
	target := strings.TrimPrefix(origin.URL, "http://")

	p := &proxy.Pipeline{Recorder: printer}
	s := &proxy.Server{Pipeline: p, Front: proxy.Fixed(target)}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	go s.Serve(l)

	res, err := origin.Client().Get("http://" + l.Addr().String() + "/page")
	if err != nil {
		log.Fatal(err)
	}
	res.Body.Close()
	s.Shutdown(context.Background())
	p.Close(context.Background())
	// Output: GET /page 404
}
