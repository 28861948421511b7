package bypass

import (
	"errors"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// toASCII brings an internationalised name into the form that DNS and TLS know
// (A-labels, lower case), by the rules that browsers use (UTS #46,
// non-transitional). The letters, digits and hyphens rule is left to the
// caller, because names with an underscore exist.
func toASCII(s string) (string, error) {
	if len(s) > maxIDN {
		return "", errors.New("too long for an internationalised name")
	}
	if !utf8.ValidString(s) {
		return "", errors.New("not UTF-8")
	}
	profile := idna.New(idna.MapForLookup(), idna.BidiRule(), idna.Transitional(false), idna.StrictDomainName(false))
	name, err := profile.ToASCII(s)
	if err != nil {
		return "", errors.New(strings.TrimPrefix(err.Error(), "idna: "))
	}
	return strings.ToLower(name), nil
}
