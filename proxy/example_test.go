package proxy_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"time"

	"github.com/proxyglass/proxyglass/proxy"
	"github.com/proxyglass/proxyglass/record"
	"github.com/proxyglass/proxyglass/sniff"
)

// printer prints the part of a record that is always the same.
var printer = record.Func(func(_ context.Context, r *record.Record) error {
	fmt.Println(r.HTTP.Method, r.HTTP.URI, r.HTTP.StatusCode)
	return nil
})

// Two connections that a program has already.
func ExamplePipeline_Serve() {
	p := &proxy.Pipeline{Recorder: printer}

	client, clientSide := net.Pipe()
	serverSide, server := net.Pipe()
	served := make(chan error, 1)
	go func() {
		served <- p.Serve(context.Background(), clientSide, serverSide, proxy.Session{Host: "example.com:80"})
	}()

	go io.WriteString(client, "GET /hello HTTP/1.1\r\nHost: example.com\r\n\r\n")
	if _, err := http.ReadRequest(bufio.NewReader(server)); err != nil {
		log.Fatal(err)
	}
	go io.WriteString(server, "HTTP/1.1 204 No Content\r\n\r\n")
	if _, err := http.ReadResponse(bufio.NewReader(client), nil); err != nil {
		log.Fatal(err)
	}
	client.Close()
	server.Close()
	<-served
	p.Close(context.Background()) // flushes the records
	// Output: GET /hello 204
}

// through sends one GET through the proxy at addr.
func through(addr, target string) (status string) {
	u, err := url.Parse("http://" + addr)
	if err != nil {
		return err.Error()
	}
	t := &http.Transport{Proxy: http.ProxyURL(u), DisableKeepAlives: true}
	res, err := (&http.Client{Transport: t}).Get(target)
	if err != nil {
		return err.Error()
	}
	defer res.Body.Close()
	io.Copy(io.Discard, res.Body)
	return res.Status
}

func newsOrigin() *httptest.Server {
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "a long story")
	}))
}

// An HTTP proxy on a listener of one's own, with an orderly end.
func ExampleServer() {
	origin := newsOrigin()
	defer origin.Close()

	p := &proxy.Pipeline{Recorder: record.Func(func(_ context.Context, r *record.Record) error {
		fmt.Println("recorded:", r.HTTP.Method, r.HTTP.StatusCode, string(r.HTTP.Response.Body))
		return nil
	})}
	s := &proxy.Server{Pipeline: p}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()

	status := through(l.Addr().String(), origin.URL)

	s.Shutdown(context.Background())
	p.Close(context.Background())
	fmt.Println(status)
	fmt.Println(errors.Is(<-served, proxy.ErrServerClosed))
	// Output:
	// recorded: GET 200 a long story
	// 200 OK
	// true
}

// A proxy for those who are known.
func ExampleHTTP() {
	origin := newsOrigin()
	defer origin.Close()

	s := &proxy.Server{Front: &proxy.HTTP{Users: map[string]string{"ann": "secret"}}}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	go s.Serve(l)
	defer s.Close()

	fmt.Println(through(l.Addr().String(), origin.URL))
	fmt.Println(through("ann:secret@"+l.Addr().String(), origin.URL))
	// Output:
	// 407 Proxy Authentication Required
	// 200 OK
}

// How much is kept of what passes.
func ExampleCapture() {
	p := &proxy.Pipeline{
		Capture: proxy.Capture{
			MaxBody:   6,  // bytes of each body
			FrameRate: -1, // every WebSocket frame
		},
		Recorder: record.Func(func(_ context.Context, r *record.Record) error {
			m := r.HTTP.Response
			fmt.Printf("%q of %d, truncated: %v\n", m.Body, m.ContentLength, m.Truncated)
			return nil
		}),
	}
	s := &proxy.Server{Pipeline: p}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	go s.Serve(l)
	origin := newsOrigin()
	defer origin.Close()
	through(l.Addr().String(), origin.URL)
	s.Shutdown(context.Background())
	p.Close(context.Background())
	// Output: "a long" of 12, truncated: true
}

// Memcached is a protocol of the program's own: memcached's, of which it records the commands.
type Memcached struct{}

func (Memcached) Detector() sniff.Detector { return Memcached{} }
func (Memcached) Protocol() sniff.Protocol { return "memcached" }

// Detect knows the command "get".
func (Memcached) Detect(head []byte) sniff.Verdict {
	const start = "get "
	switch n := min(len(head), len(start)); {
	case string(head[:n]) != start[:n]:
		return sniff.No
	case n < len(start):
		return sniff.More
	}
	return sniff.Yes
}

// Observe records each line that the client sends.
func (Memcached) Observe(_ context.Context, f *proxy.Flow) proxy.Observer {
	return proxy.Observer{Up: func(src *sniff.Reader) error {
		lines := bufio.NewScanner(src)
		for lines.Scan() {
			r := f.Record(time.Now())
			r.Proto = "memcached"
			r.Labels = map[string]string{"command": lines.Text()}
			f.Emit(r)
		}
		return lines.Err()
	}}
}

func ExampleProtocol() {
	p := &proxy.Pipeline{
		Protocols: []proxy.Protocol{Memcached{}},
		Recorder: record.Func(func(_ context.Context, r *record.Record) error {
			fmt.Println(r.Proto, r.Labels["command"])
			return nil
		}),
	}
	client, clientSide := net.Pipe()
	serverSide, server := net.Pipe()
	served := make(chan error, 1)
	go func() { served <- p.Serve(context.Background(), clientSide, serverSide, proxy.Session{}) }()
	go io.WriteString(client, "get a\r\nget b\r\n")
	io.ReadFull(server, make([]byte, 14))
	client.Close()
	server.Close()
	<-served
	p.Close(context.Background())
	// Output:
	// memcached get a
	// memcached get b
}
