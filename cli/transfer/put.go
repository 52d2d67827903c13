package transfer

import (
	"context"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/client"
)

// abandonTimeout is how long an interrupted upload tries to leave nothing behind; what it
// can't abandon the tracker sweeps an hour later.
const abandonTimeout = 5 * time.Second

// Source is where the bytes of an upload come from.
type Source struct {
	// Open begins anew each time. Put closes what it returns.
	Open func() (io.ReadCloser, error)
	// Once says that Open works only once, as with a pipe.
	Once bool
	// Size is how many bytes there are; -1 when nobody knows.
	Size int64
}

// Upload is a file to be put.
type Upload struct {
	Key   mogile.Key
	Class mogile.ClassName // empty is the domain's default
	// Hash is the class's, so that its checksum can be kept.
	Hash   mogile.HashType
	Source Source
	// Verify has the tracker compare the checksum with what is stored.
	Verify bool
	// Passed is told of bytes as they are sent; those of a failed attempt are taken back.
	// May be nil.
	Passed func(n int64)
}

// Stored is a file that was put.
type Stored struct {
	FID      mogile.FID
	Length   int64
	Checksum mogile.Checksum
}

// Put makes the bytes the content of the key.
//
// Order: 1 open; 2 PUT to one destination after the other until one takes it all; 3 close,
// which makes it visible. What fails or is interrupted before 3 is abandoned. An error
// of 3 that wraps [client.ErrLost] leaves open whether it is visible. The end of ctx waits for
// the answers of 1 and 3, as nobody could abandon a fid that was not told.
func (s *Store) Put(ctx context.Context, u Upload) (Stored, error) {
	if err := u.Key.Validate(); err != nil {
		return Stored{}, err
	}
	if ctx.Err() != nil {
		return Stored{}, context.Cause(ctx)
	}
	settled := context.WithoutCancel(ctx)
	opened, err := s.Trackers.OpenUpload(settled, client.Upload{Domain: s.Domain, Key: u.Key, Class: u.Class, Size: max(u.Source.Size, 0)})
	if err != nil {
		return Stored{}, err
	}
	at, stored, err := s.putAnywhere(ctx, opened, u)
	closing := client.Closing{
		Domain: s.Domain, Key: u.Key, FID: opened.FID, Copy: at,
		Size: stored.Length, Checksum: stored.Checksum, Verify: u.Verify,
	}
	if err == nil {
		if err = s.Trackers.CloseUpload(settled, closing); err == nil {
			return stored, nil
		}
	}
	if !errors.Is(err, client.ErrLost) {
		settled, cancel := context.WithTimeout(settled, abandonTimeout)
		defer cancel()
		_ = s.Trackers.AbandonUpload(settled, closing) // else the tracker sweeps it
	}
	return Stored{}, err
}

// putAnywhere returns the destination that took the bytes; with an error, the one tried
// last.
func (s *Store) putAnywhere(ctx context.Context, opened client.Opened, u Upload) (at mogile.Copy, stored Stored, err error) {
	var failed failures
	for _, at = range opened.Destinations {
		var unusable *sourceError
		stored, err = s.putTo(ctx, at.URL, u)
		switch {
		case err == nil:
			stored.FID = opened.FID
			return at, stored, nil
		case ctx.Err() != nil:
			return at, stored, context.Cause(ctx)
		case errors.As(err, &unusable):
			return at, stored, err
		}
		failed.add(at.URL, err)
		if u.Source.Once {
			break
		}
	}
	return at, stored, failed.err()
}

// sourceError is the source's own, at any destination.
type sourceError struct{ error }

func (e *sourceError) Unwrap() error { return e.error }

func (s *Store) putTo(ctx context.Context, url string, u Upload) (stored Stored, err error) {
	src, err := u.Source.Open()
	if err != nil {
		return Stored{}, &sourceError{err}
	}
	defer src.Close()
	ctx, w := newWatch(ctx)
	defer w.end()
	if u.Source.Once {
		src = &endable{ReadCloser: src, ctx: ctx}
	}
	b := newBody(src, u, w)
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, url, b)
	if err != nil {
		return Stored{}, err
	}
	req.ContentLength = u.Source.Size
	if u.Source.Size == 0 { // a body that has to be asked for its end would be sent chunked
		req.Body, b.ended = http.NoBody, true
	}
	req.Header.Set("Content-Type", "application/octet-stream")
	resp, err := s.nodes.Do(req)
	if err == nil {
		_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, connBuffer)) // for the connection's next use
		_ = resp.Body.Close()
		if resp.StatusCode/100 != 2 {
			err = fmt.Errorf("answered %s", resp.Status)
		}
	}
	stored, err = b.finish(u, blame(ctx, err))
	if err != nil && u.Passed != nil {
		u.Passed(-stored.Length)
	}
	return stored, err
}

// endable is a pipe whose reads end with a context: what writes to it may say nothing for
// ever, and the transport waits for a read that has begun.
type endable struct {
	io.ReadCloser
	ctx context.Context
	// reads is not waited for: nothing can end a read of what comes in but the process's end.
	reads sync.WaitGroup
	buf   []byte
	over  bool
}

type readResult struct {
	n   int
	err error
}

// Read implements io.Reader.
func (r *endable) Read(p []byte) (int, error) {
	if r.over {
		return 0, context.Cause(r.ctx)
	}
	if r.buf == nil {
		r.buf = make([]byte, copyBuffer)
	}
	result := make(chan readResult, 1)
	part := r.buf[:min(len(p), len(r.buf))]
	r.reads.Go(func() {
		n, err := r.ReadCloser.Read(part)
		result <- readResult{n, err}
	})
	select {
	case got := <-result:
		return copy(p, part[:got.n]), got.err
	case <-r.ctx.Done():
		r.over = true // the buffer is not ours any more
		return 0, context.Cause(r.ctx)
	}
}

// body is an upload's bytes on their way, counted and hashed. The transport may go on
// reading for a moment after it has returned an answer.
type body struct {
	src    io.Reader
	passed func(n int64)
	node   *watch

	mu       sync.Mutex // guards what follows
	finished bool
	n        int64
	ended    bool
	err      error
	sums     map[mogile.HashType]hash.Hash
}

func newBody(src io.Reader, u Upload, node *watch) *body {
	b := &body{src: src, passed: u.Passed, node: node, sums: map[mogile.HashType]hash.Hash{mogile.HashMD5: mogile.HashMD5.New()}}
	if u.Hash != mogile.HashNone {
		b.sums = map[mogile.HashType]hash.Hash{u.Hash: u.Hash.New()}
	}
	return b
}

// Read implements io.Reader.
func (b *body) Read(p []byte) (int, error) {
	b.node.rest()           // it is the source's turn
	n, err := b.src.Read(p) // not under the lock: a pipe may say nothing for ever
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.finished {
		return 0, io.ErrClosedPipe
	}
	b.node.progress()
	b.n += int64(n)
	for _, sum := range b.sums {
		sum.Write(p[:n])
	}
	if b.passed != nil {
		b.passed(int64(n))
	}
	if err == io.EOF {
		b.ended = true
	} else if err != nil {
		b.err = err
	}
	return n, err
}

// finish says how it went, when err is what became of the request. With an error Stored has
// how many bytes passed.
func (b *body) finish(u Upload, err error) (Stored, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.finished = true
	stored := Stored{Length: b.n}
	size := u.Source.Size
	switch {
	case b.err != nil:
		return stored, &sourceError{fmt.Errorf("read what is to be uploaded: %w", b.err)}
	case b.ended && size >= 0 && b.n != size:
		return stored, &sourceError{fmt.Errorf("it had %d bytes and has %d now: it changes while it is read", size, b.n)}
	case err != nil:
		return stored, err
	case size < 0 && !b.ended || size >= 0 && b.n != size:
		return stored, fmt.Errorf("answered after %d bytes", b.n)
	}
	for t, sum := range b.sums {
		stored.Checksum = mogile.Checksum{Type: t, Sum: sum.Sum(nil)}
	}
	return stored, nil
}
