package sqlstore

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/mogilefs/caddy-mogilefs/tracker/store"
)

// serverLocks holds the locks of this process on a connection of its own: the server
// gives them back when that ends, and so knows who has died. One connection holds any
// number of them, so that many workers don't need as many connections.
type serverLocks struct {
	sessions *sessions
	log      *zap.Logger

	mu      sync.Mutex // guards all below; held while the server is asked
	session *session   // nil until it is needed
	held    map[string]struct{}
	// failure is the last of connecting, at the time failed.
	failure error
	failed  time.Time
}

func newServerLocks(s *sessions, log *zap.Logger) *serverLocks {
	return &serverLocks{sessions: s, log: log, held: map[string]struct{}{}}
}

// tryLock implements database.
func (db *serverDB) tryLock(ctx context.Context, name string) (unlock func() error, err error) {
	if err := db.locks.lock(ctx, name); err != nil {
		return nil, err
	}
	return func() error { return db.locks.unlock(context.WithoutCancel(ctx), name) }, nil
}

func (l *serverLocks) lock(ctx context.Context, name string) error {
	began := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.session == nil && l.failed.After(began) {
		return l.failure // or many who wait, each for as long as the first, would take for ever
	}
	var got bool
	err := l.ask(ctx, func(t *tx) (err error) {
		got, err = t.d.tryLock(t, name)
		return err
	})
	switch {
	case err != nil:
		return err
	case !got:
		return store.ErrLocked
	}
	l.held[name] = struct{}{}
	return nil
}

func (l *serverLocks) unlock(ctx context.Context, name string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.held, name)
	if l.session == nil {
		return nil // it went with its connection
	}
	return l.ask(ctx, func(t *tx) error { return t.d.unlock(t, name) })
}

// ask runs fn on the locks' connection, twice when the first time showed that it was
// lost.
func (l *serverLocks) ask(ctx context.Context, fn func(*tx) error) error {
	err := l.askOnce(ctx, fn)
	if err != nil && l.session == nil {
		err = l.askOnce(ctx, fn)
	}
	return err
}

func (l *serverLocks) askOnce(ctx context.Context, fn func(*tx) error) error {
	if err := l.connect(ctx); err != nil {
		return err
	}
	err := fn(l.session.in(ctx))
	if err != nil && (l.session.stmts.d.isGone(err) || !l.session.isAlive()) {
		_ = l.session.close()
		l.session = nil
	}
	return err
}

// connect opens the connection. Locks that went with an earlier one are taken again,
// where nobody was quicker: their holders don't know that they were without.
func (l *serverLocks) connect(ctx context.Context) error {
	if l.session != nil {
		return nil
	}
	s, err := l.sessions.connect(ctx)
	if err != nil {
		l.failure, l.failed = err, time.Now()
		return err
	}
	for name := range l.held {
		got, err := s.stmts.d.tryLock(s.in(ctx), name)
		if err != nil {
			return errors.Join(err, s.close())
		}
		if !got {
			l.log.Warn("lock lost with its connection, and another has it now", zap.String("lock", name))
		}
	}
	l.session = s
	return nil
}

func (l *serverLocks) close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.session == nil {
		return nil
	}
	err := l.session.close()
	l.session = nil
	return err
}
