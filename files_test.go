package proxyglass_test

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// maxLines is how long a file may get before it holds a second subject. Tests
// are tables for the most part, and may be longer.
const maxLines = 400

func TestFilesAreShort(t *testing.T) {
	for _, s := range sources(t) {
		if lines := s.fset.File(s.file.Pos()).LineCount(); !s.test && lines > maxLines {
			t.Errorf("%s has %d lines; the most is %d", s.path, lines, maxLines)
		}
	}
}

// elsewhere are words of other places: of one machine, or of talk that a reader
// has no part in. They are put together so that this file does not match.
var elsewhere = regexp.MustCompile(`/ho` + `me/\w|/ro` + `ot/\w|/wo` + `rk/\w|\bsha` + `red/\w|(?i:\biss` + `ue #?\d)`)

func TestFilesSpeakOfThisProjectAlone(t *testing.T) {
	for _, path := range files(t) {
		b, err := os.ReadFile(path)
		require.NoError(t, err)
		if bytes.IndexByte(b, 0) >= 0 { // not text
			continue
		}
		for i, line := range bytes.Split(b, []byte("\n")) {
			if m := elsewhere.Find(line); m != nil {
				assert.Failf(t, "speaks of another place", "%s:%d: %q", path, i+1, m)
			}
		}
	}
}

// TestLinksLeadSomewhere follows the relative links of the Markdown pages.
func TestLinksLeadSomewhere(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#:\s]+)(#[^)]*)?\)`)
	for _, path := range files(t) {
		if filepath.Ext(path) != ".md" {
			continue
		}
		b, err := os.ReadFile(path)
		require.NoError(t, err)
		for _, m := range link.FindAllSubmatch(b, -1) {
			assert.FileExists(t, filepath.Join(filepath.Dir(path), string(m[1])), "link in %s", path)
		}
	}
}
