package record_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/proxyglass/proxyglass/record"
)

func TestReadGoesOnAfterABadLine(t *testing.T) {
	in := "\n{\"seq\":1}\r\n{\"seq\":\n  \nnull\n[]\n{\"seq\":2} {}\n{\"seq\":3}"
	var seqs []uint64
	var errs []string
	for r, err := range record.Read(iotest.OneByteReader(strings.NewReader(in))) {
		if err != nil {
			assert.Nil(t, r)
			errs = append(errs, err.Error()[:15])
			continue
		}
		seqs = append(seqs, r.Seq)
	}
	assert.Equal(t, []uint64{1, 3}, seqs)
	assert.Equal(t, []string{"record: line 3:", "record: line 5:", "record: line 6:", "record: line 7:"}, errs)
}

func TestReadStops(t *testing.T) {
	gone := errors.New("gone")
	text := string(seq(1).AppendJSON(nil)) + "\n"
	var errs []error
	for _, err := range record.Read(io.MultiReader(strings.NewReader(text), iotest.ErrReader(gone))) {
		errs = append(errs, err)
	}
	assert.Equal(t, []error{nil, gone}, errs)

	for range record.Read(strings.NewReader(strings.Repeat(text, 3))) {
		break
	}
	for range record.Read(strings.NewReader("bad\nbad\n")) {
		break
	}
}

func TestReadFileMissing(t *testing.T) {
	count := 0
	for r, err := range record.ReadFile(filepath.Join(t.TempDir(), "none")) {
		assert.Nil(t, r)
		assert.ErrorContains(t, err, "record: open")
		count++
	}
	assert.Equal(t, 1, count)
}

// FuzzRead wants an answer for each line, whatever is in it, and that what is
// taken for a record can be written and read again.
func FuzzRead(f *testing.F) {
	for _, example := range examples(f) {
		f.Add([]byte(example))
	}
	f.Add([]byte("{}\n{\n\nnull\n[1]\n{\"http\":{\"request\":{\"header\":{\"a\":[\"b\"],\"A\":[\"c\"]}}}}"))
	f.Add([]byte(`{"time":"2024-10-02T17:10:43.884912063+08:00","http":{"request":{"header":{"\ud800":[null]}}}}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		lines := 0
		for _, line := range bytes.Split(in, []byte("\n")) {
			if len(bytes.TrimSpace(line)) > 0 {
				lines++
			}
		}
		answers := 0
		for r, err := range record.Read(bytes.NewReader(in)) {
			answers++
			if err != nil {
				continue
			}
			text := r.AppendJSON(nil)
			again := new(record.Record)
			require.NoError(t, again.UnmarshalJSON(text))
			require.Equal(t, string(text), string(again.AppendJSON(nil)))
		}
		require.Equal(t, lines, answers)
	})
}

func ExampleRead() {
	in := strings.NewReader(`{"host":"www.example.com:80"}` + "\n" + `{"torn` + "\n")
	for r, err := range record.Read(in) {
		if err != nil {
			fmt.Println(err)
			continue
		}
		fmt.Println(r.Host)
	}
	// Output:
	// www.example.com:80
	// record: line 2: unexpected end of JSON input
}
