package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"
)

// pool holds what must outlive a reload: trackers with their jobs and
// connections, storage nodes, listeners, location caches. A reload provisions
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

	mu     sync.Mutex // guards opened and closed
	opened bool
	closed bool
	value  T
}

func newShared[T io.Closer](open func(context.Context, *zap.Logger) (T, error)) *shared[T] {
	return &shared[T]{open: open, log: newLiveLogger(), ready: make(chan struct{})}
}

// start opens the part unless it is open, and lets it log through log from now on.
func (s *shared[T]) start(ctx context.Context, log *zap.Logger) (T, error) {
	s.log.use(log)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.opened || s.closed {
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

// Destruct closes the part when the last config that used it is gone.
func (s *shared[T]) Destruct() error {
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
type refs struct{ keys []poolKey }

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
	var errs []error
	for i := len(r.keys) - 1; i >= 0; i-- {
		if _, err := pool.Delete(r.keys[i]); err != nil {
			errs = append(errs, fmt.Errorf("close %s: %w", r.keys[i].kind, err))
		}
	}
	r.keys = nil
	return errors.Join(errs...)
}
