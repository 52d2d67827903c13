package sqlstore

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/mogilefs/caddy-mogilefs/tracker/store"
)

// How often another process's lock is tried again: soon at first, since most are
// held for one request to a node, then as rarely as the peer does
// (docs/spec/schema.md §7.1).
const (
	firstLockPoll = 10 * time.Millisecond
	lastLockPoll  = time.Second
)

// Lock implements [store.Locks]. Goroutines of this store queue at a gate, by
// channel; only who has passed it asks the database, which knows processes but no
// goroutines.
func (s *Store) Lock(ctx context.Context, name string, wait time.Duration) (release func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, wrap(err, "lock %s", name)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, wait, store.ErrLocked)
	defer cancel()
	leave, err := s.gates.enter(ctx, name)
	if err != nil {
		return nil, wrap(err, "lock %s", name)
	}
	unlock, err := s.lockAgainstOthers(ctx, name)
	if err != nil {
		leave()
		return nil, wrap(err, "lock %s", name)
	}
	return sync.OnceFunc(func() {
		defer leave()
		if err := unlock(); err != nil {
			s.log.Warn("unlock", zap.String("lock", name), zap.Error(err))
		}
	}), nil
}

// lockAgainstOthers tries until ctx ends. The first try comes even after that: a
// caller that doesn't wait gets a lock that is free.
func (s *Store) lockAgainstOthers(ctx context.Context, name string) (unlock func() error, err error) {
	for pause := firstLockPoll; ; pause = min(2*pause, lastLockPoll) {
		unlock, err := s.db.tryLock(context.WithoutCancel(ctx), name)
		if !errors.Is(err, store.ErrLocked) {
			return unlock, err
		}
		retry := time.NewTimer(pause)
		select {
		case <-retry.C:
		case <-ctx.Done():
			retry.Stop()
			return nil, context.Cause(ctx)
		}
	}
}

// gates lets one goroutine at a time pass per name.
type gates struct {
	mu     sync.Mutex
	byName map[string]*gate // guarded by mu; a gate is there while somebody uses it
}

type gate struct {
	// pass holds a token while somebody is inside.
	pass chan struct{}
	// users are inside or wait; guarded by gates.mu.
	users int
}

func newGates() *gates { return &gates{byName: map[string]*gate{}} }

// enter waits for its turn until ctx ends, and returns the cause then. A gate
// that is free is entered even when ctx is over.
func (g *gates) enter(ctx context.Context, name string) (leave func(), err error) {
	at := g.use(name)
	select {
	case at.pass <- struct{}{}:
	default:
		select {
		case at.pass <- struct{}{}:
		case <-ctx.Done():
			g.unuse(name)
			return nil, context.Cause(ctx)
		}
	}
	return func() {
		<-at.pass
		g.unuse(name)
	}, nil
}

func (g *gates) use(name string) *gate {
	g.mu.Lock()
	defer g.mu.Unlock()
	at, ok := g.byName[name]
	if !ok {
		at = &gate{pass: make(chan struct{}, 1)}
		g.byName[name] = at
	}
	at.users++
	return at
}

func (g *gates) unuse(name string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	at := g.byName[name]
	if at.users--; at.users == 0 {
		delete(g.byName, name)
	}
}
