package bypass

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"time"
)

const defaultTimeout = 30 * time.Second

// HTTP is a list behind an http or https URL, with the format of [ParseReader].
// It is a [Matcher] and an [Explainer] and knows nothing before [HTTP.Load] or
// [HTTP.Run] has loaded it: till then Match answers [ErrNotLoaded].
//
// Only a complete 200 answer all of whose lines are good is a list; an empty one
// is not. When a reload fails the last good list stays in force. The failure is
// logged and stands in [HTTP.Status], without the URL's user and query, which
// may be secrets. Reloads are conditional (RFC 9110, section 13.1): what has not
// changed is not sent again, if the server knows ETag or Last-Modified.
//
// An HTTP starts no goroutine of its own. It is not copied once it is used; its
// methods are safe for concurrent use, its fields are not changed meanwhile.
type HTTP struct {
	URL      string        // required
	Period   time.Duration // how often Run looks for changes; 0: Run loads once
	Timeout  time.Duration // of one load, body included; 0: 30 s
	MaxBytes int64         // a longer body, once decompressed, is an error; 0: 64 MiB
	Client   *http.Client  // nil: http.DefaultClient, which obeys HTTP_PROXY
	Logger   *slog.Logger  // nil: quiet

	source     source
	validators validators // of the list in force; guarded by source.loading
}

// validators are a version's ETag and Last-Modified, as the server sent them.
type validators struct{ etag, modified string }

// Load fetches the list now. An error leaves the list in force as it is.
func (h *HTTP) Load(ctx context.Context) error {
	var v validators
	get := func(ctx context.Context) (text string, changed bool, err error) {
		text, changed, v, err = h.get(ctx)
		return text, changed, err
	}
	return h.source.load(ctx, h.name(), h.Logger, get, func() { h.validators = v })
}

// Run loads the list now and again each Period, until ctx ends, and returns
// ctx's error. After a failure it tries again sooner: after a second, then two,
// four, up to Period. With a Period of 0 it returns nil once the list is loaded,
// and its pauses go up to a minute.
func (h *HTTP) Run(ctx context.Context) error { return h.source.run(ctx, h.Period, h.Load) }

// Match asks the list in force; see [List.Match]. Before the first it answers
// [ErrNotLoaded].
func (h *HTTP) Match(ctx context.Context, t Target) (bool, error) { return h.source.match(ctx, t) }

// Explain says which rule matches t, and from which URL it comes.
func (h *HTTP) Explain(t Target) (rule string, ok bool) { return h.source.explain(h.name(), t) }

// Status tells how loading goes.
func (h *HTTP) Status() Status { return h.source.report() }

// get asks for the list, if it is not the one in force.
func (h *HTTP) get(ctx context.Context) (text string, changed bool, v validators, err error) {
	timeout := h.Timeout
	if timeout <= 0 {
		timeout = defaultTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	req, err := h.request(ctx)
	if err != nil {
		return "", false, v, err
	}
	client := h.Client
	if client == nil {
		client = http.DefaultClient
	}
	resp, err := client.Do(req)
	if err != nil {
		return "", false, v, withoutURL(err)
	}
	defer resp.Body.Close()
	switch {
	case resp.StatusCode == http.StatusNotModified && h.source.list.Load() != nil:
		return "", false, v, nil
	case resp.StatusCode != http.StatusOK:
		return "", false, v, fmt.Errorf("status %d", resp.StatusCode)
	}
	v = validators{resp.Header.Get("ETag"), resp.Header.Get("Last-Modified")}
	text, err = readText(resp.Body, h.MaxBytes, resp.ContentLength)
	return text, true, v, err
}

func (h *HTTP) request(ctx context.Context) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, h.URL, nil)
	if err != nil {
		return nil, withoutURL(err)
	}
	if req.URL.Scheme != "http" && req.URL.Scheme != "https" || req.URL.Host == "" {
		return nil, errors.New("not an http or https URL")
	}
	if h.validators.etag != "" {
		req.Header.Set("If-None-Match", h.validators.etag)
	}
	if h.validators.modified != "" {
		req.Header.Set("If-Modified-Since", h.validators.modified)
	}
	return req, nil
}

// name is the URL without what may be secret in it.
func (h *HTTP) name() string {
	u, err := url.Parse(h.URL)
	if err != nil {
		return "URL"
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}

// withoutURL is what went wrong, without the URL, which may hold secrets.
func withoutURL(err error) error {
	if ue, ok := errors.AsType[*url.Error](err); ok {
		return ue.Err
	}
	return err
}
