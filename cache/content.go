package cache

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mogilefs/caddy-mogilefs/mogile"
)

// Content is the bytes of a file, all of them or as many as have come. Many readers
// share it: what it gives must not be changed.
type Content struct {
	owner *Contents
	fid   mogile.FID
	bytes []byte // of full length; only those below shown may be read
	held  int64  // bytes of memory that it takes

	// dev and modified are set by the fill before anything is shown.
	dev      mogile.DevID
	modified int64 // unix seconds; 0 is unknown

	// refs counts who holds it: its fill, ristretto, and each reader. At 0, for ever,
	// its memory counts as free.
	refs      atomic.Int64
	shown     atomic.Int64
	ended     atomic.Bool // the fill has nothing more to show
	isDropped atomic.Bool // by ristretto
	cancel    context.CancelFunc
	unwanted  bool // it was removed while on its way; guarded by contentStripe.mu

	mu   sync.Mutex    // guards the two below
	more chan struct{} // closed when there is more to see; nil when nobody waits
	err  error
}

// newContent has a buffer with the capacity that the allocator gives anyway, so that
// held is what is really taken.
func newContent(owner *Contents, w Wanted) *Content {
	x := &Content{owner: owner, fid: w.FID, bytes: slices.Grow([]byte(nil), int(w.Length))[:w.Length]}
	x.held = int64(cap(x.bytes)) + contentTableBytes
	x.refs.Store(2) // its fill and who began it
	return x
}

// From returns the bytes from off on, as far as they have come; it waits for the first
// of them. off is less than the length. Its error is the fill's, or that of ctx.
func (x *Content) From(ctx context.Context, off int64) ([]byte, error) {
	for {
		if n := x.shown.Load(); n > off {
			return x.bytes[off:n], nil
		}
		more, err := x.wait(off)
		if err != nil {
			return nil, err
		}
		select {
		case <-more:
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for content: %w", context.Cause(ctx))
		}
	}
}

// wait returns a channel that is closed when there is more than off bytes to see, or
// there may be.
func (x *Content) wait(off int64) (<-chan struct{}, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	switch {
	case x.shown.Load() > off:
		return closedChannel(), nil
	case x.err != nil:
		return nil, x.err
	case x.more == nil:
		x.more = make(chan struct{})
	}
	return x.more, nil
}

func closedChannel() <-chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}

// IsWhole reports whether all bytes are there.
func (x *Content) IsWhole() bool { return x.shown.Load() == int64(len(x.bytes)) }

// Dev is the device that the content came from, or comes from; it may be asked for
// when From has returned bytes.
func (x *Content) Dev() mogile.DevID { return x.dev }

// Modified is when that copy was modified, in whole seconds, zero when it is not known;
// it may be asked for when From has returned bytes.
func (x *Content) Modified() time.Time {
	if x.modified == 0 {
		return time.Time{}
	}
	return time.Unix(x.modified, 0).UTC()
}

// Release ends a reader's use of the content. It is called once for each Get and Join
// that returned it.
func (x *Content) Release() {
	n := x.refs.Add(-1)
	if n > 1 || n == 1 && x.ended.Load() {
		return
	}
	if n == 0 {
		x.owner.underWay.Add(-x.held)
	}
	s := x.owner.stripe(x.fid)
	s.mu.Lock()
	defer s.mu.Unlock()
	// Who joins has the lock, so nobody has come back if it is still so.
	if n == 0 || x.refs.Load() == 1 && !x.ended.Load() {
		if s.coming[x.fid] == x {
			delete(s.coming, x.fid)
		}
		x.cancel() // nobody follows the fill any more
	}
}

// hold adds a reader, unless the content was given up by everybody.
func (x *Content) hold() bool {
	for {
		n := x.refs.Load()
		if n == 0 {
			return false
		}
		if x.refs.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// show lets readers see the first n bytes.
func (x *Content) show(n int64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.shown.Store(n)
	x.wakeLocked()
}

// end lets readers see all, or the error once they have come to where it happened.
func (x *Content) end(err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.err = err
	if err == nil {
		x.shown.Store(int64(len(x.bytes)))
	}
	x.ended.Store(true)
	x.wakeLocked()
}

func (x *Content) wakeLocked() {
	if x.more != nil {
		close(x.more)
		x.more = nil
	}
}

// Filling is a content as its fill sees it. It belongs to one goroutine.
type Filling struct {
	content *Content
	n       int64 // bytes that have come
	whole   bool  // show nothing before the end
}

var errTooLong = errors.New("content is longer than it should be")

// Write takes the next bytes.
func (f *Filling) Write(p []byte) (int, error) {
	n := copy(f.content.bytes[f.n:], p)
	f.came(n)
	if n < len(p) {
		return n, errTooLong
	}
	return n, nil
}

// ReadFrom takes the next bytes from r, until the content is complete or r has no more.
// Its errors are those of r.
func (f *Filling) ReadFrom(r io.Reader) (came int64, err error) {
	for f.n < int64(len(f.content.bytes)) && err == nil {
		var n int
		n, err = r.Read(f.content.bytes[f.n:])
		f.came(n)
		came += int64(n)
	}
	if err == io.EOF {
		err = nil
	}
	return came, err
}

func (f *Filling) came(n int) {
	f.n += int64(n)
	if !f.whole {
		f.content.show(f.n)
	}
}

// Describe says which copy the bytes come from and when that was modified; a zero time
// is unknown. It counts when nothing has come yet.
func (f *Filling) Describe(dev mogile.DevID, modified time.Time) {
	if f.n > 0 {
		return
	}
	f.content.dev, f.content.modified = dev, 0
	if !modified.IsZero() {
		f.content.modified = modified.Unix()
	}
}

// Bytes is what has come.
func (f *Filling) Bytes() []byte { return f.content.bytes[:f.n] }

// Restart forgets what has come. That is only possible when nothing is shown before
// the end.
func (f *Filling) Restart() bool {
	if f.whole {
		f.n = 0
	}
	return f.whole
}

// callFill turns a panic of fill into an error for all who follow.
func callFill(ctx context.Context, to *Filling, fill Fill) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("fill content: panic: %v\n%s", p, debug.Stack())
		}
	}()
	return fill(ctx, to)
}
