package proxy_test

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/proxyglass/proxyglass/proxy"
)

// Pipelined requests of all kinds to three origins: each answer is that of its
// request, and so is each record.
func TestForwardPipelinedAtRandom(t *testing.T) {
	for seed := range uint64(4) {
		rnd := rand.New(rand.NewPCG(seed, 9))
		r := newRelay(t, &proxy.Server{})
		var addrs []string
		for range 3 {
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
				b, _ := io.ReadAll(q.Body)
				if q.Header.Get("Proxy-Authorization") != "" {
					panic("leak")
				}
				fmt.Fprintf(w, "%s %s %d", q.Host, q.URL.Path, len(b))
				if len(b)%2 == 1 {
					w.(http.Flusher).Flush()
					io.WriteString(w, strings.Repeat("x", 100000))
				}
			}))
			defer s.Close()
			addrs = append(addrs, s.Listener.Addr().String())
		}
		var out strings.Builder
		var want []string
		for i := range 100 {
			a := addrs[rnd.IntN(3)]
			n := rnd.IntN(3000)
			cred := "Proxy-Authorization: Basic YW5uOnNlY3JldA==\r\n"
			head := fmt.Sprintf(" http://%s/%d HTTP/1.1\r\nHost: %s\r\n%s", a, i, a, cred)
			switch rnd.IntN(4) {
			case 0:
				out.WriteString("GET" + head + "\r\n")
				n = 0
			case 1:
				fmt.Fprintf(&out, "POST%sContent-Length: %d\r\n\r\n%s", head, n, strings.Repeat("a", n))
			case 2:
				fmt.Fprintf(&out, "POST%sTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", head, n+1, strings.Repeat("a", n+1))
				n++
			case 3:
				fmt.Fprintf(&out, "POST%sExpect: 100-continue\r\nContent-Length: %d\r\n\r\n%s", head, n, strings.Repeat("a", n))
			}
			want = append(want, fmt.Sprintf("%s /%d %d", a, i, n))
		}
		c := r.dial()
		text := out.String()
		go func() {
			for len(text) > 0 {
				n := min(len(text), 1+rnd.IntN(1+rnd.IntN(20000)))
				if _, err := io.WriteString(c, text[:n]); err != nil {
					return
				}
				text = text[n:]
			}
		}()
		br := bufio.NewReader(c)
		for _, w := range want {
			res, err := http.ReadResponse(br, nil)
			for err == nil && res.StatusCode == 100 {
				res, err = http.ReadResponse(br, nil)
			}
			require.NoError(t, err, w)
			b, err := io.ReadAll(res.Body)
			require.NoError(t, err)
			require.True(t, strings.HasPrefix(string(b), w), "%.80q for %q", b, w)
		}
		for i, rec := range r.wait(100) {
			require.EqualValues(t, i+1, rec.Seq)
			require.Empty(t, rec.Err)
			require.True(t, strings.HasSuffix(rec.HTTP.URI, fmt.Sprintf("/%d", i)), "%d %s", i, rec.HTTP.URI)
			require.True(t, strings.HasPrefix(string(rec.HTTP.Response.Body), want[i]))
		}
		r.close()
	}
}
