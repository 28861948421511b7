//go:build linux

package bench

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// The ways to the origin.
const (
	tunnelled = "tunnelled" // CONNECT, then plain HTTP/1.1
	forwarded = "forwarded" // requests in absolute-form
	opened    = "opened"    // CONNECT, then HTTP/1.1 over TLS that ends at the proxy
)

// answerPatience is how long an answer may take, which may be a GiB.
const answerPatience = 30 * time.Second

// visitor is the load: connections that each ask, wait for the whole answer, and
// ask again.
func visitor(dir string) ([]string, func(command) (answer, error), error) {
	roots, err := trust(proxyCA(dir))
	if err != nil {
		return nil, nil, err
	}
	var visits []*visit
	return nil, func(c command) (answer, error) {
		switch c.Do {
		case "visit":
			for range c.Conns {
				v, err := newVisit(c, roots)
				if err != nil {
					return answer{}, err
				}
				visits = append(visits, v)
			}
			return answer{}, nil
		case "get":
			return getAll(visits, c.Bytes, c.For)
		}
		return answer{}, errors.New("unknown command: " + c.Do)
	}, nil
}

// getAll has every connection ask until the time is over, at least once, and
// returns when all have their last answer.
func getAll(visits []*visit, bytes int64, forTime time.Duration) (answer, error) {
	start := time.Now()
	var total atomic.Int64
	errs := make([]error, len(visits))
	var wg sync.WaitGroup
	for i, v := range visits {
		wg.Go(func() {
			n := int64(0)
			v.conn.SetDeadline(start.Add(forTime + answerPatience))
			for {
				if errs[i] = v.get(bytes); errs[i] != nil {
					break
				}
				n++
				if time.Since(start) >= forTime {
					break
				}
			}
			total.Add(n)
		})
	}
	wg.Wait()
	return answer{Requests: total.Load(), Took: time.Since(start)}, errors.Join(errs...)
}

// A visit is one connection to the origin.
type visit struct {
	conn    net.Conn
	prefix  string // of the target: "" or the origin's URL
	host    string
	buf     []byte
	request []byte // the last one
	field   []byte // which its answer must have
	length  int64  // of the answer's body
}

func newVisit(c command, roots *x509.CertPool) (*visit, error) {
	conn, err := net.Dial("tcp", c.Proxy)
	if err != nil {
		return nil, err
	}
	v := &visit{conn: conn, host: c.Origin, buf: make([]byte, 16<<10)}
	conn.SetDeadline(time.Now().Add(answerPatience))
	if c.Way == forwarded {
		v.prefix = "http://" + c.Origin
		return v, nil
	}
	if err := v.connect(); err != nil {
		return nil, err
	}
	if c.Way != opened {
		return v, nil
	}
	// Only the proxy's own authority is trusted: TLS that is not opened fails.
	t := tls.Client(conn, &tls.Config{ServerName: originName, RootCAs: roots, NextProtos: []string{"http/1.1"}})
	if err := t.Handshake(); err != nil {
		return nil, err
	}
	if p := t.ConnectionState().NegotiatedProtocol; p != "http/1.1" {
		return nil, fmt.Errorf("the protocol is %q", p)
	}
	v.conn = t
	return v, nil
}

func (v *visit) connect() error {
	if _, err := fmt.Fprintf(v.conn, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n", v.host, v.host); err != nil {
		return err
	}
	head, rest, err := readHead(v.conn, v.buf)
	if err == nil && (!bytes.HasPrefix(head, []byte("HTTP/1.1 200 ")) || len(rest) > 0) {
		err = fmt.Errorf("answer to CONNECT: %q", v.buf[:len(head)+len(rest)])
	}
	return err
}

// get asks for n bytes, as a browser would, and reads the answer.
func (v *visit) get(n int64) error {
	if v.request == nil || v.length != n {
		v.length = n
		v.field = fmt.Appendf(nil, "\r\nContent-Length: %d\r\n", n)
		v.request = fmt.Appendf(nil, "GET %s/%d HTTP/1.1\r\nHost: %s\r\n"+
			"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n"+
			"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n"+
			"Accept-Language: en-GB,en;q=0.5\r\nAccept-Encoding: gzip, deflate, br, zstd\r\n"+
			"Cookie: session=5ad0c0a7f3b84e0b9d3c; theme=dark; consent=1\r\nDNT: 1\r\n"+
			"Cache-Control: no-cache\r\n\r\n", v.prefix, n, v.host)
		if n > int64(cap(v.buf)) {
			v.buf = make([]byte, 256<<10)
		}
	}
	if _, err := v.conn.Write(v.request); err != nil {
		return err
	}
	head, rest, err := readHead(v.conn, v.buf)
	if err != nil {
		return err
	}
	if !bytes.HasPrefix(head, []byte("HTTP/1.1 200 OK\r\n")) || !bytes.Contains(head, v.field) {
		return fmt.Errorf("answer: %q", head)
	}
	got := int64(len(rest))
	for got < n {
		m, err := v.conn.Read(v.buf)
		got += int64(m)
		if err == io.EOF && got < n {
			err = io.ErrUnexpectedEOF
		}
		if err != nil && got < n {
			return err
		}
	}
	if got > n {
		return fmt.Errorf("%d bytes behind the answer", got-n)
	}
	return nil
}
