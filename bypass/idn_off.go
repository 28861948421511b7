//go:build !bypassidna

package bypass

import "errors"

// toASCII refuses: the module does not list golang.org/x/text yet, which idna needs.
func toASCII(string) (string, error) {
	return "", errors.New("internationalised names are not built in")
}
