package bypass

import (
	"context"
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

func TestMatch(t *testing.T) {
	long := strings.Repeat("a.", 120) + "example.com" // 251 bytes
	for _, tt := range []struct {
		rules string // with spaces between
		t     Target
		rule  string // the one that matches; empty: none
	}{
		// Names.
		{"example.com", Target{Host: "example.com"}, "example.com"},
		{"example.com", Target{Host: "www.example.com"}, ""},
		{"example.com", Target{Host: "com"}, ""},
		{".example.com", Target{Host: "example.com"}, ".example.com"},
		{".example.com", Target{Host: "a.b.example.com"}, ".example.com"},
		{".example.com", Target{Host: "notexample.com"}, ""},
		{".example.com", Target{Host: "example.com.evil.test"}, ""},
		{"*.example.com", Target{Host: "example.com"}, ""},
		{"*.example.com", Target{Host: "www.example.com"}, "*.example.com"},
		{"*.example.com", Target{Host: "a.b.example.com"}, "*.example.com"},
		{"localhost .com", Target{Host: "localhost"}, "localhost"},
		{"localhost .com", Target{Host: "x.com"}, ".com"},
		{"example.com *.example.com", Target{Host: "example.com"}, ".example.com"},
		{".com a.b.com", Target{Host: "a.b.com"}, "a.b.com"},
		{"_dmarc.example.com", Target{Host: "_dmarc.example.com"}, "_dmarc.example.com"},
		{"_dmarc.example.com", Target{Host: "xdmarc.example.com"}, ""},
		{".example.com", Target{Host: long}, ".example.com"},
		{long, Target{Host: long}, long},
		{"*." + long[2:], Target{Host: long}, "*." + long[2:]},

		// Normal form, on either side.
		{"EXAMPLE.com.", Target{Host: "example.COM"}, "example.com"},
		{".Example.Com", Target{Host: "WWW.EXAMPLE.COM."}, ".example.com"},
		{"example.com", Target{Host: "example.com:8443"}, "example.com"},
		{"xn--BCHER-kva.example", Target{SNI: "XN--bcher-KVA.example"}, "xn--bcher-kva.example"},

		// Internationalised names.
		{".bücher.example", Target{SNI: "www.xn--bcher-kva.example"}, ".xn--bcher-kva.example"},
		{"xn--bcher-kva.example", Target{Host: "BÜCHER.example."}, "xn--bcher-kva.example"},
		{"bu\u0308cher.example", Target{Host: "bücher.example:443"}, "xn--bcher-kva.example"},
		{"faß.example", Target{Host: "xn--fa-hia.example"}, "xn--fa-hia.example"},
		{"faß.example", Target{Host: "fass.example"}, ""},
		{"例え。テスト", Target{Host: "xn--r8jz45g.xn--zckzah"}, "xn--r8jz45g.xn--zckzah"},
		{"_x.bücher.example", Target{Host: "_x.bücher.example"}, "_x.xn--bcher-kva.example"},
		{"w*.bücher.example", Target{Host: "www.Bücher.example"}, "w*.xn--bcher-kva.example"},
		{"127.0.0.0/8", Target{Host: "１２７．0．0．1"}, "127.0.0.0/8"},
		{".example.com", Target{Host: "www。example。com。"}, ".example.com"},
		{"bücher.example:443", Target{Host: "bücher.example", Port: 443}, "xn--bcher-kva.example:443"},

		// Any of the names.
		{".example.com", Target{Addr: addr("127.0.0.1"), Host: "127.0.0.1", SNI: "www.example.com"}, ".example.com"},
		{".example.com", Target{Host: "proxy.test", Authority: "www.example.com:443"}, ".example.com"},
		{".example.com", Target{Host: "a.test", SNI: "b.test", Authority: "c.test"}, ""},
		{"10.0.0.0/8", Target{Addr: addr("10.1.2.3"), Host: "www.example.com", SNI: "www.example.com"}, "10.0.0.0/8"},
		{"10.0.0.0/8", Target{Host: "10.1.2.3", SNI: "www.example.com"}, "10.0.0.0/8"},
		{"10.0.0.0/8", Target{Host: "www.example.com", SNI: "10.1.2.3"}, "10.0.0.0/8"},
		{"10.0.0.0/8", Target{Host: "www.example.com", Authority: "10.1.2.3:80"}, "10.0.0.0/8"},

		// Addresses.
		{"1.2.3.4", Target{Host: "1.2.3.4"}, "1.2.3.4"},
		{"1.2.3.4", Target{Host: "1.2.3.4."}, "1.2.3.4"},
		{"1.2.3.4", Target{Host: "1.2.3.5"}, ""},
		{"1.2.3.4", Target{Host: "1.2.3.4.example.com"}, ""},
		{"1.2.3.4", Target{Host: "[::ffff:1.2.3.4]:443"}, "1.2.3.4"},
		{"::ffff:1.2.3.4", Target{Addr: addr("1.2.3.4")}, "1.2.3.4"},
		{"::ffff:10.0.0.0/104", Target{Addr: addr("::ffff:10.9.9.9")}, "10.0.0.0/8"},
		{"10.1.2.3/8", Target{Addr: addr("10.0.0.0")}, "10.0.0.0/8"},
		{"10.0.0.0/8", Target{Addr: addr("11.0.0.0")}, ""},
		{"0.0.0.0/0", Target{Addr: addr("255.255.255.255")}, "0.0.0.0/0"},
		{"0.0.0.0/0", Target{Addr: addr("::1")}, ""},
		{"::/0", Target{Addr: addr("1.2.3.4")}, ""},
		{"::/0", Target{Addr: addr("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")}, "::/0"},
		{"172.20.0.1-172.30.0.255", Target{Addr: addr("172.20.0.1")}, "172.20.0.1-172.30.0.255"},
		{"172.20.0.1-172.30.0.255", Target{Addr: addr("172.30.0.255")}, "172.20.0.1-172.30.0.255"},
		{"172.20.0.1-172.30.0.255", Target{Addr: addr("172.20.0.0")}, ""},
		{"172.20.0.1-172.30.0.255", Target{Addr: addr("172.30.1.0")}, ""},
		{"fd00::1-fd00::ff", Target{Host: "fd00::80"}, "fd00::1-fd00::ff"},
		{"fd00::/8", Target{Host: "[fd12::1]:443"}, "fd00::/8"},
		{"fe80::1", Target{Host: "fe80::1%eth0"}, "fe80::1"},
		{"FE80::/10", Target{Addr: addr("fe80::1%eth0")}, "fe80::/10"},
		{"10.0.0.0/8 10.1.0.0/16 10.255.0.0-11.0.0.255", Target{Addr: addr("10.1.2.3")}, "10.0.0.0/8"},
		{"10.0.0.0/8 10.1.0.0/16 10.255.0.0-11.0.0.255", Target{Addr: addr("11.0.0.255")}, "10.255.0.0-11.0.0.255"},
		{"10.0.0.0/8 10.1.0.0/16 10.255.0.0-11.0.0.255", Target{Addr: addr("11.0.1.0")}, ""},

		// Other spellings of an address.
		{"127.0.0.0/8", Target{Host: "127.1"}, "127.0.0.0/8"},
		{"127.0.0.0/8", Target{Host: "2130706433"}, "127.0.0.0/8"},
		{"127.0.0.0/8", Target{Host: "0X7f000001"}, "127.0.0.0/8"},
		{"127.0.0.0/8", Target{Host: "0177.0.0.1."}, "127.0.0.0/8"},
		{"127.0.0.0/8", Target{Host: "127.0x1.0:443"}, "127.0.0.0/8"},
		{"127.0.0.0/8", Target{Host: "127.0.0.256"}, ""},
		{"0.0.0.0/0", Target{Host: "4294967296"}, ""},
		{"0.0.0.0/0", Target{Host: "99999999999999999999999999"}, ""},
		{"0.0.0.0/0", Target{Host: "1.2.3.4.5"}, ""},
		{"0.0.0.0/0", Target{Host: "256.1"}, ""},
		{"0.0.0.0/0", Target{Host: "08.1.1.1"}, ""},
		{"0.0.0.0/0", Target{Host: "1..2"}, ""},

		// Ports.
		{"example.com:443", Target{Host: "example.com", Port: 443}, "example.com:443"},
		{"example.com:443", Target{Host: "example.com", Port: 444}, ""},
		{"example.com:443", Target{Host: "example.com:443", Port: 80}, ""},
		{".example.com:8000-9000", Target{Host: "www.example.com", Port: 8000}, ".example.com:8000-9000"},
		{".example.com:8000-9000", Target{Host: "example.com", Port: 9000}, ".example.com:8000-9000"},
		{".example.com:8000-9000", Target{Host: "example.com", Port: 9001}, ""},
		{"*.example.com:1-79 *.example.com:81-65535", Target{Host: "a.example.com", Port: 80}, ""},
		{"*.example.com:1-79 *.example.com:81-65535", Target{Host: "a.example.com", Port: 81}, "*.example.com:81-65535"},
		{"*.example.com:1-79 *.example.com:81-65535", Target{Host: "example.com", Port: 81}, ""},
		{"example.com example.com:443", Target{Host: "example.com", Port: 80}, "example.com"},
		{".com:80 example.com:443", Target{Host: "example.com", Port: 80}, ".com:80"},
		{"1.2.3.4:443", Target{Addr: addr("1.2.3.4"), Port: 443}, "1.2.3.4:443"},
		{"1.2.3.4:443", Target{Addr: addr("1.2.3.4"), Port: 80}, ""},
		{"[::1]:443-444", Target{Addr: addr("::1"), Port: 444}, "[::1]:443-444"},
		{"[::1]", Target{Host: "::1", Port: 5}, "::1"},
		{"[::ffff:1.2.3.4]:443", Target{Host: "1.2.3.4", Port: 443}, "1.2.3.4:443"},
		{"example.com:0-65535", Target{Host: "example.com"}, "example.com"},

		// Wildcards elsewhere.
		{"*", Target{Host: "example.com"}, "*"},
		{"*", Target{Addr: addr("::1")}, "*"},
		{"*", Target{}, "*"},
		{"*:443", Target{Host: "a.test", Port: 443}, "*:443"},
		{"*:443", Target{Host: "a.test", Port: 80}, ""},
		{"w*.example.com", Target{Host: "www.example.com"}, "w*.example.com"},
		{"w*.example.com", Target{Host: "w.a.example.com"}, "w*.example.com"},
		{"w*.example.com", Target{Host: "a.example.com"}, ""},
		{"w*.example.com", Target{Host: "example.com"}, ""},
		{"w*.example.com:80", Target{Host: "WWW.example.com.", Port: 80}, "w*.example.com:80"},
		{"w*.example.com example.com", Target{Host: "example.com"}, "example.com"},
		{"*.*.example.com", Target{Host: "a.example.com"}, ""},
		{"*.*.example.com", Target{Host: "a.b.example.com"}, "*.*.example.com"},
		{"*example.com", Target{Host: "notexample.com"}, "*example.com"},
		{"*example.com", Target{Host: "example.com"}, "*example.com"},
		{"*.example.*", Target{Host: "www.example.org"}, "*.example.*"},
		{"*.example.*", Target{Host: "www.example"}, ""},
		{"www.*", Target{Host: "www.example.org"}, "www.*"},
		{"*ads*", Target{Host: "my.adserver.test"}, "*ads*"},
		{"*a*b*c", Target{Host: "aababcabd.test.abc"}, "*a*b*c"},
		{"192.168.*", Target{Addr: addr("192.168.3.4")}, "192.168.*"},
		{"192.168.*", Target{Host: "0xc0a80304"}, "192.168.*"},
		{"192.168.*", Target{Addr: addr("192.169.3.4")}, ""},

		{"", Target{Host: "example.com"}, ""},
		{"", Target{}, ""},
	} {
		list, err := Parse(strings.Fields(tt.rules)...)
		require.NoError(t, err, tt.rules)
		ok, err := list.Match(context.Background(), tt.t)
		assert.NoError(t, err, "%s: %+v", tt.rules, tt.t)
		assert.Equal(t, tt.rule != "", ok, "%s: %+v", tt.rules, tt.t)
		rule, explained := list.Explain(tt.t)
		assert.Equal(t, tt.rule, rule, "%s: %+v", tt.rules, tt.t)
		assert.Equal(t, ok, explained)
	}
}

func TestMatchUnknown(t *testing.T) {
	list := Must(".example.com", "port.test:443", "1.2.3.4:443", "p*.test:80")
	for name, tt := range map[string]Target{
		"no name":             {Network: "tcp", Port: 443},
		"no name but a port":  {Host: ":443"},
		"no port, name":       {Host: "port.test"},
		"no port, address":    {Addr: addr("1.2.3.4")},
		"no port, pattern":    {Host: "pass.test"},
		"root":                {Host: "."},
		"empty last label":    {Host: "www.example.com.."},
		"NUL":                 {SNI: "www.example.com\x00.test", Port: 1},
		"space":               {Host: "www.example.com ", Port: 1},
		"userinfo":            {Host: "user@www.example.com", Port: 1},
		"bad UTF-8":           {SNI: "\xff.example.com", Port: 1},
		"too long":            {SNI: strings.Repeat("a.", 130) + "example.com", Port: 1},
		"far too long":        {SNI: strings.Repeat("a.", 1<<15) + "example.com", Port: 1},
		"far too long an IDN": {SNI: strings.Repeat("ü.", 1<<15) + "example.com", Port: 1},
		"not IPv6":            {Host: "[::g]:443", Port: 1},
		"open bracket":        {Host: "[", SNI: ":x:"},
		"bad beside good":     {Host: "a.test", SNI: "a b", Port: 1},
	} {
		ok, err := list.Match(context.Background(), tt)
		assert.ErrorIs(t, err, ErrTarget, name)
		assert.False(t, ok, name)
		rule, ok := list.Explain(tt)
		assert.Empty(t, rule, name)
		assert.False(t, ok, name)

		ok, err = new(List).Match(context.Background(), tt)
		assert.NoError(t, err, "no rule could match: %s", name)
		assert.False(t, ok, name)
	}
	// What is known for certain does not depend on what is not.
	ok, err := list.Match(context.Background(), Target{Host: "a b", SNI: "www.example.com"})
	assert.NoError(t, err)
	assert.True(t, ok)
	ok, err = list.Match(context.Background(), Target{Host: "other.test."})
	assert.NoError(t, err, "its port does not matter")
	assert.False(t, ok)
}

func TestNilList(t *testing.T) {
	var list *List
	ok, err := list.Match(context.Background(), Target{Host: "example.com"})
	assert.ErrorIs(t, err, ErrNotLoaded)
	assert.False(t, ok)
	assert.Zero(t, list.Len())
	_, ok = list.Explain(Target{Host: "example.com"})
	assert.False(t, ok)
}

func TestMatchAllocatesNothing(t *testing.T) {
	list := Must(".example.com", "exact.test:443", "10.0.0.0/8", "1.2.3.4:5", "w*.glob.test", "*.tail.*")
	var m Matcher = Any(None(), Not(Not(All(Network("tcp", list)))))
	ctx := context.Background()
	for _, tt := range []Target{
		{Host: "www.example.com", SNI: "www.example.com", Authority: "www.example.com:443", Port: 443},
		{Host: "WWW.EXAMPLE.COM.", SNI: "Www.Other.Test.", Port: 443},
		{Host: "exact.test", Port: 443},
		{Host: "no.such.name.anywhere.test", Addr: addr("192.0.2.1"), Port: 443},
		{Host: "10.1.2.3", Port: 443},
		{Host: "[2001:DB8::1]:443", Port: 443},
		{Host: "0x7f.1", Port: 443},
		{Addr: addr("::ffff:1.2.3.4"), Port: 443},
		{Host: "x.tail.test", Port: 443},
		{Host: strings.Repeat("A.", 120) + "Glob.Test.", Port: 443},
		{Host: "not a name", Port: 443},
		{},
	} {
		assert.Zero(t, testing.AllocsPerRun(100, func() { m.Match(ctx, tt) }), "%+v", tt)
	}
}

func TestManyRules(t *testing.T) {
	const n = 5000 // enough for several sizes of the table
	list, err := ParseReader(strings.NewReader(domainRules(n)))
	require.NoError(t, err)
	require.Equal(t, n, list.Len())
	floor := mapOfSuffixes{}
	for line := range strings.Lines(domainRules(n)) {
		name := strings.Trim(line, ".\n")
		floor[name] = struct{}{}
		for _, q := range []string{name, "www." + name, "x" + name, name[1:]} {
			ok, err := list.Match(context.Background(), Target{Host: q})
			require.NoError(t, err)
			_, exact := floor[q]
			require.Equal(t, exact || q != name && line[0] == '.' && strings.HasPrefix(q, "www."), ok, q)
		}
	}
}
