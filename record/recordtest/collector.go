package recordtest

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/proxyglass/proxyglass/record"
)

// Collector is a [record.Recorder] that keeps every record, without a bound. The
// zero value is ready. All methods are safe for concurrent use.
type Collector struct {
	mu      sync.Mutex
	records []*record.Record
	changed chan struct{} // closed by the next record; nil: nobody waits
}

// Record keeps r. The error is nil.
func (c *Collector) Record(_ context.Context, r *record.Record) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.records = append(c.records, r)
	if c.changed != nil {
		close(c.changed)
		c.changed = nil
	}
	return nil
}

// Records returns what there is, in the order it came. The slice is the
// caller's.
func (c *Collector) Records() []*record.Record {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.records)
}

// Wait waits until there are n records or more and returns them all. When ctx
// ends first, it returns what there is and an error that wraps ctx's.
func (c *Collector) Wait(ctx context.Context, n int) ([]*record.Record, error) {
	for {
		records, changed := c.snapshot()
		if len(records) >= n {
			return records, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return records, fmt.Errorf("recordtest: %d of %d records: %w", len(records), n, ctx.Err())
		}
	}
}

// Reset forgets all records.
func (c *Collector) Reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.records = nil
}

func (c *Collector) snapshot() ([]*record.Record, <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.changed == nil {
		c.changed = make(chan struct{})
	}
	return slices.Clone(c.records), c.changed
}
