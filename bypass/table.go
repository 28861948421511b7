package bypass

import (
	"encoding/binary"
	"hash/maphash"
)

// table maps domain names to entries. It is a hash table of its own because of
// the long lists: a look costs one cache miss, and one more on a hit, where Go's
// map costs three to five; it takes less memory; and it holds no
// pointers for the garbage collector to follow. The zero value is empty.
type table struct {
	seed maphash.Seed
	// slots is searched from the place that a name's hash says, up to the first
	// zero. The upper half of a slot is that of the hash, the lower half is
	// where in records the name stands, plus one. At most three of four are in
	// use.
	slots   []uint64
	records []byte // one after the other: entry (4 bytes), length, name
	n       int
}

const (
	recordHead = 5
	maxRecords = 1<<32 - 2 - recordHead - maxName // the last place where one can begin
)

// get answers 0 for a name that is not there.
func (t *table) get(name []byte) entry {
	if t.n == 0 {
		return 0
	}
	h := maphash.Bytes(t.seed, name)
	mask := uint64(len(t.slots) - 1)
	for i := h & mask; t.slots[i] != 0; i = (i + 1) & mask {
		if at, ok := t.same(t.slots[i], h, name); ok {
			return entry(binary.LittleEndian.Uint32(t.records[at:]))
		}
	}
	return 0
}

// set gives name an entry. It answers false when the table is full.
func (t *table) set(name string, e entry) bool {
	if (t.n+1)*4 > len(t.slots)*3 {
		t.grow()
	}
	h := maphash.String(t.seed, name)
	mask := uint64(len(t.slots) - 1)
	i := h & mask
	for ; t.slots[i] != 0; i = (i + 1) & mask {
		if at, ok := t.same(t.slots[i], h, []byte(name)); ok {
			binary.LittleEndian.PutUint32(t.records[at:], uint32(e))
			return true
		}
	}
	if len(t.records) > maxRecords {
		return false
	}
	t.slots[i] = slot(h, len(t.records))
	t.records = binary.LittleEndian.AppendUint32(t.records, uint32(e))
	t.records = append(t.records, byte(len(name)))
	t.records = append(t.records, name...)
	t.n++
	return true
}

func slot(h uint64, at int) uint64 { return h>>32<<32 | uint64(at+1) }

// same says whether slot s is that of name, whose hash is h, and where its
// record begins.
func (t *table) same(s, h uint64, name []byte) (at int, ok bool) {
	if s>>32 != h>>32 {
		return 0, false
	}
	at = int(uint32(s)) - 1
	return at, string(t.name(at)) == string(name)
}

// name is the name of the record that begins at at.
func (t *table) name(at int) []byte {
	start := at + recordHead
	return t.records[start : start+int(t.records[at+4])]
}

// grow doubles the slots.
func (t *table) grow() {
	if t.slots == nil {
		t.seed = maphash.MakeSeed()
	}
	t.slots = make([]uint64, max(8, 2*len(t.slots)))
	mask := uint64(len(t.slots) - 1)
	for at := 0; at < len(t.records); {
		name := t.name(at)
		h := maphash.Bytes(t.seed, name)
		i := h & mask
		for t.slots[i] != 0 {
			i = (i + 1) & mask
		}
		t.slots[i] = slot(h, at)
		at += recordHead + len(name)
	}
}
