package record_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"

	"github.com/proxyglass/proxyglass/record"
	"github.com/proxyglass/proxyglass/record/recordtest"
)

// A queue before a file, as a program sets it up: traffic never waits for the
// disk, and what could not be written is counted.
func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "records")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)

	file, err := record.OpenFile(filepath.Join(dir, "records.jsonl"))
	if err != nil {
		fmt.Println(err)
		return
	}
	queue := &record.Async{Next: file}
	if err := queue.Record(ctx, &record.Record{Host: "www.example.com:80"}); err != nil {
		fmt.Println("dropped:", err)
	}
	if err := errors.Join(queue.Close(ctx), file.Close()); err != nil {
		fmt.Println(err)
	}
	for r, err := range record.ReadFile(file.Path) {
		fmt.Println(r.Host, err)
	}
	fmt.Println(queue.Stats().Delivered, "delivered,", queue.Stats().Dropped.Total(), "dropped")
	// Output:
	// www.example.com:80 <nil>
	// 1 delivered, 0 dropped
}

func ExamplePost() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Println(r.Method, r.Header.Get("Content-Type"))
		w.WriteHeader(http.StatusNoContent)
	}))
	defer server.Close()
	post := &record.Post{URL: server.URL}
	defer post.Close()
	fmt.Println(post.Record(context.Background(), &record.Record{Host: "www.example.com:80"}))
	// Output:
	// POST application/json
	// <nil>
}

func ExampleMulti() {
	var all, failures recordtest.Collector
	m := record.Multi(&all, record.Filter{
		Keep: func(r *record.Record) bool { return r.Err != "" },
		Next: &failures,
	})
	_ = m.Record(context.Background(), &record.Record{Host: "a.example:443"})
	_ = m.Record(context.Background(), &record.Record{Host: "b.example:443", Err: "connection refused"})
	fmt.Println(len(all.Records()), len(failures.Records()))
	// Output: 2 1
}

func ExampleHeader() {
	h := record.Header{{Name: "set-cookie", Value: "a=1"}, {Name: "ETag", Value: `"x"`}, {Name: "Set-Cookie", Value: "b=2"}}
	fmt.Println(h.Get("etag"), h.Values("Set-Cookie"))
	fmt.Println(h.Map())
	// Output:
	// "x" [a=1 b=2]
	// map[Etag:["x"] Set-Cookie:[a=1 b=2]]
}

func ExampleWebSocket_Unmasked() {
	frame := record.WebSocket{Masked: true, MaskKey: 1114857390, Length: 5, Payload: []byte("\xc6\x3a\x1f\x2e\xc1")}
	fmt.Printf("%s\n", frame.Unmasked())
	// Output: hello
}

func ExampleHexOf() {
	h := record.HexOf([]byte{0x16, 0x03, 0x01})
	fmt.Println(h, h.Len(), h.Bytes())
	// Output: 160301 3 [22 3 1]
}
