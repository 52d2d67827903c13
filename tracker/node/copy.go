package node

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"sync"

	"github.com/mogilefs/caddy-mogilefs/mogile"
)

// CopyArgs is one copy to be made.
type CopyArgs struct {
	// From and To are the URLs of the two copies.
	From, To string
	// Length is what the file must have.
	Length int64
	// Want is what the file must digest to; zero when nothing is recorded. An MD5
	// goes ahead as Content-MD5, so that a node that checks it keeps nothing else.
	Want mogile.Checksum
	// Hash is what to digest with; ignored when there is something to want.
	Hash mogile.HashType
}

// Copy streams one node's copy to another and returns the digest of what passed by,
// zero without an algorithm. An error is [ErrSource] or [ErrDestination], by whose fault
// it is, or neither when ctx is over; whether something may be left at the destination
// is told by [ErrLeftover]. When it is nil the destination has taken all bytes
// (docs/spec/jobs.md §4.2).
//
// A destination that hung up on an idle connection just as the copy began to use it is
// tried once more. The transport can't do that for us: part of the body is gone, so the
// source has to be asked again.
func (c *Client) Copy(ctx context.Context, args CopyArgs) (mogile.Checksum, error) {
	sum, err := c.copyOnce(ctx, args)
	if !errors.Is(err, errStale) {
		return sum, err
	}
	c.http.CloseIdleConnections() // the others of that node are likely no better
	sum, again := c.copyOnce(ctx, args)
	if again != nil && errors.Is(err, ErrLeftover) && !errors.Is(again, ErrLeftover) {
		again = fmt.Errorf("%w; %w", again, ErrLeftover)
	}
	return sum, again
}

func (c *Client) copyOnce(ctx context.Context, args CopyArgs) (mogile.Checksum, error) {
	if !args.Want.IsZero() {
		args.Hash = args.Want.Type
	}
	resp, err := c.send(ctx, request{method: http.MethodGet, url: args.From, wait: c.config.CopyTimeout})
	if err != nil {
		return mogile.Checksum{}, badSource(ctx, err)
	}
	defer resp.Body.Close()
	if !ok(resp) {
		return mogile.Checksum{}, badSource(ctx, refused(resp))
	}
	if n := length(resp); n != args.Length {
		return mogile.Checksum{}, badSource(ctx, fmt.Errorf("GET %s: got length %d; want %d", args.From, n, args.Length))
	}
	sum, err := c.pour(ctx, resp, args)
	switch {
	case err == nil:
		return sum, nil
	case ctx.Err() != nil: // nobody's fault
		return mogile.Checksum{}, fmt.Errorf("copy: %w; %w", context.Cause(ctx), ErrLeftover)
	default:
		return mogile.Checksum{}, fmt.Errorf("copy: %w", err)
	}
}

// badSource is the error for a source that was not even begun with.
func badSource(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("copy: %w", context.Cause(ctx))
	}
	return fmt.Errorf("copy: %w: %w", ErrSource, err)
}

// pour puts what the source sends.
func (c *Client) pour(ctx context.Context, source *http.Response, args CopyArgs) (mogile.Checksum, error) {
	putCtx, l := newLeash(ctx, c.config.CopyTimeout)
	s := &stream{
		source: source.Body, digest: args.Hash.New(),
		pause: l.rest, resume: func() { l.extend(c.config.CopyTimeout) },
	}
	put := request{
		method: http.MethodPut, url: args.To, header: putHeader(source, args),
		body: s, length: args.Length, wait: c.config.CopyTimeout, leash: l,
	}
	if args.Length == 0 { // a body that has to be asked for its end would be sent chunked
		put.body = http.NoBody
	}
	resp, err := c.send(putCtx, put)
	if err == nil {
		if drain(resp); !ok(resp) {
			err = refused(resp)
		}
	}
	// An answer may have come early, with the transport still reading. What the source
	// says from now on is our doing and does not count.
	s.abandon()
	l.drop()
	return s.verdict(args, err)
}

func putHeader(source *http.Response, args CopyArgs) http.Header {
	header := http.Header{"Content-Type": {"application/octet-stream"}}
	if args.Want.Type == mogile.HashMD5 {
		header.Set("Content-MD5", base64.StdEncoding.EncodeToString(args.Want.Sum))
	}
	// Nodes of ours keep it, so that all copies have the same; others ignore it.
	if at := source.Header.Get("Last-Modified"); at != "" {
		header.Set("Last-Modified", at)
	}
	return header
}

// stream is the body of a PUT: the source's bytes, digested and counted. While it waits
// for the source the destination's clock stands still.
type stream struct {
	source        io.Reader
	pause, resume func() // the destination's clock

	mu        sync.Mutex // guards what is below until abandoned; nothing changes after
	digest    hash.Hash  // or nil
	n         int64
	err       error // what the source said, unless it was the end
	abandoned bool
}

func (s *stream) Read(p []byte) (int, error) {
	s.pause()
	defer s.resume()
	n, err := s.source.Read(p)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.abandoned {
		return n, err
	}
	if s.digest != nil {
		s.digest.Write(p[:n])
	}
	s.n += int64(n)
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}

func (s *stream) abandon() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.abandoned = true
}

// verdict says how the copy went, when putErr is what became of the PUT.
func (s *stream) verdict(args CopyArgs, putErr error) (sum mogile.Checksum, err error) {
	if s.digest != nil {
		sum = mogile.Checksum{Type: args.Hash, Sum: s.digest.Sum(nil)}
	}
	switch complete := s.n == args.Length; {
	case s.err != nil:
		err = fmt.Errorf("%w: GET %s: %w", ErrSource, args.From, s.err)
	case complete && !args.Want.IsZero() && !sum.Equal(args.Want):
		// Before the answer: a node that checks Content-MD5 has refused it, rightly.
		err = fmt.Errorf("%w: GET %s: got %s; want %s", ErrSource, args.From, sum, args.Want)
	case putErr != nil:
		err = fmt.Errorf("%w: %w", ErrDestination, putErr)
	case !complete:
		err = fmt.Errorf("%w: PUT %s: answered after %d of %d bytes", ErrDestination, args.To, s.n, args.Length)
	default:
		return sum, nil
	}
	if s.n > 0 || args.Length == 0 { // else the connection was never made
		err = fmt.Errorf("%w; %w", err, ErrLeftover)
	}
	return mogile.Checksum{}, err
}
