package proxyglass_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "github.com/proxyglass/proxyglass"

// A source is one Go file of the module, whatever its build tags.
type source struct {
	path string // slash-separated, from the root
	pkg  string // directory, "." for the root
	test bool
	file *ast.File
	fset *token.FileSet
}

// sources parses every Go file of this module. Testdata and nested modules do
// not belong to it.
func sources(t *testing.T) []source {
	t.Helper()
	var all []source
	for _, path := range files(t) {
		dir, name := filepath.Split(path)
		if filepath.Ext(name) != ".go" || slices.Contains(strings.Split(path, "/"), "testdata") || nested(dir) {
			continue
		}
		fset := token.NewFileSet()
		f, err := parser.ParseFile(fset, path, nil, parser.ParseComments|parser.SkipObjectResolution)
		require.NoError(t, err)
		all = append(all, source{
			path: path, pkg: filepath.ToSlash(filepath.Clean(dir)),
			test: strings.HasSuffix(name, "_test.go"), file: f, fset: fset,
		})
	}
	require.NotEmpty(t, all)
	return all
}

// files lists the files below the root, but for those that Git or an editor
// keeps for itself.
func files(t *testing.T) []string {
	t.Helper()
	var all []string
	require.NoError(t, filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && strings.HasPrefix(d.Name(), ".") && path != "." && d.Name() != ".ci":
			return filepath.SkipDir
		case d.Type().IsRegular():
			all = append(all, filepath.ToSlash(path))
		}
		return nil
	}))
	return all
}

// nested reports whether dir is in a module of its own.
func nested(dir string) bool {
	for dir = filepath.Clean(dir); dir != "."; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return true
		}
	}
	return false
}

// library reports whether others are meant to import the package in dir.
func library(dir string) bool {
	return !slices.Contains(strings.Split(dir, "/"), "internal") && !strings.HasPrefix(dir, "examples/") && !strings.HasPrefix(dir, ".ci")
}
