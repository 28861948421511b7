package proxy

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/proxyglass/proxyglass/record"
	"github.com/proxyglass/proxyglass/sniff"
)

// An answer is one that the proxy gives itself: a status and a line of text
// that says why.
type answer struct {
	status int
	text   string
	field  string // a further field line
}

// refusal is the answer to a request whose target could not be reached.
func refusal(why error) answer {
	a := answer{status: http.StatusBadGateway, text: why.Error()}
	if isTimeout(why) || errors.Is(why, context.DeadlineExceeded) {
		a.status = http.StatusGatewayTimeout
	}
	return a
}

func (a *answer) body() string { return agent + ": " + strings.TrimSpace(a.text) + "\n" }

// bytes is the whole message. It leaves out Date and the like: nothing caches it.
func (a *answer) bytes(last bool) []byte {
	var b strings.Builder
	b.WriteString("HTTP/1.1 " + strconv.Itoa(a.status) + " " + http.StatusText(a.status) + "\r\n")
	b.WriteString("Content-Type: text/plain; charset=utf-8\r\nProxy-Agent: " + agent + "\r\n")
	if a.field != "" {
		b.WriteString(a.field + "\r\n")
	}
	if last {
		b.WriteString("Connection: close\r\n")
	}
	b.WriteString("Content-Length: " + strconv.Itoa(len(a.body())) + "\r\n\r\n")
	b.WriteString(a.body())
	return []byte(b.String())
}

// write gives the answer; the connection may go on.
func (a *answer) write(c *sniff.Conn) error {
	_, err := c.Write(a.bytes(false))
	return err
}

// last gives the answer as the last thing said on c, and waits a little for the
// client to read it: closing with unread bytes would reset the connection. The
// error it returns is that of the request.
func (a *answer) last(c *sniff.Conn) error {
	if _, err := c.Write(a.bytes(true)); err == nil && c.CloseWrite() == nil {
		c.SetReadDeadline(time.Now().Add(time.Second))
		io.CopyN(io.Discard, struct{ io.Reader }{c}, 1<<20)
	}
	return errors.New("proxy: " + strconv.Itoa(a.status) + ": " + a.text)
}

// reject answers a request that cannot be served, and ends the connection.
func reject(c *sniff.Conn, status int, text string) error {
	a := answer{status: status, text: text}
	return a.last(c)
}

// describe adds the answer to the request's part of a record, and tells how many
// bytes it has. The body is not a captured one, and stands there whatever is kept.
func (a *answer) describe(section *record.HTTP, last bool) int64 {
	section.StatusCode = a.status
	section.Response = &record.Message{
		ContentLength: int64(len(a.body())),
		Header: record.Header{
			{Name: "Content-Type", Value: "text/plain; charset=utf-8"},
			{Name: "Proxy-Agent", Value: agent},
			{Name: "Content-Length", Value: strconv.Itoa(len(a.body()))},
		},
		Body: []byte(a.body()),
	}
	return int64(len(a.bytes(last)))
}
