package proxy

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"strings"

	"github.com/proxyglass/proxyglass/sniff"
)

// admit tells whether a request may use the proxy, and who makes it.
func (h *HTTP) admit(head *sniff.HTTP1Head) (id string, ok bool) {
	if h.Users == nil {
		return "", true
	}
	for name, value := range head.Fields() {
		if strings.EqualFold(name, "Proxy-Authorization") {
			user, password, ok := parseBasic(value)
			if !ok {
				return "", false
			}
			return user, h.check(user, password)
		}
	}
	return "", false
}

// check compares in a time that depends neither on the password nor on whether
// the user exists.
func (h *HTTP) check(user, password string) bool {
	want, known := h.Users[user]
	a, b := sha256.Sum256([]byte(password)), sha256.Sum256([]byte(want))
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1 && known
}

// parseBasic reads Basic credentials (RFC 7617 section 2).
func parseBasic(value string) (user, password string, ok bool) {
	scheme, token, _ := strings.Cut(value, " ")
	if !strings.EqualFold(scheme, "Basic") {
		return "", "", false
	}
	b, err := base64.StdEncoding.DecodeString(strings.TrimSpace(token))
	if err != nil {
		return "", "", false
	}
	return strings.Cut(string(b), ":")
}
