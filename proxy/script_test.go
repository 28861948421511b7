package proxy_test

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/proxyglass/proxyglass/proxy"
	"github.com/proxyglass/proxyglass/record"
)

// A script is a conversation over a line: each step is done by one side, and
// what it says must come out at the other side before the next step.
type script []step

type step struct {
	from string // "client" or "server"
	do   string // "say", "fin" or "rst"
	text string
}

func up(text string) step   { return step{"client", "say", text} }
func down(text string) step { return step{"server", "say", text} }

var (
	upFIN   = step{"client", "fin", ""}
	downFIN = step{"server", "fin", ""}
	upRST   = step{"client", "rst", ""}
	downRST = step{"server", "rst", ""}
)

// play plays s and ends the connection where s has not. It checks that what
// records count adds up to what was said.
func (s script) play(t testing.TB, p *proxy.Pipeline) []*record.Record {
	t.Helper()
	l := newLine(t, p, proxy.Session{Host: "origin.example:80"})
	var said [2]int64
	var over [2]bool
	for _, st := range append(append(script{}, s...), upFIN, downFIN) {
		from, to, i := l.client, l.server, 0
		if st.from == "server" {
			from, to, i = l.server, l.client, 1
		}
		switch {
		case over[i]:
		case st.do == "say":
			pass(t, from, to, st.text)
			said[i] += int64(len(st.text))
		case st.do == "fin":
			over[i] = true
			from.closeWrite()
			to.expectEnd()
		default:
			over = [2]bool{true, true}
			from.reset()
			_, err := io.ReadAll(to)
			assert.Error(t, err, "a reset passes on as one")
			to.Close()
		}
	}
	records := l.records()
	var in, out int64
	for _, r := range records {
		in += r.InputBytes
		out += r.OutputBytes
		assert.NotZero(t, r.Time)
		assert.Positive(t, r.Duration)
		if r.Timings != nil {
			assert.LessOrEqual(t, r.Timings.RequestEnd, r.Duration)
			assert.LessOrEqual(t, r.Timings.ResponseFirstByte, r.Timings.ResponseEnd)
			assert.LessOrEqual(t, r.Timings.ResponseEnd, r.Duration)
		}
	}
	assert.Equal(t, said[0], in, "inputBytes of all records")
	assert.Equal(t, said[1], out, "outputBytes of all records")
	return records
}

// pass has from say text, which to must get. It may be more than sockets hold.
func pass(t testing.TB, from, to *peer, text string) {
	t.Helper()
	sent := make(chan error, 1)
	go func() {
		_, err := io.WriteString(from, text)
		sent <- err
	}()
	got := make([]byte, len(text))
	n, err := io.ReadFull(to, got)
	if len(text) > 1000 {
		require.True(t, text == string(got), "%d of %d bytes, then %v", n, len(text), err)
	}
	require.Equal(t, text, string(got[:n]), "read ended by %v", err)
	require.NoError(t, <-sent)
}

// brief says in a line what a record of HTTP tells:
//
//	GET /path 200 <request body >response body (trailers) [anomalies] !err
func brief(r *record.Record) string {
	if r.HTTP == nil {
		return r.Proto + flaws(r)
	}
	h := r.HTTP
	s := fmt.Sprintf("%s %s %d", h.Method, h.URI, h.StatusCode)
	for _, m := range []struct {
		sign string
		*record.Message
	}{{" <", h.Request}, {" >", h.Response}} {
		if m.Message == nil {
			continue
		}
		if len(m.Body) > 0 {
			s += m.sign + string(m.Body)
		}
		if m.Truncated {
			s += fmt.Sprintf("...%d", m.ContentLength)
		}
		for _, f := range m.Trailer {
			s += fmt.Sprintf(" (%s: %s)", f.Name, f.Value)
		}
	}
	return s + flaws(r)
}

func flaws(r *record.Record) (s string) {
	if len(r.Anomalies) > 0 {
		s = " [" + strings.Join(r.Anomalies, " ") + "]"
	}
	if r.Err != "" {
		s += " !" + r.Err
	}
	return s
}

func briefs(records []*record.Record) []string {
	list := []string{}
	for _, r := range records {
		list = append(list, brief(r))
	}
	return list
}

func itoa(n int) string { return strconv.Itoa(n) }
func hex(n int) string  { return strconv.FormatInt(int64(n), 16) }
