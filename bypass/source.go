package bypass

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	defaultMaxBytes = 64 << 20
	firstRetry      = time.Second
	defaultRetry    = time.Minute // the longest pause between retries without a period
)

// Status is what a source says of itself.
type Status struct {
	Loaded time.Time // when the rules in force were last loaded, or found unchanged; zero: never
	Tried  time.Time // when that was last tried; zero: never
	Rules  int       // how many rules are in force
	Err    error     // of the last try; nil: it went well, or there was none
}

// source is what [File] and [HTTP] have in common: the last good list and the
// ways to a newer one. Its zero value has no list.
type source struct {
	list atomic.Pointer[List]

	loading sync.Mutex // one load at a time

	mu     sync.Mutex
	status Status
}

// fetch gets the text of a list. It answers false and no error when the text is
// the same as that of the list in force.
type fetch func(ctx context.Context) (text string, changed bool, err error)

func (s *source) match(ctx context.Context, t Target) (bool, error) {
	return s.list.Load().Match(ctx, t) // a nil List answers ErrNotLoaded
}

func (s *source) explain(name string, t Target) (string, bool) {
	rule, ok := s.list.Load().Explain(t)
	if ok {
		rule += " from " + name
	}
	return rule, ok
}

func (s *source) report() Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.status
}

// load replaces the list by what get brings. If anything is wrong with that, the
// list stays, and the error is returned, logged and kept in the status. accept is
// called when the new list is in force.
func (s *source) load(ctx context.Context, name string, log *slog.Logger, get fetch, accept func()) error {
	s.loading.Lock()
	defer s.loading.Unlock()
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	text, changed, err := get(ctx)
	list := s.list.Load()
	if err == nil && changed {
		if list, err = parseDocument(text); err == nil {
			s.list.Store(list)
			accept()
		}
	}
	if err != nil && errors.Is(ctx.Err(), context.Canceled) {
		return named(name, err) // the caller has lost interest: nothing is known to be wrong
	}
	now := time.Now()
	s.mu.Lock()
	s.status.Tried = now
	s.status.Err = nil
	if err != nil {
		err = named(name, err)
		s.status.Err = err
	} else {
		s.status.Loaded = now
		s.status.Rules = list.Len()
	}
	status := s.status
	s.mu.Unlock()
	switch {
	case err == nil && changed:
		log.Info("bypass: rules loaded", "source", name, "rules", status.Rules)
	case err != nil && status.Loaded.IsZero():
		log.Warn("bypass: rules cannot be loaded: nothing is known of any target", "source", name, "err", err)
	case err != nil:
		log.Warn("bypass: rules cannot be loaded: the last good ones stay",
			"source", name, "rules", status.Rules, "loaded", status.Loaded, "err", err)
	}
	return err
}

// run calls load now and then, until ctx ends or, without a period, until it has
// gone well once. After a failure it comes back sooner.
func (s *source) run(ctx context.Context, period time.Duration, load func(context.Context) error) error {
	longest := period
	if period <= 0 {
		longest = defaultRetry
	}
	retry := firstRetry
	for {
		wait := period
		if err := load(ctx); err != nil {
			wait = min(retry, longest)
			retry = min(2*retry, longest)
		} else if period <= 0 {
			return nil
		} else {
			retry = firstRetry
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-timer.C:
		}
	}
}

var errEmpty = errors.New("nothing in it; a list that is meant to have no rules has a comment line")

// parseDocument reads a list that came from outside. A text without anything in
// it is what an interrupted write leaves: to take it for a list would open
// everything that the list kept closed.
func parseDocument(text string) (*List, error) {
	if strings.TrimSpace(text) == "" {
		return nil, errEmpty
	}
	return parseText(text)
}

// readText reads r to its end, which must come before the limit.
func readText(r io.Reader, limit, size int64) (string, error) {
	if limit <= 0 {
		limit = defaultMaxBytes
	}
	var text strings.Builder
	if 0 < size && size <= limit {
		text.Grow(int(size))
	}
	n, err := io.Copy(&text, io.LimitReader(r, limit+1))
	if err != nil {
		return "", err
	}
	if n > limit {
		return "", fmt.Errorf("longer than %d bytes", limit)
	}
	return text.String(), nil
}

// named puts the source's name into an error, behind the package's.
func named(name string, err error) error {
	if inner, ok := strings.CutPrefix(err.Error(), "bypass: "); ok {
		return fmt.Errorf("bypass: %s: %s", name, inner)
	}
	return fmt.Errorf("bypass: %s: %w", name, err)
}
