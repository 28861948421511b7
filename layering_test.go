package proxyglass_test

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A layer says what a package may import besides the standard library. Packages
// of ours are named by directory, others by module or by the path of a part.
type layer struct {
	code  []string // the package itself
	tests []string // its tests, further to code
	pulls []string // the modules that all this brings along, and no others
}

// layers has a line for every package: a new one begins here.
var layers = map[string]layer{
	".": {tests: []string{"record"}},
	"sniff": {
		code:  []string{"golang.org/x/sys"},
		tests: []string{"golang.org/x/net/nettest"},
		pulls: []string{"golang.org/x/sys"},
	},
	"bypass": {
		code:  []string{"golang.org/x/net/idna"},
		pulls: []string{"golang.org/x/net", "golang.org/x/text"},
	},
	"record": {
		code:  []string{"github.com/DeRuina/timberjack"},
		tests: []string{"record/recordtest"},
		pulls: []string{"github.com/DeRuina/timberjack", "github.com/klauspost/compress"},
	},
	"record/recordtest": {
		code:  []string{"record"},
		pulls: []string{"github.com/DeRuina/timberjack", "github.com/klauspost/compress"},
	},
	"mitm": {
		code: []string{"github.com/hashicorp/golang-lru/v2", "golang.org/x/net/idna", "golang.org/x/sync/singleflight"},
		pulls: []string{
			"github.com/hashicorp/golang-lru/v2", "golang.org/x/net", "golang.org/x/sync", "golang.org/x/text",
		},
	},
	"proxy": {
		code: []string{
			"sniff", "mitm", "record", "bypass",
			"github.com/gobwas/ws", "github.com/rs/xid", "golang.org/x/net", "golang.org/x/time/rate",
		},
		tests: []string{"record/recordtest"},
		pulls: []string{
			"github.com/DeRuina/timberjack", "github.com/klauspost/compress",
			"github.com/gobwas/ws", "github.com/gobwas/httphead", "github.com/rs/xid",
			"github.com/hashicorp/golang-lru/v2", "golang.org/x/net", "golang.org/x/sync",
			"golang.org/x/sys", "golang.org/x/text", "golang.org/x/time",
		},
	},
	"examples/hello":     {code: everything},
	"examples/inspector": {code: everything, tests: []string{"record/recordtest", "github.com/gobwas/ws", "golang.org/x"}},
	"internal/leaktest":  {},
	"internal/tcptest":   {code: []string{"github.com/stretchr/testify"}},
	"internal/bench":     {tests: append([]string{"golang.org/x/sys"}, everything...)},
}

// everything is what a program puts together.
var everything = []string{"proxy", "sniff", "mitm", "record", "bypass"}

// always is what any test may import.
var always = []string{"internal/leaktest", "internal/tcptest", "github.com/stretchr/testify"}

// TestImports holds every import, under any build tag and in tests too, against
// the layers.
func TestImports(t *testing.T) {
	for _, s := range sources(t) {
		l, known := layers[s.pkg]
		if !assert.Truef(t, known, "%s: package %q has no line in layers", s.path, s.pkg) {
			continue
		}
		allowed := l.code
		if s.test {
			allowed = slices.Concat(l.code, l.tests, always, []string{s.pkg})
		}
		for _, spec := range s.file.Imports {
			name, err := strconv.Unquote(spec.Path.Value)
			require.NoError(t, err)
			assert.Truef(t, mayImport(name, allowed), "%s imports %s", s.path, name)
		}
	}
}

// mayImport reports whether name is of the standard library, or one of allowed:
// for what is ours the package itself, for others anything below it.
func mayImport(name string, allowed []string) bool {
	if ours, ok := strings.CutPrefix(name, module+"/"); ok {
		return slices.Contains(allowed, ours)
	}
	first, _, _ := strings.Cut(name, "/")
	return !strings.Contains(first, ".") || slices.ContainsFunc(allowed, func(a string) bool {
		return name == a || strings.HasPrefix(name, a+"/")
	})
}

func TestMayImport(t *testing.T) {
	allowed := []string{"record", "golang.org/x/net/idna"}
	for name, want := range map[string]bool{
		"net/http":                     true,
		module + "/record":             true,
		module + "/record/recordtest":  false,
		module + "/proxy":              false,
		"golang.org/x/net/idna":        true,
		"golang.org/x/net/idna/deeper": true,
		"golang.org/x/net/idnax":       false,
		"golang.org/x/net":             false,
		module:                         false,
	} {
		assert.Equal(t, want, mayImport(name, allowed), name)
	}
}

// TestLayers wants the four that know nothing of each other to have a table
// that says so, and the examples and benchmarks of the whole to be nobody's.
func TestLayers(t *testing.T) {
	leaves := []string{"sniff", "mitm", "record", "bypass"}
	for name, l := range layers {
		for _, other := range slices.Concat(l.code, l.tests) {
			assert.False(t, strings.HasPrefix(other, "examples") || other == "internal/bench", "%s may import %s", name, other)
			assert.False(t, (name == "internal/leaktest" || name == "internal/tcptest") && slices.Contains(everything, other),
				"%s may import %s", name, other)
		}
		top, _, _ := strings.Cut(name, "/")
		if !slices.Contains(leaves, top) {
			continue
		}
		for _, other := range slices.Concat(l.code, l.tests) {
			otherTop, _, _ := strings.Cut(other, "/")
			assert.False(t, otherTop == "proxy" || otherTop != top && slices.Contains(leaves, otherTop),
				"%s may import %s", name, other)
		}
	}
}

// TestPulls asks the go command which modules a program compiles when it imports
// one of our packages.
func TestPulls(t *testing.T) {
	type listed struct {
		ImportPath string
		Deps       []string
		Module     *struct{ Path string }
	}
	cmd := exec.Command("go", "list", "-deps", "-json=ImportPath,Deps,Module", "./...")
	cmd.Stderr = t.Output()
	out, err := cmd.Output()
	require.NoError(t, err)
	packages := map[string]listed{}
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		err := d.Decode(&p)
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		packages[p.ImportPath] = p
	}
	for name, l := range layers {
		if !library(name) {
			continue
		}
		p, ok := packages[path.Join(module, name)]
		require.True(t, ok, name)
		pulled := map[string]bool{}
		for _, dep := range p.Deps {
			if m := packages[dep].Module; m != nil && m.Path != module {
				pulled[m.Path] = true
			}
		}
		var names []string
		for m := range pulled {
			names = append(names, m)
		}
		assert.ElementsMatch(t, l.pulls, names, "modules that %s brings along", name)
	}
}
