package main

import (
	"fmt"
	"net/url"
	"os"
	"strings"

	"github.com/proxyglass/proxyglass/record"
)

// openSink opens what takes the records; nil: nothing does.
func openSink(where string) (record.Recorder, error) {
	switch where {
	case "none":
		return nil, nil
	case "-":
		return record.NewWriter(os.Stdout), nil
	}
	if u, err := url.Parse(where); err == nil && (u.Scheme == "http" || u.Scheme == "https") {
		if u.Host == "" {
			return nil, usageError{fmt.Errorf("-records: no host in %q", where)}
		}
		return &record.Post{URL: where}, nil
	}
	if scheme, _, ok := strings.Cut(where, "://"); ok {
		return nil, usageError{fmt.Errorf("-records: http and https are known, not %s", scheme)}
	}
	f, err := record.OpenFile(where)
	if err != nil {
		return nil, fmt.Errorf("-records: %w", err)
	}
	return f, nil
}
