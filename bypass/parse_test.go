package bypass

import (
	"errors"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestParseErrors(t *testing.T) {
	for rule, reason := range map[string]string{
		"":                             "empty rule",
		"   ":                          "empty rule",
		"https://example.com":          "not a URL",
		"example.com/path":             "not a CIDR range",
		"10.0.0.0/33":                  "not a CIDR range",
		"10.0.0.0/":                    "not a CIDR range",
		"fe80::%eth0/64":               "not a CIDR range",
		"10.0.0.0/8:443":               "a CIDR range takes no port",
		"fd00::/8:443":                 "a CIDR range takes no port",
		"[fd00::]/8":                   "not a CIDR range",
		"10.0.0.1-10.0.0.9:443":        "an address range takes no port",
		"10.0.0.9-10.0.0.1":            "ends before it begins",
		"10.0.0.1-fd00::1":             "mixes IPv4 and IPv6",
		"10.0.0.1-9":                   "either side",
		"10.0.0.1-host.test":           "either side",
		"10.0.0":                       "not an IP address",
		"127.1":                        "not an IP address",
		"0x7f000001":                   "not an IP address",
		"256.1.1.1":                    "not an IP address",
		"01.2.3.4":                     "not an IP address",
		"1.2.3.4.5":                    "not an IP address",
		".0.0.1":                       "not an IP address",
		"*.0.0.1":                      "not an IP address",
		"192.168.*.1":                  "not an IP address",
		"fe80::1%eth0":                 "zone",
		"fe80::g":                      "not an IPv6 address",
		"a:b:c":                        "not an IPv6 address",
		"::1-x":                        "either side",
		"[::1":                         "brackets",
		"[1.2.3.4]:443":                "brackets",
		"[::1]443":                     "follows the bracket",
		"[::1]:":                       "a port is",
		":443":                         "*:PORT",
		"example.com:":                 "a port is",
		"example.com:http":             "a port is",
		"example.com:0":                "a port is",
		"example.com:65536":            "a port is",
		"example.com:-1":               "a port is",
		"example.com:1-":               "a port is",
		"example.com:9-1":              "ends before it begins",
		"exa mple.com":                 "' ' cannot stand",
		"exa\x00mple.com":              "'\\x00' cannot stand",
		"user@example.com":             "'@' cannot stand",
		"~example.com":                 "'~' cannot stand",
		"a,b":                          "',' cannot stand",
		"ex?mple.com":                  "'?' cannot stand",
		".":                            "a label is empty",
		"..":                           "a label is empty",
		"*.":                           "a label is empty",
		"..example.com":                "a label is empty",
		"example..com":                 "a label is empty",
		"*..com":                       "a label is empty",
		".*.com":                       "leading dot and a wildcard",
		strings.Repeat("a", 64):        "a label is longer",
		strings.Repeat("a.", 128):      "longer than 253",
		strings.Repeat("ü.", 1<<16):    "internationalised",
		"\xff\xfe.example":             "",
		"b*ü.example.com":              "",
		strings.Repeat("*a", 1000):     "longer than 253",
		strings.Repeat("9", 100):       "a label is longer",
		"example.com:" + "99999999999": "a port is",
	} {
		list, err := Parse("good.test", rule)
		require.Error(t, err, "%q", rule)
		assert.Nil(t, list)
		assert.ErrorContains(t, err, `bypass: rule 2 "`)
		assert.ErrorContains(t, err, reason, "%q", rule)
		assert.Less(t, len(err.Error()), 400)
		assert.Panics(t, func() { Must(rule) })
	}
}

func TestParseNamesEveryBadRule(t *testing.T) {
	_, err := Parse("a b", "good.test", "10.0.0.0/99")
	assert.EqualError(t, err, `bypass: rule 1 "a b": ' ' cannot stand in a host name; `+
		`rule 3 "10.0.0.0/99": not a CIDR range (address/bits)`)

	_, err = ParseReader(strings.NewReader("# a list\n\n good.test # one\r\nbad rule\n\n1.2.3.4:0\n"))
	assert.EqualError(t, err, `bypass: line 4 "bad rule": ' ' cannot stand in a host name; `+
		`line 6 "1.2.3.4:0": a port is a number from 1 to 65535, or two of them with a hyphen`)

	_, err = ParseReader(strings.NewReader(strings.Repeat("bad rule\n", 100_000)))
	assert.ErrorContains(t, err, "and 99900 more")
	assert.Less(t, len(err.Error()), 10_000)
}

func TestParseReader(t *testing.T) {
	list, err := ParseReader(strings.NewReader("\ufeff# one\n.example.com # two\r\n\r\n\t10.0.0.0/8\n.example.com"))
	require.NoError(t, err)
	assert.Equal(t, 3, list.Len())
	rule, ok := list.Explain(Target{Host: "www.example.com"})
	assert.True(t, ok)
	assert.Equal(t, ".example.com", rule)

	list, err = ParseReader(strings.NewReader(""))
	require.NoError(t, err)
	assert.Zero(t, list.Len())

	gone := errors.New("gone")
	_, err = ParseReader(iotest.ErrReader(gone))
	assert.ErrorIs(t, err, gone)
	assert.ErrorContains(t, err, "bypass: ")
}

// A rule's normal form is a rule, and the same one.
func TestRuleString(t *testing.T) {
	for in, out := range map[string]string{
		"Example.COM.":            "example.com",
		".Example.COM:443":        ".example.com:443",
		"*.example.com:1-2":       "*.example.com:1-2",
		"10.1.2.3/8":              "10.0.0.0/8",
		"10.0.0.0-10.255.255.255": "10.0.0.0-10.255.255.255",
		"1.2.3.4-1.2.3.4":         "1.2.3.4",
		"[FD00::1]:443":           "[fd00::1]:443",
		"::ffff:1.2.3.4":          "1.2.3.4",
		"::ffff:0:0/90":           "::ffc0:0:0/90",
		"fd00:0::1-fd00::ff":      "fd00::1-fd00::ff",
		"*:443":                   "*:443",
		"WWW.*:0-65535":           "www.*",
		"***":                     "*",
		"**.example.com":          "*.example.com",
		"a***b.test":              "a*b.test",
		"A-b_c.test":              "a-b_c.test",
	} {
		r, err := parseRule(in)
		require.NoError(t, err, in)
		assert.Equal(t, out, r.String(), in)
		again, err := parseRule(out)
		require.NoError(t, err, out)
		assert.Equal(t, out, again.String())
	}
}
