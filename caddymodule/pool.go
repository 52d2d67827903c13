package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"
)

// pool holds what must outlive a reload: trackers with their jobs and
// connections, storage nodes, listeners, caches. A reload provisions
// the new config before it cleans up the old one, so what both use is found here
// and goes on untouched; what only the old one used is closed with it.
var pool = caddy.NewUsagePool()

// startWait bounds how long a request waits for a part that its config has not
// opened yet. Caddy starts apps in no order, so the HTTP server may take requests
// a moment before the app has opened its database.
const startWait = 10 * time.Second

var errNotStarted = errors.New("the mogilefs app has not started")

// shared is a long-lived part of which configs hold references. It is opened by
// the first App.Start that needs it, never by Provision, so that validating a
// config touches nothing.
type shared[T io.Closer] struct {
	open  func(context.Context, *zap.Logger) (T, error)
	log   *liveLogger
	ready chan struct{} // closed once value is open

	// uses counts the pool, as long as it has the part, and the requests that hold it.
	uses atomic.Int64

	mu     sync.Mutex // guards opened and closed
	opened bool
	closed bool
	value  T
}

func newShared[T io.Closer](open func(context.Context, *zap.Logger) (T, error)) *shared[T] {
	s := &shared[T]{open: open, log: newLiveLogger(), ready: make(chan struct{})}
	s.uses.Store(1)
	return s
}

// start opens the part unless it is open, and lets it log through log until r is
// released.
func (s *shared[T]) start(ctx context.Context, log *zap.Logger, r *refs) (T, error) {
	r.onRelease(s.log.use(log))
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.opened {
		return s.value, nil
	}
	value, err := s.open(ctx, s.log.Logger)
	if err != nil {
		return value, err
	}
	s.value, s.opened = value, true
	close(s.ready)
	return value, nil
}

// get returns the part, waiting for it while the process starts.
func (s *shared[T]) get(ctx context.Context) (T, error) {
	select {
	case <-s.ready:
		return s.value, nil
	default:
	}
	late := time.NewTimer(startWait)
	defer late.Stop()
	select {
	case <-s.ready:
		return s.value, nil
	case <-ctx.Done():
		var zero T
		return zero, context.Cause(ctx)
	case <-late.C:
		var zero T
		return zero, errNotStarted
	}
}

// hold keeps the part open until letGo, even if the last config that used it goes
// meanwhile: on a reload Caddy cleans the old config up while its last requests
// are still being answered.
func (s *shared[T]) hold() { s.uses.Add(1) }

// letGo ends what hold began, and closes the part if nothing else uses it.
func (s *shared[T]) letGo() error {
	if s.uses.Add(-1) > 0 {
		return nil
	}
	return s.close()
}

// Destruct closes the part when the last config that used it is gone, unless a
// request holds it; then that one closes it.
func (s *shared[T]) Destruct() error { return s.letGo() }

func (s *shared[T]) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.opened || s.closed {
		return nil
	}
	s.closed = true
	return s.value.Close()
}

// poolKey tells parts of different kinds and different settings apart.
type poolKey struct{ kind, settings string }

// refs is what one config holds in the pool; release gives all of it back.
type refs struct {
	keys []poolKey
	ends []func() // called before the keys are given back
}

// onRelease has f called once, by release.
func (r *refs) onRelease(f func()) { r.ends = append(r.ends, f) }

// load finds or makes the pooled value for a key and remembers the reference.
func load[T caddy.Destructor](r *refs, key poolKey, make func() (T, error)) (T, error) {
	value, _, err := pool.LoadOrNew(key, func() (caddy.Destructor, error) { return make() })
	if err != nil {
		var zero T
		return zero, err
	}
	r.keys = append(r.keys, key)
	return value.(T), nil
}

// release gives back every reference, in reverse order; calling it again does
// nothing, because deleting more often than loading panics.
func (r *refs) release() error {
	for _, end := range r.ends {
		end()
	}
	var errs []error
	for i := len(r.keys) - 1; i >= 0; i-- {
		if _, err := pool.Delete(r.keys[i]); err != nil {
			errs = append(errs, fmt.Errorf("close %s: %w", r.keys[i].kind, err))
		}
	}
	r.keys, r.ends = nil, nil
	return errors.Join(errs...)
}
