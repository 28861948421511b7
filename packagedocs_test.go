package proxyglass_test

import (
	"go/ast"
	"go/doc/comment"
	"go/token"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// packageDocs are the package comments, by directory.
func packageDocs(t *testing.T) map[string]*comment.Doc {
	docs := map[string]*comment.Doc{}
	for _, s := range sources(t) {
		if s.test {
			continue
		}
		if _, ok := docs[s.pkg]; !ok {
			docs[s.pkg] = nil
		}
		if s.file.Doc != nil {
			assert.Nil(t, docs[s.pkg], "%s: a second package comment", s.path)
			docs[s.pkg] = new(comment.Parser).Parse(s.file.Doc.Text())
		}
	}
	return docs
}

var disclaims = regexp.MustCompile(`^What .* does not do$`)

// TestPackageComments wants a comment on every package, and on a library's
// also a section on what it does not do.
func TestPackageComments(t *testing.T) {
	for dir, doc := range packageDocs(t) {
		if !assert.NotNil(t, doc, "package %s has no comment", dir) || !library(dir) {
			continue
		}
		assert.True(t, slices.ContainsFunc(doc.Content, func(b comment.Block) bool {
			h, ok := b.(*comment.Heading)
			return ok && disclaims.MatchString(plain(h.Text))
		}), "package %s has no section on what it does not do", dir)
	}
}

func plain(text []comment.Text) string {
	var b strings.Builder
	for _, t := range text {
		if p, ok := t.(comment.Plain); ok {
			b.WriteString(string(p))
		}
	}
	return b.String()
}

// TestPackagePrograms wants the comment of every library package to open with a
// whole program, after a paragraph, and that program to pass go vet.
func TestPackagePrograms(t *testing.T) {
	for dir, doc := range packageDocs(t) {
		if !library(dir) || dir == "." || doc == nil {
			continue
		}
		t.Run(dir, func(t *testing.T) {
			t.Parallel()
			require.Greater(t, len(doc.Content), 1)
			code, ok := doc.Content[1].(*comment.Code)
			require.True(t, ok && strings.HasPrefix(code.Text, "package main"), "the comment opens with no program")
			name := "main.go"
			if strings.HasPrefix(code.Text, "package main_test\n") {
				name = "main_test.go"
			}
			file := filepath.Join(t.TempDir(), name)
			require.NoError(t, os.WriteFile(file, []byte(code.Text), 0o600))
			out, err := exec.Command("go", "vet", file).CombinedOutput()
			assert.NoError(t, err, "%s", out)
		})
	}
}

// TestComments wants one on every exported name of the library's packages:
// functions, methods of exported types, types, constants, variables, and the
// fields and methods within types.
func TestComments(t *testing.T) {
	for _, s := range sources(t) {
		if s.test || !library(s.pkg) {
			continue
		}
		for _, name := range slices.Sorted(maps.Keys(undocumented(s.file))) {
			t.Errorf("%s: %s has no comment", s.path, name)
		}
	}
}

// understood are methods that say what they do by name: every error has them.
var understood = []string{"Error", "Unwrap"}

func undocumented(f *ast.File) map[string]token.Pos {
	missing := map[string]token.Pos{}
	for _, d := range f.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if name, exported := funcName(d); exported && d.Doc == nil && !slices.Contains(understood, d.Name.Name) {
				missing[name] = d.Pos()
			}
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				undocumentedSpec(missing, d, spec)
			}
		}
	}
	return missing
}

// funcName is the name of a function or method, and whether both it and its
// receiver's type are exported.
func funcName(d *ast.FuncDecl) (string, bool) {
	if d.Recv == nil {
		return d.Name.Name, d.Name.IsExported()
	}
	recv := d.Recv.List[0].Type
	if star, ok := recv.(*ast.StarExpr); ok {
		recv = star.X
	}
	if index, ok := recv.(*ast.IndexExpr); ok {
		recv = index.X
	}
	id, ok := recv.(*ast.Ident)
	return id.Name + "." + d.Name.Name, ok && id.IsExported() && d.Name.IsExported()
}

func undocumentedSpec(missing map[string]token.Pos, d *ast.GenDecl, spec ast.Spec) {
	switch spec := spec.(type) {
	case *ast.ValueSpec:
		for _, id := range spec.Names {
			if id.IsExported() && d.Doc == nil && spec.Doc == nil && spec.Comment == nil {
				missing[id.Name] = id.Pos()
			}
		}
	case *ast.TypeSpec:
		if !spec.Name.IsExported() {
			return
		}
		if d.Doc == nil && spec.Doc == nil {
			missing[spec.Name.Name] = spec.Pos()
		}
		var members *ast.FieldList
		switch body := spec.Type.(type) {
		case *ast.StructType:
			members = body.Fields
		case *ast.InterfaceType:
			members = body.Methods
		default:
			return
		}
		if _, ok := spec.Type.(*ast.InterfaceType); ok && len(members.List) == 1 {
			return // the contract is the interface's comment
		}
		for _, m := range members.List {
			for _, id := range m.Names {
				if id.IsExported() && m.Doc == nil && m.Comment == nil {
					missing[spec.Name.Name+"."+id.Name] = id.Pos()
				}
			}
		}
	}
}
