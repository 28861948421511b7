package bypass

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Whatever the rule: no panic; what parses has a normal form that is a rule and
// says the same; and it matches the target that it describes.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"example.com", ".Example.com.", "*.example.com:443", "w*.example.*:1-2", "*", "*:443", "1.2.3.4",
		"10.0.0.0/8", "::ffff:10.0.0.0/104", "fd00::/8", "172.20.0.1-172.30.0.255", "::1-::2", "[::1]:443", "[::1", "a:b:c", "1.2.3.4:5",
		"bücher.example", "w*.bücher.example", "。", "xn--ü", "０x7f.1", "\xff", "a..b", "0x", "1-2", "[]:1", "%", "a*b*c*d", "1.2.3.4%eth0"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		list, err := Parse(s)
		if err != nil {
			require.Nil(t, list)
			require.True(t, strings.HasPrefix(err.Error(), "bypass: rule 1 "), err)
			return
		}
		r, err := parseRule(strings.TrimSpace(s))
		require.NoError(t, err)
		again, err := parseRule(r.String())
		require.NoError(t, err, "normal form %q", r.String())
		require.Equal(t, r.String(), again.String())

		target := Target{Addr: r.hi, Port: r.ports.hi}
		switch {
		case r.glob != "":
			// A star may stand for nothing, but a name has no empty label at its end.
			target.Host = strings.ReplaceAll(r.glob, "*", "a")
		case r.where == below:
			target.Host = "www." + r.name
		default:
			target.Host = r.name
		}
		if len(target.Host) > maxName || endsInNumber(target.Host) {
			return
		}
		ok, err := list.Match(context.Background(), target)
		require.NoError(t, err)
		require.True(t, ok, "%q does not match %+v", r.String(), target)
		rule, ok := list.Explain(target)
		require.True(t, ok)
		require.Equal(t, r.String(), rule)
	})
}

// Whatever the target: no panic, no answer beside an error, the same answer
// from Explain, and letter case or a final dot change nothing.
func FuzzMatch(f *testing.F) {
	list := Must(".example.com", "exact.test:443", "10.0.0.0/8", "1.2.3.4:5", "w*.glob.test", "*.tail.*", "bücher.example", "::1", "*:99")
	f.Add("www.example.com", "exact.test", "x.tail.y:1", []byte{1, 2, 3, 4}, uint16(443))
	f.Add("[::1]:443", "BÜCHER.example", "127.1", []byte(nil), uint16(0))
	f.Add("0x0a.1", "www.glob.test.", "[", make([]byte, 16), uint16(99))
	f.Add("..", "\xff", ":::", []byte{1}, uint16(5))
	f.Add(strings.Repeat("a.", 200), "。", "１０．1", []byte(nil), uint16(5))
	f.Fuzz(func(t *testing.T, host, sni, authority string, ip []byte, port uint16) {
		a, _ := netip.AddrFromSlice(ip)
		target := Target{Host: host, SNI: sni, Authority: authority, Addr: a, Port: port}
		ok, err := list.Match(context.Background(), target)
		if err != nil {
			require.True(t, errors.Is(err, ErrTarget))
			require.False(t, ok)
		}
		rule, explained := list.Explain(target)
		require.Equal(t, ok, explained)
		require.Equal(t, ok, rule != "")

		if !isASCII(host) || strings.ContainsAny(host, ":[") || host == "" || strings.HasSuffix(host, ".") {
			return
		}
		target.Host = strings.ToUpper(host) + "."
		again, err2 := list.Match(context.Background(), target)
		require.Equal(t, err == nil, err2 == nil)
		require.Equal(t, ok, again)
	})
}
