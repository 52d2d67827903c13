package cache

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"

	"github.com/mogilefs/caddy-mogilefs/mogile"
)

// stripe is the part of the cache that shares a lock.
type stripe struct {
	// mu guards the two below. It is also held, shared, over a look into the
	// entries: ristretto must not be read while it is closed.
	mu      sync.RWMutex
	closed  bool
	flights map[flightID]*flight

	_ [64]byte // keeps neighbours' locks in other cache lines
}

// flightID is what callers must have in common to share a load.
type flightID struct {
	domain     mogile.DomainName
	key        mogile.Key
	generation uint64
}

// flight is one load and those who wait for it.
type flight struct {
	cancel  context.CancelFunc
	waiting int // guarded by stripe.mu; at 0 the load is of no use to anyone
	// renews is the entry that is to be replaced before its TTL is over; nil for a load
	// that somebody waits for.
	renews *Entry

	done  chan struct{} // closed when the two below are set
	entry *Entry
	err   error
}

// join waits for the flight of that id and begins it when there is none.
func (l *Locations) join(ctx context.Context, hash uint64, id flightID, load Load) (Found, error) {
	s := l.stripe(hash)
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return alone(ctx, id, load)
	}
	f := s.flights[id]
	if f == nil {
		f = l.beginLocked(context.WithoutCancel(ctx), s, hash, id, load, nil)
	}
	f.waiting++
	s.mu.Unlock()

	select {
	case <-f.done:
		return Found{Entry: f.entry}, f.err
	case <-ctx.Done():
		s.leave(id, f)
		return Found{}, fmt.Errorf("wait for location: %w", context.Cause(ctx))
	}
}

// renew begins a flight that nobody waits for, unless there is one.
func (l *Locations) renew(e *Entry, hash uint64, id flightID, load Load) {
	s := l.stripe(hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.flights[id] != nil {
		return
	}
	id.domain, id.key = e.domain, e.key // the caller's may be a part of its request
	f := l.beginLocked(context.Background(), s, hash, id, load, e)
	f.waiting++ // and this one never leaves
}

// beginLocked starts the load under a context of its own: the caller who happens
// to be first may leave without failing the others. Its values are his, so that the load shows in his
// trace.
func (l *Locations) beginLocked(ctx context.Context, s *stripe, hash uint64, id flightID, load Load, renews *Entry) *flight {
	ctx, cancel := context.WithCancel(ctx)
	f := &flight{cancel: cancel, renews: renews, done: make(chan struct{})}
	s.flights[id] = f
	began := l.now()
	l.config.Tally.Loads.Add(1)
	l.loads.Go(func() {
		defer cancel()
		// In a defer, so that a load that ends its goroutine hangs nobody.
		f.err = errors.New("load location: ended without an answer")
		defer func() {
			s.mu.Lock()
			s.forgetLocked(id, f)
			s.mu.Unlock()
			close(f.done)
		}()
		e := &Entry{domain: id.domain, key: id.key, generation: id.generation}
		e.Location, f.err = call(ctx, id, load)
		switch {
		case f.err == nil:
			f.entry = e
		case errors.Is(f.err, ErrAbsent):
			e.absent = f.err
		default:
			l.config.Tally.LoadErrors.Add(1)
			if f.renews != nil {
				f.renews.failed(l.now())
			}
			return
		}
		e.own()
		l.keep(hash, e, began)
	})
	return f
}

// call turns a panic of load into an error for all who wait.
func call(ctx context.Context, id flightID, load Load) (loc mogile.Location, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("load location: panic: %v\n%s", p, debug.Stack())
		}
	}()
	return load(ctx, id.domain, id.key)
}

// alone is join for a closed cache: nothing shared, nothing remembered.
func alone(ctx context.Context, id flightID, load Load) (Found, error) {
	loc, err := load(ctx, id.domain, id.key)
	if err != nil {
		return Found{}, err
	}
	return Found{Entry: &Entry{Location: loc}}, nil
}

// leave gives up waiting. The last to leave ends the load, and takes the flight
// away in the same step: who comes later must not join what is being cancelled.
func (s *stripe) leave(id flightID, f *flight) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f.waiting--; f.waiting == 0 {
		s.forgetLocked(id, f)
		f.cancel()
	}
}

// forgetLocked removes f, unless another flight has taken its place.
func (s *stripe) forgetLocked(id flightID, f *flight) {
	if s.flights[id] == f {
		delete(s.flights, id)
	}
}

func (s *stripe) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
}
