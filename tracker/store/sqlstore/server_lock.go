package sqlstore

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/mogilefs/caddy-mogilefs/tracker/store"
	"github.com/mogilefs/caddy-mogilefs/tracker/store/sqlstore/company"
)

// serverLocks holds the locks of this process on a connection of its own: the server
// gives them back when that ends, and so knows who has died. One connection holds any
// number of them, so that many workers don't need as many connections. Those who come
// while it is busy are served by the next statement together. Nobody asks for a lock that is
// asked for, or is being given back: the store's gates see to that.
type serverLocks struct {
	sessions     *sessions
	log          *zap.Logger
	takes, backs *company.Company[string, bool] // by name

	mu      sync.Mutex // guards all below; held while the server is asked
	session *session   // nil until it is needed
	held    map[string]struct{}
	// failure is the last of connecting, at the time failed.
	failure error
	failed  time.Time
}

// How long at least is between two statements that take locks, and that give them back, while
// there is demand: a job that does two thousand rows in a second has four taken at a time, and
// twenty given back. Hardly anybody waits for the latter.
const (
	lockPace   = 2 * time.Millisecond
	unlockPace = 10 * time.Millisecond
)

// locker is one of many who want a lock, or give one back. He gets whether he has, or had, it.
type locker = company.Guest[string, bool]

func newServerLocks(s *sessions, log *zap.Logger) *serverLocks {
	l := &serverLocks{sessions: s, log: log, held: map[string]struct{}{}}
	l.takes, l.backs = l.together(false, lockPace), l.together(true, unlockPace)
	return l
}

// together serves those who take locks, or those who give them back.
func (l *serverLocks) together(back bool, pace time.Duration) *company.Company[string, bool] {
	return company.New(company.Rules[string, bool]{
		Turns: 1, Most: maxTogether, Pace: pace, Patient: true,
		Alone: func(ctx context.Context, name string) (bool, error) {
			had, err := l.change(ctx, back, name)
			return err == nil && had[0], err
		},
		Together: func(group []*locker) { settle(group, l.changeAll(back, group)) },
	})
}

// errNotHeld: somebody gives back what went with a connection, or was taken from us.
var errNotHeld = errors.New("it was not held any more")

// tryLock implements database.
func (db *serverDB) tryLock(ctx context.Context, name string) (unlock func() error, err error) {
	got, err := db.locks.takes.Ask(ctx, name)
	switch {
	case err != nil:
		return nil, err
	case !got:
		return nil, store.ErrLocked
	}
	return func() error {
		had, err := db.locks.backs.Ask(context.WithoutCancel(ctx), name)
		switch {
		case errors.Is(err, errClosed):
			return nil // it went with its connection
		case err == nil && !had:
			return errNotHeld
		}
		return err
	}, nil
}

// changeAll is for a group, in one statement.
func (l *serverLocks) changeAll(back bool, group []*locker) error {
	names := make([]string, len(group))
	for i, g := range group {
		names[i] = g.Asks
	}
	had, err := l.change(context.Background(), back, names...)
	if err != nil {
		return err
	}
	for i, g := range group {
		g.Got, g.In = had[i], true
	}
	return nil
}

// change takes locks, or gives them back, and reports of each whether it has, or had, it.
func (l *serverLocks) change(ctx context.Context, back bool, names ...string) ([]bool, error) {
	began := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case back:
		return l.giveBackLocked(ctx, names)
	case l.session == nil && l.failed.After(began):
		return nil, l.failure // or many who wait, each for as long as the first, would take for ever
	}
	return l.takeLocked(ctx, names)
}

func (l *serverLocks) takeLocked(ctx context.Context, names []string) (got []bool, err error) {
	err = l.ask(ctx, func(t *tx) (err error) {
		got, err = t.d.tryLock(t, names...)
		return err
	})
	if err != nil {
		if l.session != nil { // some may have been taken before it failed
			_, undo := l.giveBackLocked(ctx, names)
			err = errors.Join(err, undo)
		}
		return nil, err
	}
	for i, name := range names {
		if got[i] {
			l.held[name] = struct{}{}
		}
	}
	return got, nil
}

func (l *serverLocks) giveBackLocked(ctx context.Context, names []string) (had []bool, err error) {
	for _, name := range names {
		delete(l.held, name)
	}
	if l.session == nil { // they went with its connection
		return slices.Repeat([]bool{true}, len(names)), nil
	}
	err = l.ask(ctx, func(t *tx) (err error) {
		had, err = t.d.unlock(t, names...)
		return err
	})
	return had, err
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
		if !got[0] {
			l.log.Warn("lock lost with its connection, and another has it now", zap.String("lock", name))
		}
	}
	l.session = s
	return nil
}

func (l *serverLocks) close() error {
	l.takes.Close()
	l.backs.Close()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.session == nil {
		return nil
	}
	err := l.session.close()
	l.session = nil
	return err
}
