package proxyglass_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/proxyglass/proxyglass/record"
)

func readme(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("README.md")
	require.NoError(t, err)
	return string(b)
}

// block returns the first fenced block of a language behind a heading.
func block(t *testing.T, text, heading, language string) string {
	t.Helper()
	_, text, ok := strings.Cut(text, "\n## "+heading+"\n")
	require.True(t, ok, "no heading %q", heading)
	_, text, ok = strings.Cut(text, "\n```"+language+"\n")
	require.True(t, ok, "no %s block behind %q", language, heading)
	text, _, ok = strings.Cut(text, "\n```\n")
	require.True(t, ok)
	return text + "\n"
}

// TestReadmeCommands wants each of the two commands alone on a line of a block.
func TestReadmeCommands(t *testing.T) {
	text := readme(t)
	for _, command := range []string{"go run ./examples/inspector", "go test ./..."} {
		assert.Contains(t, text, "\n```sh\n"+command+"\n```\n")
	}
	first := regexp.MustCompile(`(?m)^go test.*$`).FindString(text)
	assert.Equal(t, "go test ./...", first, "the first line that begins with go test")
}

// TestReadmeProgram wants the README's program to be the example's.
func TestReadmeProgram(t *testing.T) {
	b, err := os.ReadFile("examples/hello/main.go")
	require.NoError(t, err)
	i := strings.Index(string(b), "package main\n")
	require.GreaterOrEqual(t, i, 0)
	assert.Equal(t, string(b)[i:], block(t, readme(t), "The short program", "go"))
}

// TestReadmeRecord wants the README's record to be one: with the keys of a
// record, no others, and what JSON has.
func TestReadmeRecord(t *testing.T) {
	text := block(t, readme(t), "What a record looks like", "json")
	var r record.Record
	require.NoError(t, json.Unmarshal([]byte(text), &r))
	again, err := json.Marshal(&r)
	require.NoError(t, err)
	assert.JSONEq(t, text, string(again))
}

// TestReadmeDependencies wants a row for each direct dependency in go.mod, and
// no others.
func TestReadmeDependencies(t *testing.T) {
	out, err := exec.Command("go", "mod", "edit", "-json").Output()
	require.NoError(t, err)
	var mod struct {
		Go      string
		Require []struct {
			Path     string
			Indirect bool
		}
	}
	require.NoError(t, json.Unmarshal(out, &mod))
	var direct []string
	for _, r := range mod.Require {
		if !r.Indirect {
			direct = append(direct, r.Path)
		}
	}
	_, section, ok := strings.Cut(readme(t), "\n## Dependencies\n")
	require.True(t, ok)
	section, _, _ = strings.Cut(section, "\n## ")
	var listed []string
	for _, m := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\|").FindAllStringSubmatch(section, -1) {
		listed = append(listed, m[1])
	}
	assert.ElementsMatch(t, direct, listed)
	assert.Contains(t, readme(t), "Go "+strings.TrimSuffix(mod.Go, ".0"), "the Go version of go.mod")
}
