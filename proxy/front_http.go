package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/proxyglass/proxyglass/record"
	"github.com/proxyglass/proxyglass/sniff"
)

// HTTP is the Front of an HTTP proxy (RFC 9110 section 7): CONNECT, and
// requests in absolute-form for http targets. The zero value lets everybody in.
type HTTP struct {
	// Users are those who may use the proxy, by name, with their passwords,
	// told in Basic credentials (RFC 7617) with every request. Nil: everybody
	// may, and credentials are ignored.
	Users map[string]string
	// Realm is what a client is told to authenticate for. Empty: "proxyglass".
	Realm string
	// HeaderTimeout bounds the time from a request's first byte to the end of
	// its head. Zero: 10 s.
	HeaderTimeout time.Duration
	// IdleTimeout bounds the wait for a request's first byte. Zero: 2 min.
	IdleTimeout time.Duration
}

// agent is the name that we give to ourselves.
const agent = "proxyglass"

// Accept reads the client's request for a target, and answers all others.
func (h *HTTP) Accept(ctx context.Context, c *sniff.Conn) (*Request, error) {
	unhook := context.AfterFunc(ctx, func() { c.SetReadDeadline(time.Unix(1, 0)) })
	defer unhook()
	for {
		req, err := h.next(ctx, c)
		if req != nil || err != nil {
			c.SetReadDeadline(time.Time{})
			return req, err
		}
	}
}

// next reads a request. It returns neither a request nor an error when it has
// answered one, and the client may send another.
func (h *HTTP) next(ctx context.Context, c *sniff.Conn) (*Request, error) {
	b, err := h.peekHead(ctx, c)
	var bad *badRequest
	switch {
	case errors.As(err, &bad):
		return nil, reject(c, bad.status, bad.Error())
	case err != nil:
		return nil, err
	}
	head, err := sniff.ParseHTTP1Request(string(b))
	if err != nil {
		return nil, reject(c, http.StatusBadRequest, err.Error())
	}
	framing, err := head.RequestFraming()
	if err != nil {
		return nil, reject(c, http.StatusBadRequest, err.Error())
	}
	id, ok := h.admit(&head)
	if !ok {
		a := answer{
			status: http.StatusProxyAuthRequired, text: "proxy authentication required",
			field: `Proxy-Authenticate: Basic realm="` + strings.ReplaceAll(or(h.Realm, agent), `"`, "") + `", charset="UTF-8"`,
		}
		if framing != sniff.NoBody || head.Proto == "HTTP/1.0" {
			return nil, a.last(c)
		}
		if err := a.write(c); err != nil {
			return nil, err
		}
		return nil, discard(c, len(b))
	}
	if head.Method == http.MethodConnect {
		return h.connect(c, &head, len(b), id)
	}
	return h.absolute(c, &head, framing, len(b), id)
}

// connect takes a CONNECT (RFC 9110 section 9.3.6).
func (h *HTTP) connect(c *sniff.Conn, head *sniff.HTTP1Head, n int, id string) (*Request, error) {
	host, ok := hostPort(head.Target, "")
	if !ok {
		return nil, reject(c, http.StatusBadRequest, fmt.Sprintf("CONNECT needs host:port, not %.200q", head.Target))
	}
	if err := discard(c, n); err != nil {
		return nil, err
	}
	section := requestSection(head)
	req := &Request{Host: host, ClientID: id, Connect: section, in: int64(n)}
	req.Granted = func() error {
		section.StatusCode = http.StatusOK
		section.Response = &record.Message{Header: record.Header{{Name: "Proxy-Agent", Value: agent}}}
		_, err := io.WriteString(c, "HTTP/1.1 200 Connection established\r\nProxy-Agent: "+agent+"\r\n\r\n")
		return err
	}
	req.Refused = func(why error) bool {
		a := refusal(why)
		req.out = a.describe(section, true)
		a.last(c)
		return false
	}
	return req, nil
}

// absolute takes a request in absolute-form. It stays in c, for the pipeline to
// see and to rewrite.
func (h *HTTP) absolute(c *sniff.Conn, head *sniff.HTTP1Head, framing sniff.HTTP1Framing, n int, id string) (*Request, error) {
	target, ok := splitAbsolute(head.Target)
	host := ""
	if ok {
		host, ok = hostPort(target.authority, "80")
	}
	if !ok {
		return nil, reject(c, http.StatusBadRequest,
			fmt.Sprintf("this is a proxy: it takes CONNECT and http:// targets, not %.200q", head.Target))
	}
	section := requestSection(head)
	section.Scheme = "http"
	last := framing != sniff.NoBody || head.Proto == "HTTP/1.0"
	req := &Request{
		Host: host, ClientID: id, request: section, in: int64(n),
		forward: &forward{front: h, client: id, host: host, patience: h.headerTimeout()},
	}
	req.Refused = func(why error) bool {
		a := refusal(why)
		req.out = a.describe(section, last)
		if last {
			a.last(c)
			return false
		}
		return a.write(c) == nil && discard(c, n) == nil
	}
	return req, nil
}

// requestSection is the request's part of a record.
func requestSection(head *sniff.HTTP1Head) *record.HTTP {
	return &record.HTTP{
		Host: head.Host, Method: head.Method, Proto: head.Proto, URI: head.Target,
		Request: &record.Message{Header: withoutCredentials(headerOf(head))},
	}
}

// peekHead waits for a whole request head and returns it, unread.
func (h *HTTP) peekHead(ctx context.Context, c *sniff.Conn) ([]byte, error) {
	if err := h.peekFirst(ctx, c); err != nil {
		return nil, err
	}
	if err := deadline(ctx, c, h.headerTimeout()); err != nil {
		return nil, err
	}
	for searched := 0; ; {
		b, _ := c.Peek(c.Buffered())
		if n := sniff.HTTP1HeadEnd(b, searched); n > 0 {
			return b[:n], nil
		}
		if len(b) >= maxHTTP1Head {
			return nil, &badRequest{http.StatusRequestHeaderFieldsTooLarge, fmt.Sprintf("request head over %d bytes", maxHTTP1Head)}
		}
		if detectRequest(b) == sniff.No { // not worth waiting for the rest
			return nil, &badRequest{http.StatusBadRequest, "not an HTTP/1 request"}
		}
		searched = len(b)
		if _, err := c.Peek(len(b) + 1); err != nil {
			if isTimeout(err) && ctx.Err() == nil {
				return nil, &badRequest{http.StatusRequestTimeout, "the request head took too long"}
			}
			return nil, err
		}
	}
}

// peekFirst waits for a request's first byte, passing over empty lines (RFC 9112
// section 2.2).
func (h *HTTP) peekFirst(ctx context.Context, c *sniff.Conn) error {
	idle := h.IdleTimeout
	if idle <= 0 {
		idle = 2 * time.Minute
	}
	if err := deadline(ctx, c, idle); err != nil {
		return err
	}
	for {
		if _, err := c.Peek(1); err != nil {
			return err
		}
		b, _ := c.Peek(c.Buffered())
		n := emptyLines(b)
		if n == 0 {
			return nil
		}
		if err := discard(c, n); err != nil {
			return err
		}
	}
}

func (h *HTTP) headerTimeout() time.Duration {
	if h.HeaderTimeout > 0 {
		return h.HeaderTimeout
	}
	return 10 * time.Second
}

func deadline(ctx context.Context, c *sniff.Conn, d time.Duration) error {
	if err := c.SetReadDeadline(time.Now().Add(d)); err != nil {
		return err
	}
	if ctx.Err() != nil { // it may have ended between the two
		return ctx.Err()
	}
	return nil
}

func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.As(err, &t) && t.Timeout()
}

// discard reads n bytes that were peeked.
func discard(c *sniff.Conn, n int) error {
	_, err := io.CopyN(io.Discard, struct{ io.Reader }{c}, int64(n))
	return err
}

type badRequest struct {
	status int
	why    string
}

func (e *badRequest) Error() string { return e.why }
