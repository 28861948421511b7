//go:build linux

package bench

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/proxyglass/proxyglass/mitm"
)

// The directories of the two authorities: the origin's, which the proxies
// trust, and the proxies' own, which the visitors trust.
func originCA(dir string) string { return filepath.Join(dir, "origin") }
func proxyCA(dir string) string  { return filepath.Join(dir, "proxy") }

// originName is what the origin's certificate is for.
const originName = "localhost"

// origin listens for HTTP/1.1, at the first address plain and at the second over
// TLS, and answers a request for /N by N bytes. It does as little as possible,
// to leave the machine to the proxies.
func origin(dir string) ([]string, func(command) (answer, error), error) {
	ca, err := mitm.OpenCA(originCA(dir))
	if err != nil {
		return nil, nil, err
	}
	leaf, err := (&mitm.CertIssuer{CA: ca}).Issue(context.Background(), originName)
	if err != nil {
		return nil, nil, err
	}
	plain, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, err
	}
	secure, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
		Certificates: []tls.Certificate{*leaf}, NextProtos: []string{"http/1.1"},
	})
	if err != nil {
		return nil, nil, err
	}
	go accept(plain, answerAll)
	go accept(secure, answerAll)
	return []string{plain.Addr().String(), secure.Addr().String()}, nil, nil
}

// accept serves every client of l on a goroutine of its own.
func accept(l net.Listener, serve func(net.Conn)) {
	for {
		c, err := l.Accept()
		if err != nil {
			return // the process ends
		}
		go func() {
			defer c.Close()
			serve(c)
		}()
	}
}

// payload is what bodies are made of.
var payload = bytes.Repeat([]byte("what a body is made of, 32 bytes"), 8<<10)

// firstPart is how much of a body is written along with the head.
const firstPart = 4 << 10

func answerAll(c net.Conn) {
	buf := make([]byte, 4<<10)
	var message []byte // the last answer, or how it began
	var length int64   // of its body
	for {
		head, rest, err := readHead(c, buf)
		if err != nil || len(rest) > 0 {
			return
		}
		_, target := requestLine(head)
		n, err := strconv.ParseInt(target[strings.LastIndexByte(target, '/')+1:], 10, 64)
		if err != nil || n < 0 {
			return
		}
		if message == nil || n != length {
			length = n
			message = fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nDate: Sun, 22 Nov 2026 16:18:39 GMT\r\n"+
				"Content-Type: application/octet-stream\r\nContent-Length: %d\r\n\r\n", n)
			message = append(message, payload[:min(n, firstPart)]...)
		}
		if _, err := c.Write(message); err != nil {
			return
		}
		for left := n - firstPart; left > 0; {
			m, err := c.Write(payload[:min(left, int64(len(payload)))])
			if err != nil {
				return
			}
			left -= int64(m)
		}
	}
}

var emptyLine = []byte("\r\n\r\n")

// readHead reads up to the end of a message's head, which buf must have room
// for, and returns also what came behind.
func readHead(c net.Conn, buf []byte) (head, rest []byte, err error) {
	n := 0
	for {
		m, err := c.Read(buf[n:])
		n += m
		if i := bytes.Index(buf[:n], emptyLine); i >= 0 {
			end := i + len(emptyLine)
			return buf[:end], buf[end:n], nil
		}
		if err == nil && n == len(buf) {
			err = fmt.Errorf("a head of more than %d bytes", len(buf))
		}
		if err != nil {
			return nil, nil, err
		}
	}
}

// requestLine takes a request's head apart as far as is needed here.
func requestLine(head []byte) (method, target string) {
	line, _, _ := bytes.Cut(head, []byte("\r\n"))
	m, rest, _ := bytes.Cut(line, []byte(" "))
	t, _, _ := bytes.Cut(rest, []byte(" "))
	return string(m), string(t)
}
