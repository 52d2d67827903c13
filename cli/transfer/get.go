package transfer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/client"
)

// copyBuffer is how much is read from a node at a time.
const copyBuffer = 256 << 10

// Locate finds a key's content and copies.
func (s *Store) Locate(ctx context.Context, key mogile.Key) (mogile.Location, error) {
	return s.Trackers.Locate(ctx, s.Domain, key, client.MainZone)
}

// Get writes the bytes of a file from an offset on. When a copy fails it goes on from the
// next; when all have failed it looks once more where they are, if the key has the same
// content still. failed is told of each copy that failed; may be nil.
func (s *Store) Get(ctx context.Context, key mogile.Key, loc mogile.Location, from int64, w io.Writer, failed func(url string, err error)) error {
	out := &sink{w: w, at: from}
	var all failures
	for again := false; out.at < loc.Length || loc.Length == 0; again = true {
		for _, c := range loc.Copies {
			err := s.getFrom(ctx, c.URL, loc.Length, out)
			switch {
			case err == nil:
				return nil
			case out.err != nil:
				return out.err
			case ctx.Err() != nil:
				return context.Cause(ctx)
			}
			all.add(c.URL, err)
			if failed != nil {
				failed(c.URL, err)
			}
		}
		now, err := s.Locate(ctx, key)
		if again || err != nil || now.FID != loc.FID {
			if len(all) == 0 {
				return fmt.Errorf("%w: the tracker knows no copy of fid %d", ErrNode, loc.FID)
			}
			return all.err()
		}
		loc = now
	}
	return nil
}

// sink counts what is written. Its error is the writer's, and no node's.
type sink struct {
	w   io.Writer
	at  int64
	err error
}

// Write implements io.Writer.
func (s *sink) Write(p []byte) (int, error) {
	n, err := s.w.Write(p)
	s.at += int64(n)
	s.err = err
	return n, err
}

// getFrom writes the bytes from out.at on.
func (s *Store) getFrom(ctx context.Context, url string, length int64, out *sink) error {
	ctx, w := newWatch(ctx)
	defer w.end()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	if out.at > 0 {
		req.Header.Set("Range", "bytes="+strconv.FormatInt(out.at, 10)+"-")
	}
	resp, err := s.nodes.Do(req)
	if err != nil {
		return blame(ctx, err)
	}
	defer resp.Body.Close()
	if err := begins(resp, out.at, length); err != nil {
		return err
	}
	want := length - out.at
	n, err := io.CopyBuffer(out, &watched{resp.Body, w}, make([]byte, min(copyBuffer, max(want, 1))))
	switch {
	case err != nil:
		return blame(ctx, err)
	case n != want:
		return fmt.Errorf("ended after %d of %d bytes", n, want)
	}
	return nil
}

// begins says why an answer does not hold the file from an offset on.
func begins(resp *http.Response, at, length int64) error {
	switch {
	case at == 0 && resp.StatusCode != http.StatusOK:
		return fmt.Errorf("answered %s", resp.Status)
	case at > 0 && (resp.StatusCode != http.StatusPartialContent || !strings.HasPrefix(resp.Header.Get("Content-Range"), fmt.Sprintf("bytes %d-", at))):
		return fmt.Errorf("does not go on from byte %d: answered %s", at, resp.Status)
	case resp.ContentLength != length-at:
		return fmt.Errorf("has another length than %d bytes", length)
	}
	return nil
}

// watched tells the watch of each piece.
type watched struct {
	io.Reader
	w *watch
}

// Read implements io.Reader.
func (r *watched) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	r.w.progress()
	return n, err
}

// Sum is the checksum of a file: what the tracker has recorded if that is of the type, or
// else what a node says of its copy, or else that of a copy that is read for it.
func (s *Store) Sum(ctx context.Context, key mogile.Key, loc mogile.Location, t mogile.HashType) (mogile.Checksum, error) {
	if loc.Checksum.Type == t && !loc.Checksum.IsZero() {
		return loc.Checksum, nil
	}
	h := t.New()
	if h == nil {
		return mogile.Checksum{}, errors.New("no algorithm to sum with")
	}
	for _, c := range loc.Copies {
		if t != mogile.HashMD5 {
			break
		}
		if sum, err := s.askSum(ctx, c.URL); err == nil {
			return sum, nil
		}
	}
	if err := s.Get(ctx, key, loc, 0, h, nil); err != nil {
		return mogile.Checksum{}, err
	}
	return mogile.Checksum{Type: t, Sum: h.Sum(nil)}, nil
}
