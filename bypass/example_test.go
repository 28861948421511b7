package bypass_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"github.com/proxyglass/proxyglass/bypass"
)

func Example() {
	closed := bypass.Must(".bank.example", "10.0.0.0/8", "*:22")
	t := bypass.Target{Host: "127.0.0.1", SNI: "www.bank.example", Port: 443}
	why, matched, err := bypass.Explain(context.Background(), closed, t)
	fmt.Println(why, matched, err)
	// Output: .bank.example true <nil>
}

func ExampleParse() {
	_, err := bypass.Parse(".example.com", "10.0.0.0/8:443", "https://example.com")
	fmt.Println(err)
	// Output: bypass: rule 2 "10.0.0.0/8:443": a CIDR range takes no port; rule 3 "https://example.com": a rule is a host, not a URL
}

func ExampleParseReader() {
	list, err := bypass.ParseReader(strings.NewReader(`
# what is none of our business
.bank.example
*.health.example:443   # not its plain port
bücher.example
172.20.0.1-172.30.0.255
`))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(list.Len(), "rules")
	for _, t := range []bypass.Target{
		{Host: "bank.example", Port: 443},
		{Host: "my.health.example", Port: 80},
		{Host: "my.health.example", Port: 443},
		{SNI: "xn--bcher-kva.example", Port: 443},
		{Host: "a.example", Addr: netip.MustParseAddr("172.25.1.1"), Port: 443},
	} {
		fmt.Println(list.Explain(t))
	}
	// Output:
	// 4 rules
	// .bank.example true
	//  false
	// *.health.example:443 true
	// xn--bcher-kva.example true
	// 172.20.0.1-172.30.0.255 true
}

// A whitelist: only what is listed may be opened, everything else is bypassed.
func ExampleNot() {
	list := bypass.Not(bypass.Must(".example.com"))
	for _, host := range []string{"www.example.com", "www.example.org"} {
		closed, err := list.Match(context.Background(), bypass.Target{Host: host})
		fmt.Println(host, closed, err)
	}
	// Output:
	// www.example.com false <nil>
	// www.example.org true <nil>
}

// An inline list, a whitelist, and a rule for UDP only, as one.
func ExampleAny() {
	closed := bypass.Any(
		bypass.Must("10.0.0.0/8"),
		bypass.Not(bypass.Must(".example.com")),
		bypass.Network("udp", bypass.Must("*:53")),
	)
	ctx := context.Background()
	fmt.Println(bypass.Explain(ctx, closed, bypass.Target{Host: "10.1.2.3", SNI: "www.example.com", Port: 443}))
	fmt.Println(bypass.Explain(ctx, closed, bypass.Target{Host: "www.example.com", Port: 443}))
	fmt.Println(bypass.Explain(ctx, closed, bypass.Target{Host: "ns.example.com", Port: 53, Network: "udp"}))
	// Output:
	// 10.0.0.0/8 true <nil>
	// no rule matches false <nil>
	// udp: *:53 true <nil>
}

// A list in a file. Before it is loaded nothing is known, and after a reload
// that failed the last good list is still there.
func ExampleFile() {
	dir, err := os.MkdirTemp("", "bypass")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	ctx := context.Background()
	file := &bypass.File{Path: filepath.Join(dir, "rules.txt")} // with a Period: go file.Run(ctx)
	target := bypass.Target{Host: "www.bank.example", Port: 443}

	_, err = file.Match(ctx, target)
	fmt.Println(errors.Is(err, bypass.ErrNotLoaded))

	os.WriteFile(file.Path, []byte(".bank.example\n"), 0o600)
	fmt.Println(file.Load(ctx))
	fmt.Println(file.Match(ctx, target))

	os.Remove(file.Path)
	fmt.Println(file.Load(ctx) != nil, file.Status().Rules)
	fmt.Println(file.Match(ctx, target))
	// Output:
	// true
	// <nil>
	// true <nil>
	// true 1
	// true <nil>
}
