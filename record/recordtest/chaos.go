package recordtest

import (
	"context"
	"sync"

	"github.com/proxyglass/proxyglass/record"
)

// Hang returns a recorder that blocks until the context ends and answers with its
// error: a sink that accepts and never answers, behind a client that behaves.
func Hang() record.Recorder {
	return record.Func(func(ctx context.Context, _ *record.Record) error {
		<-ctx.Done()
		return ctx.Err()
	})
}

// Fail returns a recorder that answers every record with err.
func Fail(err error) record.Recorder {
	return record.Func(func(context.Context, *record.Record) error { return err })
}

// Panic returns a recorder that panics with v.
func Panic(v any) record.Recorder {
	return record.Func(func(context.Context, *record.Record) error { panic(v) })
}

// Stuck is a recorder that blocks, whatever becomes of the context, until
// Release is called: the worst sink there is. The zero value is ready.
type Stuck struct {
	once     sync.Once
	release  sync.Once
	released chan struct{}
}

// Record blocks until Release, then returns nil.
func (s *Stuck) Record(context.Context, *record.Record) error {
	<-s.channel()
	return nil
}

// Release lets every call of Record return, now and later.
func (s *Stuck) Release() { s.release.Do(func() { close(s.channel()) }) }

func (s *Stuck) channel() chan struct{} {
	s.once.Do(func() { s.released = make(chan struct{}) })
	return s.released
}
