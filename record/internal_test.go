package record

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestReadBoundsALine(t *testing.T) {
	const limit = 100_000 // more than the buffer
	good := `{"seq":7}`
	for _, end := range []string{"\n" + good, ""} {
		for _, length := range []int{limit - 1, limit, limit + 200_000} {
			var seen []string
			for r, err := range read(strings.NewReader(good+"\n"+strings.Repeat(" ", length)+end), limit) {
				if err != nil {
					require.ErrorIs(t, err, ErrLineTooLong)
					seen = append(seen, err.Error())
				} else {
					seen = append(seen, fmt.Sprint(r.Seq))
				}
			}
			want := []string{"7"}
			if length+min(1, len(end)) > limit { // the line feed counts
				want = append(want, "record: line 2: record: line too long")
			}
			if end != "" {
				want = append(want, "7")
			}
			assert.Equal(t, want, seen, "%d spaces", length)
		}
	}
}

func TestRing(t *testing.T) {
	var q ring
	next, want := int64(0), int64(0)
	for round := range 200 {
		for range round % 37 {
			q.push(queued{size: next})
			next++
		}
		for _, v := range q.pop(make([]queued, 0, round%41)) {
			require.Equal(t, want, v.size)
			want++
		}
		require.EqualValues(t, next-want, q.len())
		var sum int64
		for i := want; i < next; i++ {
			sum += i
		}
		require.Equal(t, sum, q.bytes())
	}
}

func TestThroughDescriptor(t *testing.T) {
	for path, want := range map[string]bool{
		"/dev/stdout": true, "/dev/../dev/stderr": true, "/dev/fd/7": true, "/proc/self/fd/1": true,
		"/dev/null": false, "/dev/shm/x": false, "records.jsonl": false, "/nowhere/at/all": false,
	} {
		assert.Equal(t, want, throughDescriptor(path), path)
	}
}

func TestCanonicalNames(t *testing.T) {
	assert.True(t, isToken("!#$%&'*+-.^_`|~09azAZ"))
	for _, c := range []byte("\x00 \"(),/:;<=>?@[\\]{}\x7f\x80\xff") {
		assert.False(t, isToken("a"+string([]byte{c})), "%q", c)
	}
	assert.False(t, isToken(""))
}
