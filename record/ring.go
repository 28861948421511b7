package record

// queued is a record in an Async, with its size at the time it came.
type queued struct {
	r    *Record
	size int64
}

// ring is a first-in first-out queue in one slice, which doubles when it is full
// and is kept: with the default bounds it never exceeds 1 MiB.
type ring struct {
	slots []queued
	head  int // the oldest
	n     int
}

func (q *ring) len() int { return q.n }

func (q *ring) push(v queued) {
	if q.n == len(q.slots) {
		q.grow()
	}
	i := q.head + q.n
	if i >= len(q.slots) {
		i -= len(q.slots)
	}
	q.slots[i] = v
	q.n++
}

// pop moves the oldest to dst, as many as dst has room for.
func (q *ring) pop(dst []queued) []queued {
	for q.n > 0 && len(dst) < cap(dst) {
		dst = append(dst, q.slots[q.head])
		q.slots[q.head] = queued{}
		q.head++
		if q.head == len(q.slots) {
			q.head = 0
		}
		q.n--
	}
	return dst
}

func (q *ring) bytes() int64 {
	var sum int64
	for _, v := range q.slots { // free slots are zero
		sum += v.size
	}
	return sum
}

func (q *ring) grow() {
	slots := make([]queued, max(64, 2*len(q.slots)))
	n := copy(slots, q.slots[q.head:])
	copy(slots[n:], q.slots[:q.head])
	q.slots, q.head = slots, 0
}
