// Package bypass says which targets to leave alone: rules about names,
// addresses and ports, lists of rules, and lists that are reloaded.
//
//	package main
//
//	import (
//		"context"
//		"fmt"
//
//		"github.com/proxyglass/proxyglass/bypass"
//	)
//
//	func main() {
//		closed := bypass.Must(".bank.example", "10.0.0.0/8", "*:22")
//		t := bypass.Target{Host: "127.0.0.1", SNI: "www.bank.example", Port: 443}
//		why, matched, err := bypass.Explain(context.Background(), closed, t)
//		fmt.Println(why, matched, err) // .bank.example true <nil>
//	}
//
// # Rules
//
//	1.2.3.4                    an IP address
//	10.0.0.0/8                 a CIDR range (RFC 4632); it takes no port
//	172.20.0.1-172.30.0.255    an address range, both ends in it; it takes no port
//	example.com                this name
//	.example.com               this name and all below it
//	*.example.com              all below it, at any depth, but not the name itself
//	w*.example.com             a pattern: each * stands for any characters, dots and none included
//	*                          everything
//	example.com:443            any host form but a range may have a port
//	.example.com:8000-9000     or a port range, both ends in it
//
// IPv6 stands wherever IPv4 may: fd00::1, fd00::/8, fd00::1-fd00::ff. With a
// port it is in brackets, [fd00::1]:443. IPv4 written as IPv6 (::ffff:1.2.3.4) is
// IPv4; ::/0 has no IPv4 in it. A rule has no zone; a target's does not count.
//
// Letter case and a final dot do not count, nor does it matter which of its two
// forms an internationalised name has (bücher.example, xn--bcher-kva.example),
// by the processing that browsers use (UTS #46, non-transitional). Host names
// are made of letters, digits, hyphens, underscores and dots.
//
// A pattern is also held against the text of an address, so 192.168.* means what
// it seems to; CIDR is faster. No domain name ends in a number, so what does and
// is not an address is an error, in rules; in targets 127.1, 0x7f000001 and the
// like are the addresses that a browser or the C library takes them for.
//
// In a file or behind a URL there is one rule a line; a # begins a comment.
//
// What is not a rule is an error that names the rule, its place and the reason.
// No rule is ever skipped.
//
// # Names of a target
//
// A [Target] has up to four names: the address dialled, the host asked for, the
// SNI, and the authority of a request. A rule matches when it matches any of
// them, and a list is asked once with all of them. So with
//
//	Not(Must(".example.com"))
//
// as bypass list, which is a whitelist, CONNECT 127.0.0.1 with the SNI
// www.example.com is opened; and 10.0.0.0/8 on a bypass list keeps its targets
// closed whatever their SNI says. To have both, say
//
//	Any(Must("10.0.0.0/8"), Not(Must(".example.com")))
//
// # Unknown is not no
//
// A [Matcher] has three answers: yes, no, and an error for "unknown", which
// callers treat as closed: not opened, not admitted. A source that was never
// loaded answers [ErrNotLoaded]; a target that a list cannot judge, [ErrTarget].
// [Any], [All] and [Not] answer yes or no only when that would be the answer
// whatever the unknown turned out to be, and otherwise pass the error on.
//
// [File] and [HTTP] keep the last good list when a newer one cannot be had.
//
// # Speed
//
// [List.Match] allocates nothing for names in ASCII. It looks into a table once
// for the name and once for each name above it of a length that rules have, so
// its time does not grow with the number of rules, but for what the processor's
// caches do not hold. A rule about a name of twenty letters takes under 50 bytes. Addresses are a
// binary search. Patterns are tried only for names below the labels after their
// last star; those that have no whole label there (www.*, *ads*, *.example.*)
// are tried one by one for every target.
//
// # What this package does not do
//
// It does not resolve names: rules about addresses see the address dialled only
// when the caller puts it into the target. It does not decide what follows from
// a match. It has no regular expressions, and no rules about paths or users. It
// starts no goroutine: [File.Run] and [HTTP.Run] are the caller's to start.
package bypass
