package sniff

import (
	"bufio"
	"compress/gzip"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A corpusRow is one flow of a truth set of real traffic: first flights and what
// independent tools say about them.
type corpusRow struct {
	ID, Network, First, Client, Server string
	Flags, Tags                        []string
	Oracle                             struct {
		Proto                     string
		Sure, Partial             bool
		SNI, JA3, JA4             string
		ALPN                      []string
		Offered, Selected, Cipher string
		ALPNSelected              string `json:"alpn_selected"`
		ECH                       bool
	}
	client, server []byte
}

// corpus reads the TCP rows of the truth set, which is no part of this module.
func corpus(t *testing.T) []corpusRow {
	dir := os.Getenv("PROXYGLASS_SHARED")
	if dir == "" {
		t.Skip("PROXYGLASS_SHARED does not name the folder of the truth set: not checked against real traffic")
	}
	f, err := os.Open(filepath.Join(dir, "corpus", "sniff-open.jsonl.gz"))
	require.NoError(t, err)
	defer f.Close()
	z, err := gzip.NewReader(f)
	require.NoError(t, err)
	var rows []corpusRow
	lines := bufio.NewScanner(z)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var r corpusRow
		require.NoError(t, json.Unmarshal(lines.Bytes(), &r))
		if r.Network != "tcp" {
			continue
		}
		r.client, err = hex.DecodeString(r.Client)
		require.NoError(t, err)
		r.server, err = hex.DecodeString(r.Server)
		require.NoError(t, err)
		rows = append(rows, r)
	}
	require.NoError(t, lines.Err())
	require.NotEmpty(t, rows)
	return rows
}

// want is the row's label in this package's terms. Unknown: a protocol that has no detector here.
func (r *corpusRow) want() Protocol {
	switch p := r.Oracle.Proto; p {
	case "websocket":
		return HTTP1
	case "http2":
		return HTTP2
	case "http", "tls", "ssh", "smtp", "imap", "pop3", "ftp", "mysql", "vnc":
		return Protocol(p)
	}
	return Unknown
}

// detect is what the two sides' heads come to: the banner where the server spoke first, then the client's.
func (r *corpusRow) detect() Protocol {
	p := Unknown
	if r.First == "server" {
		p, _ = Detect(BannerDetectors(), r.server)
	}
	if p == Unknown {
		p, _ = Detect(Detectors(), r.client)
	}
	return p
}

func TestCorpusDetect(t *testing.T) {
	type count struct{ rows, right, missed, wrong int }
	counts := map[Protocol]*count{}
	for _, r := range corpus(t) {
		for _, p := range []Protocol{r.want(), r.detect()} {
			if counts[p] == nil {
				counts[p] = &count{}
			}
		}
		if !r.Oracle.Sure {
			continue
		}
		want, got := r.want(), r.detect()
		counts[want].rows++
		switch {
		case got == want:
			counts[want].right++
			continue
		case got == Unknown:
			counts[want].missed++
		default:
			counts[got].wrong++
		}
		t.Logf("%s: want %q (%s), got %q; flags %v, tags %v, client %.60q, server %.60q", r.ID, want, r.Oracle.Proto, got, r.Flags, r.Tags, r.client, r.server)
	}
	var table strings.Builder
	fmt.Fprintf(&table, "%-10s %6s %6s %6s %6s\n", "protocol", "rows", "right", "missed", "wrong")
	for _, p := range slices.Sorted(maps.Keys(counts)) {
		c := counts[p]
		fmt.Fprintf(&table, "%-10q %6d %6d %6d %6d\n", p, c.rows, c.right, c.missed, c.wrong)
	}
	t.Logf("sure rows over TCP:\n%s", &table)
	for _, p := range []Protocol{TLS, HTTP1, HTTP2, SSH} {
		assert.Zero(t, counts[p].wrong, "%q said of something else", p)
		assert.GreaterOrEqual(t, counts[p].right*100, counts[p].rows*99, "%q missed", p)
	}
}

func TestCorpusVerdictsAreFinal(t *testing.T) {
	for _, r := range corpus(t) {
		checkFinal(t, Detectors(), r.client[:min(len(r.client), 400)])
		checkFinal(t, BannerDetectors(), r.server[:min(len(r.server), 400)])
	}
}

func TestCorpusHellos(t *testing.T) {
	scores := map[string]*[2]int{}
	score := func(id, field string, want, got string) {
		if scores[field] == nil {
			scores[field] = &[2]int{}
		}
		scores[field][1]++
		if want == got {
			scores[field][0]++
		} else {
			t.Logf("%s: %s: want %q, got %q", id, field, want, got)
		}
	}
	for _, r := range corpus(t) {
		if r.Oracle.Proto != "tls" {
			continue
		}
		h, err := ParseClientHello(r.client)
		if err != nil {
			if !errors.Is(err, ErrIncomplete) || len(r.Flags) == 0 || slices.Contains(r.Flags, "oneway") {
				t.Logf("%s: %v (sure %v, partial %v, %v %v) %.24x", r.ID, err, r.Oracle.Sure, r.Oracle.Partial, r.Flags, r.Tags, r.client)
			}
			continue
		}
		o := r.Oracle
		if o.JA3 != "" {
			_, ja3 := h.JA3()
			score(r.ID, "ja3", o.JA3, ja3)
			score(r.ID, "sni", o.SNI, h.ServerName)
			score(r.ID, "alpn", strings.Join(o.ALPN, ","), strings.Join(h.ALPN, ","))
			score(r.ID, "malformed", "false", fmt.Sprint(h.Malformed))
		}
		if o.JA4 != "" {
			score(r.ID, "ja4", o.JA4, h.JA4(OverTCP))
		}
		if o.Offered != "" {
			score(r.ID, "offered", o.Offered, fmt.Sprintf("%04x", h.MaxVersion()))
		}
		score(r.ID, "ech", fmt.Sprint(o.ECH), fmt.Sprint(h.HasECH()))
		if o.Cipher == "" {
			continue
		}
		s, err := ParseServerHello(r.server)
		if err != nil {
			score(r.ID, "serverhello", "<nil>", err.Error())
			continue
		}
		score(r.ID, "serverhello", "<nil>", "<nil>")
		score(r.ID, "cipher", o.Cipher, fmt.Sprintf("%04x", s.CipherSuite))
		score(r.ID, "selected", o.Selected, fmt.Sprintf("%04x", s.Version))
		score(r.ID, "alpn_selected", o.ALPNSelected, s.ALPN)
		score(r.ID, "hrr", fmt.Sprint(slices.Contains(r.Tags, "hrr")), fmt.Sprint(s.HelloRetryRequest))
	}
	for _, f := range slices.Sorted(maps.Keys(scores)) {
		right, all := scores[f][0], scores[f][1]
		t.Logf("%-14s %4d of %4d", f, right, all)
		assert.GreaterOrEqual(t, right*100, all*99, f)
	}
}
