package main

import (
	"fmt"
	"io"
	"net"
	"strings"
)

// greet says where the proxy is, how to trust it and what to try.
func greet(w io.Writer, addr net.Addr, ca *authority, o *options) {
	var b strings.Builder
	fmt.Fprintf(&b, "listening on %s\n", addr)
	curl := "curl -x http://" + reachable(addr)
	if ca != nil {
		fmt.Fprintf(&b, "CA %s\n   SHA-256 fingerprint %s\n", ca.file, ca.Fingerprint())
	}
	if o.opens() {
		fmt.Fprintf(&b, "to trust it, give that file to curl (--cacert), Node (NODE_EXTRA_CA_CERTS) or a browser's\n"+
			"   list of authorities; on Debian copy it to /usr/local/share/ca-certificates and run update-ca-certificates\n")
		fmt.Fprintf(&b, "try %s --cacert %s https://example.com/\n", curl, quote(ca.file))
	} else {
		fmt.Fprintf(&b, "TLS is not opened\ntry %s http://example.com/\n", curl)
	}
	if tcp, ok := addr.(*net.TCPAddr); ok && !tcp.IP.IsLoopback() {
		b.WriteString("whoever reaches this address can use the proxy: it asks nobody for a password\n")
	}
	io.WriteString(w, b.String())
}

// reachable is an address under which addr can be dialled on this machine.
func reachable(addr net.Addr) string {
	tcp, ok := addr.(*net.TCPAddr)
	if !ok || !tcp.IP.IsUnspecified() {
		return addr.String()
	}
	return fmt.Sprintf("127.0.0.1:%d", tcp.Port)
}

// quote writes a word so that a shell reads it as one.
func quote(word string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("/._-+:", r)
	}
	if word != "" && strings.IndexFunc(word, func(r rune) bool { return !plain(r) }) < 0 {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
