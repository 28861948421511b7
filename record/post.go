package record

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// DefaultPostTimeout is the time that a [Post] allows when its Timeout is zero.
const DefaultPostTimeout = time.Second

// maxDrain bounds what is read of an answer's body so that its connection can be
// used again.
const maxDrain = 64 << 10

// Post is a [Recorder] that sends each record as the body of an HTTP POST of its
// own, Content-Type application/json, as GOST's HTTP recorder does. Any 2xx
// answer means that the record was taken. Everything else is an error that names
// the status, redirects too: they are never followed, since that would take the
// records to a place that nobody named. Nothing is retried.
//
// It is safe for concurrent use and must not be copied or changed after its
// first use. It blocks as long as the server does, up to Timeout.
type Post struct {
	URL     string        // http or https; user and password in it become Basic authentication
	Timeout time.Duration // for one POST, from the dial to the end of the answer; zero: DefaultPostTimeout, negative: only the context's
	Client  *http.Client  // its Transport, Jar and Timeout are used; nil: a client of its own, which ignores HTTP_PROXY, lest the proxy record itself

	once   sync.Once
	client *http.Client
	url    *url.URL
	err    error
}

// Record sends r.
func (p *Post) Record(ctx context.Context, r *Record) error {
	if r == nil {
		return errNilRecord
	}
	if p.once.Do(p.init); p.err != nil {
		return p.err
	}
	if timeout := p.timeout(); timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, timeout)
		defer cancel()
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url.String(), bytes.NewReader(r.AppendJSON(nil)))
	if err != nil {
		return p.failed(err)
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := p.client.Do(req)
	if err != nil {
		return p.failed(err)
	}
	defer res.Body.Close()
	_, _ = io.CopyN(io.Discard, res.Body, maxDrain) // the answer stands, however its body ends
	if res.StatusCode < 200 || res.StatusCode > 299 {
		return p.failed(errors.New(res.Status))
	}
	return nil
}

// Close closes the idle connections of a client of its own. The Post stays
// usable. It returns nil.
func (p *Post) Close() error {
	if p.once.Do(p.init); p.client != nil && p.Client == nil {
		p.client.CloseIdleConnections()
	}
	return nil
}

func (p *Post) timeout() time.Duration {
	if p.Timeout == 0 {
		return DefaultPostTimeout
	}
	return p.Timeout
}

func (p *Post) init() {
	u, err := url.Parse(p.URL)
	if err != nil {
		var ue *url.Error
		if errors.As(err, &ue) {
			err = ue.Err // the whole would show the URL, which may have a password
		}
		p.err = fmt.Errorf("record: URL of the HTTP recorder: %w", err)
		return
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		p.err = errors.New("record: URL of the HTTP recorder: want http://HOST or https://HOST")
		return
	}
	p.url = u
	client := http.Client{Transport: &http.Transport{
		ForceAttemptHTTP2:   true,
		MaxIdleConnsPerHost: 16,
		IdleConnTimeout:     90 * time.Second,
	}}
	if p.Client != nil {
		client = *p.Client
	}
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	p.client = &client
}

// failed names the host, but not the rest of the URL, which may hold secrets.
func (p *Post) failed(err error) error {
	var ue *url.Error
	if errors.As(err, &ue) {
		err = ue.Err
	}
	return fmt.Errorf("record: POST to %s: %w", p.url.Host, err)
}
