package proxy_test

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/proxyglass/proxyglass/proxy"
	"github.com/proxyglass/proxyglass/sniff"
)

func TestFrontRefuses(t *testing.T) {
	for _, tt := range []struct{ name, sent, status, text string }{
		{"origin-form", get, "400 Bad Request", `this is a proxy: it takes CONNECT and http:// targets, not "/"`},
		{"https in the clear", "GET https://a/ HTTP/1.1\r\n\r\n", "400 Bad Request", "https://a/"},
		{"no host", "GET http:///x HTTP/1.1\r\n\r\n", "400 Bad Request", "http:///x"},
		{"bad port", "GET http://a:99999/ HTTP/1.1\r\n\r\n", "400 Bad Request", "99999"},
		{"CONNECT without a port", "CONNECT a HTTP/1.1\r\n\r\n", "400 Bad Request", `CONNECT needs host:port, not "a"`},
		{"CONNECT to a path", "CONNECT /a:1 HTTP/1.1\r\n\r\n", "400 Bad Request", "CONNECT needs host:port"},
		{"CONNECT to port 0", "CONNECT a:0 HTTP/1.1\r\n\r\n", "400 Bad Request", "CONNECT needs host:port"},
		{"TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "400 Bad Request", "not an HTTP/1 request"},
		{"HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "400 Bad Request", ""},
		{"a bad length", "GET http://a/ HTTP/1.1\r\nContent-Length: -1\r\n\r\n", "400 Bad Request", `Content-Length "-1"`},
		{"a coding without end", "POST http://a/ HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n", "400 Bad Request", "Transfer-Encoding"},
		{"too long", "GET http://a/ HTTP/1.1\r\nX: " + strings.Repeat("x", 600<<10), "431 Request Header Fields Too Large", "request head over 524288 bytes"},
		{"too long a target", "GET http://a/" + strings.Repeat("x", 600<<10), "431 Request Header Fields Too Large", "over"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRelay(t, &proxy.Server{})
			c := r.dial()
			go io.WriteString(c, tt.sent)
			answer, err := io.ReadAll(c)
			assert.NoError(t, err)
			head, body, _ := strings.Cut(string(answer), "\r\n\r\n")
			assert.True(t, strings.HasPrefix(head, "HTTP/1.1 "+tt.status+"\r\n"), head)
			assert.Contains(t, head, "\r\nConnection: close")
			assert.Contains(t, head, "\r\nContent-Length: "+itoa(len(body)))
			assert.Contains(t, body, "proxyglass: ")
			assert.Contains(t, body, tt.text)
			assert.Equal(t, 1, strings.Count(body, "\n"), "one line")
			assert.Empty(t, r.close())
		})
	}
}

// A request that is followed by many others, all of them in one write, has its
// answer: the connection is not reset under it.
func TestFrontAnswerIsRead(t *testing.T) {
	r := newRelay(t, &proxy.Server{})
	c := r.dial()
	c.send("GET / HTTP/1.1\r\n\r\n" + strings.Repeat("x", 200<<10))
	c.expect("HTTP/1.1 400 Bad Request\r\n")
}

func TestFrontTimesOut(t *testing.T) {
	front := func(t *testing.T, send string) (answer string, after time.Duration, err error) {
		synctest.Test(t, func(t *testing.T) {
			ours, theirs := net.Pipe()
			defer theirs.Close()
			start := time.Now()
			go func() {
				for _, b := range []byte(send) {
					time.Sleep(time.Second)
					theirs.Write([]byte{b})
				}
			}()
			said := make(chan string)
			go func() {
				b, _ := io.ReadAll(theirs)
				said <- string(b)
			}()
			_, err = (&proxy.HTTP{}).Accept(t.Context(), sniff.NewConn(ours))
			after = time.Since(start)
			ours.Close()
			answer = <-said
			time.Sleep(time.Hour) // until the sender is through
		})
		return answer, after, err
	}
	t.Run("silent", func(t *testing.T) {
		answer, after, err := front(t, "")
		assert.Error(t, err)
		assert.Empty(t, answer)
		assert.Equal(t, 2*time.Minute, after)
	})
	t.Run("empty lines do not keep it", func(t *testing.T) {
		_, after, err := front(t, strings.Repeat("\r\n", 100))
		assert.Error(t, err)
		assert.Equal(t, 2*time.Minute, after)
	})
	t.Run("slow head", func(t *testing.T) {
		answer, after, err := front(t, "GET http://a.example/ HTTP/1.1\r\n")
		assert.ErrorContains(t, err, "408")
		assert.True(t, strings.HasPrefix(answer, "HTTP/1.1 408 Request Timeout\r\n"), answer)
		assert.GreaterOrEqual(t, after, 11*time.Second)
		assert.Less(t, after, 14*time.Second)
	})
}

func TestFrontEndsWithItsContext(t *testing.T) {
	ours, theirs := net.Pipe()
	defer theirs.Close()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := (&proxy.HTTP{}).Accept(ctx, sniff.NewConn(ours))
		done <- err
	}()
	cancel()
	select {
	case err := <-done:
		assert.Error(t, err)
	case <-time.After(patience):
		require.Fail(t, "Accept does not return")
	}
}

func TestConnect(t *testing.T) {
	r, o := newRelay(t, &proxy.Server{}), newOrigin(t)
	c := r.dial()
	c.send("\r\nCONNECT " + o.addr() + " HTTP/1.1\r\nHost: x\r\nProxy-Authorization: Basic YTpi\r\nUser-Agent: u\r\n\r\n\x00early")
	s := o.accept()
	c.expect("HTTP/1.1 200 Connection established\r\nProxy-Agent: proxyglass\r\n\r\n")
	s.expect("\x00early")
	s.send("bytes")
	c.expect("bytes")
	c.closeWrite()
	s.expectEnd()
	s.closeWrite()
	c.expectEnd()
	rec := only(t, r.wait(1))
	assert.Equal(t, "CONNECT "+o.addr()+" 200", brief(rec))
	assert.Equal(t, []string{"x", "HTTP/1.1", ""}, []string{rec.HTTP.Host, rec.HTTP.Proto, rec.HTTP.Scheme})
	assert.Equal(t, "http", rec.Proto)
	assert.Equal(t, o.addr(), rec.Host)
	assert.Equal(t, o.addr(), rec.Dst)
	assert.EqualValues(t, 6, rec.InputBytes)
	assert.EqualValues(t, 5, rec.OutputBytes)
	assert.Len(t, rec.HTTP.Request.Header, 1)
	assert.Equal(t, "proxyglass", rec.HTTP.Response.Header.Get("Proxy-Agent"))
	assert.Positive(t, rec.Timings.Dial)
}

func TestDialFails(t *testing.T) {
	for _, tt := range []struct {
		name, status string
		err          error
		timeout      time.Duration
	}{
		{"refused", "502 Bad Gateway", errors.New("no way there"), 0},
		{"timed out", "504 Gateway Timeout", &net.OpError{Op: "dial", Err: context.DeadlineExceeded}, 0},
		{"never returns", "504 Gateway Timeout", nil, time.Millisecond},
	} {
		for _, request := range []string{"CONNECT a.example:1 HTTP/1.1\r\nHost: a\r\n\r\n", "POST http://a.example:1/ HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc"} {
			t.Run(tt.name+"/"+request[:4], func(t *testing.T) {
				r := newRelay(t, &proxy.Server{DialTimeout: tt.timeout, Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
					assert.Equal(t, []string{"tcp", "a.example:1"}, []string{network, address})
					if tt.err != nil {
						return nil, tt.err
					}
					<-ctx.Done()
					return nil, ctx.Err()
				}})
				c := r.dial()
				c.send(request)
				answer, err := io.ReadAll(c)
				assert.NoError(t, err)
				assert.True(t, strings.HasPrefix(string(answer), "HTTP/1.1 "+tt.status+"\r\n"), string(answer))
				c.Close()
				rec := only(t, r.wait(1))
				assert.Equal(t, tt.status[:3], itoa(rec.HTTP.StatusCode))
				assert.NotEmpty(t, rec.Err)
				assert.Equal(t, "a.example:1", rec.Host)
			})
		}
	}
}
