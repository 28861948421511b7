package bypass

import (
	"context"
	"log/slog"
	"net/http"
	"time"
)

// Status is what a source says of itself.
type Status struct {
	Loaded time.Time // when the rules in force were last loaded or found unchanged; zero: never
	Tried  time.Time // when loading was last tried; zero: never
	Rules  int       // rules in force
	Err    error     // of the last try; nil: it went well, or there was none
}

// File is a source of rules.
type File struct {
	Path     string        // required
	Period   time.Duration // between reloads; 0: load once
	MaxBytes int64         // longest file accepted; 0: 64 MiB
	Logger   *slog.Logger  // nil: quiet
}

// HTTP is a source of rules.
type HTTP struct {
	URL      string        // required
	Period   time.Duration // between reloads; 0: load once
	Timeout  time.Duration // of one download; 0: 30 s
	MaxBytes int64         // longest body accepted; 0: 64 MiB
	Client   *http.Client  // nil: http.DefaultClient
	Logger   *slog.Logger  // nil: quiet
}

func (f *File) Load(ctx context.Context) error                    { return ErrNotLoaded }
func (f *File) Run(ctx context.Context) error                     { return ErrNotLoaded }
func (f *File) Match(ctx context.Context, t Target) (bool, error) { return false, ErrNotLoaded }
func (f *File) Explain(t Target) (rule string, ok bool)           { return "", false }
func (f *File) Status() Status                                    { return Status{} }
func (h *HTTP) Load(ctx context.Context) error                    { return ErrNotLoaded }
func (h *HTTP) Run(ctx context.Context) error                     { return ErrNotLoaded }
func (h *HTTP) Match(ctx context.Context, t Target) (bool, error) { return false, ErrNotLoaded }
func (h *HTTP) Explain(t Target) (rule string, ok bool)           { return "", false }
func (h *HTTP) Status() Status                                    { return Status{} }
