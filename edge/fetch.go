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
	"github.com/mogilefs/caddy-mogilefs/edge/health"
	"github.com/mogilefs/caddy-mogilefs/edge/semantics"
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
	call   health.Call
	ended  bool
	// first is what prime read and Read has not given yet.
	first []byte
	// release, or nil, ends the context that ctx is made of.
	release context.CancelFunc
}

// firstBytes is how much prime reads at most.
const firstBytes = 4 << 10

// prime waits until there is something to read.
func (f *fetched) prime() error {
	room := make([]byte, firstBytes)
	n, err := f.Read(room)
	if n == 0 && err != nil {
		return err
	}
	f.first = room[:n]
	return nil
}

func (f *fetched) Read(p []byte) (int, error) {
	if len(f.first) > 0 {
		n := copy(p, f.first)
		f.first = f.first[n:]
		return n, nil
	}
	f.timer.Reset(f.idle)
	f.call.Wait()
	n, err := f.body.Read(p)
	f.timer.Stop()
	if n > 0 {
		f.call.Came()
	} else {
		f.call.Rest()
	}
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

// failure is reason before the answer: but for our own patience, which a slow device can
// wear out, it speaks against the node.
func (f *fetched) failure(err error) error {
	if cause := context.Cause(f.ctx); cause != nil {
		return cause
	}
	return fmt.Errorf("%w: %w", errNode, err)
}

func (f *fetched) Close() error {
	f.timer.Stop()
	if !f.ended {
		f.ended = true
		f.call.End()
	}
	defer f.cancel(nil)
	if f.release != nil {
		defer f.release()
	}
	if f.body == nil {
		return nil
	}
	return f.body.Close()
}

// attempt is one try to read a copy.
type attempt struct {
	mogile.Copy
	// leaves is set when there is another copy, so that this one is given up, with
	// [health.ErrStalled], should its node or device fall silent.
	leaves bool
}

// ask sends a request for the copy and waits Timeouts.FirstByte for the answer's
// header. The caller closes what it returns.
func (e *Edge) ask(ctx context.Context, method string, c attempt, part string) (*http.Response, *fetched, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	f := &fetched{ctx: ctx, cancel: cancel, idle: e.config.Timeouts.Idle}
	f.timer = time.AfterFunc(e.config.Timeouts.FirstByte, func() { cancel(errTooSlow) })
	var leave func(error)
	if c.leaves {
		leave = cancel
	}
	e.health.Begin(&f.call, e.health.Place(c.Copy), leave)
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
		err = f.failure(err)
		f.Close()
		return nil, nil, fmt.Errorf("%s copy: %w", strings.ToLower(method), err)
	}
	f.timer.Stop()
	f.call.Answered()
	f.body = resp.Body
	return resp, f, nil
}

// fetch opens the copy for the bytes of s, after making sure that the node answers
// with just these of a file of the right length.
func (e *Edge) fetch(ctx context.Context, c attempt, entry *cache.Entry, s semantics.Span) (*fetched, error) {
	part := ""
	if s != (semantics.Span{N: entry.Length}) {
		part = "bytes=" + strconv.FormatInt(s.Off, 10) + "-" + strconv.FormatInt(s.End()-1, 10)
	}
	resp, f, err := e.ask(ctx, http.MethodGet, c, part)
	if err != nil {
		return nil, err
	}
	if err := accept(resp, f, entry.Length, s); err != nil {
		f.Close()
		return nil, err
	}
	e.health.Place(c.Copy).Device.Well()
	entry.Remember(lastModified(resp))
	return f, nil
}

// accept checks a node's answer, and reads over what comes before s when the node
// knows no ranges.
func accept(resp *http.Response, body io.Reader, length int64, s semantics.Span) error {
	switch {
	case resp.StatusCode == http.StatusPartialContent:
		got := resp.Header.Get("Content-Range")
		if want := s.ContentRange(length); got != want || resp.ContentLength != s.N {
			return fmt.Errorf("%w: node sends %q, %d bytes; want %q", errWrongCopy, got, resp.ContentLength, want)
		}
		return nil
	case resp.StatusCode != http.StatusOK:
		return refusal(resp.StatusCode)
	case resp.ContentLength != length:
		return fmt.Errorf("%w: node has %d bytes; want %d", errWrongCopy, resp.ContentLength, length)
	}
	if _, err := io.CopyN(io.Discard, body, s.Off); err != nil {
		return fmt.Errorf("skip %d bytes of copy: %w", s.Off, err)
	}
	return nil
}

// refusal tells a missing copy from a node in trouble.
func refusal(status int) error {
	if status >= http.StatusInternalServerError {
		return fmt.Errorf("node answers %d", status)
	}
	if status == http.StatusNotFound || status == http.StatusGone {
		return fmt.Errorf("%w: node answers %d: %w", errWrongCopy, status, fs.ErrNotExist)
	}
	return fmt.Errorf("%w: node answers %d", errWrongCopy, status)
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
func (e *Edge) inspect(ctx context.Context, c attempt, entry *cache.Entry) error {
	if e.local(c.Copy) {
		f, err := e.openLocal(c.Copy, entry)
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
		return refusal(resp.StatusCode)
	case resp.ContentLength != entry.Length:
		return fmt.Errorf("%w: node has %d bytes; want %d", errWrongCopy, resp.ContentLength, entry.Length)
	}
	entry.Remember(lastModified(resp))
	return nil
}
