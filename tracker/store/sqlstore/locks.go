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
	leave, err := s.gates.Enter(ctx, name)
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
