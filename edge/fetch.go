package edge

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/mogilefs/caddy-mogilefs/cache"
	"github.com/mogilefs/caddy-mogilefs/mogile"
)

// Why a copy is passed over. errWrongCopy is about this copy, which is missing or not
// what the tracker described; anything else speaks against the device.
var (
	errWrongCopy = errors.New("copy is not the file")
	errTooSlow   = errors.New("node sent nothing in time")
)

// fetched is the body of a node's answer. Its reads fail when the node sends nothing
// for Timeouts.Idle. Time that its user spends elsewhere does not count: a slow
// client is not the node's fault.
type fetched struct {
	body   io.ReadCloser
	ctx    context.Context
	cancel context.CancelCauseFunc
	timer  *time.Timer
	idle   time.Duration
}

func (f *fetched) Read(p []byte) (int, error) {
	f.timer.Reset(f.idle)
	n, err := f.body.Read(p)
	f.timer.Stop()
	if err != nil && err != io.EOF {
		err = f.reason(err)
	}
	return n, err
}

// reason prefers why we gave up over what the transport makes of it.
func (f *fetched) reason(err error) error {
	if cause := context.Cause(f.ctx); cause != nil {
		return cause
	}
	return err
}

func (f *fetched) Close() error {
	f.timer.Stop()
	defer f.cancel(nil)
	if f.body == nil {
		return nil
	}
	return f.body.Close()
}

// ask sends a request for the copy and waits Timeouts.FirstByte for the answer's
// header. The caller closes what it returns.
func (e *Edge) ask(ctx context.Context, method string, c mogile.Copy, part string) (*http.Response, *fetched, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	f := &fetched{ctx: ctx, cancel: cancel, idle: e.config.Timeouts.Idle}
	f.timer = time.AfterFunc(e.config.Timeouts.FirstByte, func() { cancel(errTooSlow) })
	req, err := http.NewRequestWithContext(ctx, method, c.URL, nil)
	if err != nil {
		f.Close()
		return nil, nil, fmt.Errorf("%s copy: %w", strings.ToLower(method), err)
	}
	// Keeps a transport that is not ours from asking for compression.
	req.Header.Set("Accept-Encoding", "identity")
	if part != "" {
		req.Header.Set("Range", part)
	}
	resp, err := e.nodes.RoundTrip(req)
	if err != nil {
		err = f.reason(err)
		f.Close()
		return nil, nil, fmt.Errorf("%s copy: %w", strings.ToLower(method), err)
	}
	f.timer.Stop()
	f.body = resp.Body
	return resp, f, nil
}

// fetch opens the copy for the bytes of s, after making sure that the node answers
// with just these of a file of the right length.
func (e *Edge) fetch(ctx context.Context, c mogile.Copy, entry *cache.Entry, s span) (io.ReadCloser, error) {
	part := ""
	if s != (span{0, entry.Length}) {
		part = "bytes=" + strconv.FormatInt(s.off, 10) + "-" + strconv.FormatInt(s.end()-1, 10)
	}
	resp, f, err := e.ask(ctx, http.MethodGet, c, part)
	if err != nil {
		return nil, err
	}
	if err := accept(resp, f, entry.Length, s); err != nil {
		f.Close()
		return nil, err
	}
	entry.Remember(lastModified(resp))
	return f, nil
}

// accept checks a node's answer, and reads over what comes before s when the node
// knows no ranges.
func accept(resp *http.Response, body io.Reader, length int64, s span) error {
	switch {
	case resp.StatusCode == http.StatusPartialContent:
		got := resp.Header.Get("Content-Range")
		if want := s.contentRange(length); got != want || resp.ContentLength != s.n {
			return fmt.Errorf("%w: node sends %q, %d bytes; want %q", errWrongCopy, got, resp.ContentLength, want)
		}
		return nil
	case resp.StatusCode != http.StatusOK:
		return refusal(resp)
	case resp.ContentLength != length:
		return fmt.Errorf("%w: node has %d bytes; want %d", errWrongCopy, resp.ContentLength, length)
	}
	if _, err := io.CopyN(io.Discard, body, s.off); err != nil {
		return fmt.Errorf("skip %d bytes of copy: %w", s.off, err)
	}
	return nil
}

// refusal tells a missing copy from a node in trouble.
func refusal(resp *http.Response) error {
	if resp.StatusCode >= http.StatusInternalServerError {
		return fmt.Errorf("node answers %d", resp.StatusCode)
	}
	if resp.StatusCode == http.StatusNotFound || resp.StatusCode == http.StatusGone {
		return fmt.Errorf("%w: node answers %d: %w", errWrongCopy, resp.StatusCode, fs.ErrNotExist)
	}
	return fmt.Errorf("%w: node answers %d", errWrongCopy, resp.StatusCode)
}

func lastModified(resp *http.Response) time.Time {
	t, err := http.ParseTime(resp.Header.Get("Last-Modified"))
	if err != nil {
		return time.Time{}
	}
	return t
}

// inspect makes sure that the copy is there and remembers when it was modified,
// without fetching bytes.
func (e *Edge) inspect(ctx context.Context, c mogile.Copy, entry *cache.Entry) error {
	if e.local(c) {
		f, err := e.openLocal(c, entry)
		if err != nil {
			return err
		}
		return f.Close()
	}
	resp, f, err := e.ask(ctx, http.MethodHead, c, "")
	if err != nil {
		return err
	}
	defer f.Close()
	switch {
	case resp.StatusCode != http.StatusOK:
		return refusal(resp)
	case resp.ContentLength != entry.Length:
		return fmt.Errorf("%w: node has %d bytes; want %d", errWrongCopy, resp.ContentLength, entry.Length)
	}
	entry.Remember(lastModified(resp))
	return nil
}
