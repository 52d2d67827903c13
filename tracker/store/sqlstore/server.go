package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"go.uber.org/zap"

	"github.com/mogilefs/caddy-mogilefs/tracker/store"
	"github.com/mogilefs/caddy-mogilefs/tracker/store/sqlstore/patience"
)

const (
	// defaultConnections is enough to keep two or three cores of a database server
	// busy; many trackers share the server's limit.
	defaultConnections = 32
	// retryTime is how long a change that others stand in the way of is tried again.
	retryTime = 10 * time.Second
	// Between two tries, a random part of the pause lets one of the rivals win.
	firstRetryPause = time.Millisecond
	lastRetryPause  = 100 * time.Millisecond
	// maxReconnects is how often one call may find its connection lost: once each
	// for a server that restarted and one that went away again.
	maxReconnects = 2
)

// errAgain is what a function of a write returns when what it found has changed under
// its hands: it is undone and run again.
var errAgain = errors.New("the rows changed meanwhile")

// errUnknownOutcome: the connection was lost, or cut short, while the database committed.
// The change may have happened, or happen yet: the connection must not be used again, with
// what may be open on it.
var errUnknownOutcome = errors.New("the commit was interrupted: the outcome is unknown")

// serverDB is a database that others use as well, over connections that may break.
//
// What is retried, and why it is safe: a read, and a transaction that was not yet to
// be committed, on a new connection when the old one had served before; a transaction
// that the database undid for the sake of another one (a deadlock). A lost COMMIT is
// not: nobody knows what became of it.
type serverDB struct {
	d        *dialect
	sessions *sessions
	locks    *serverLocks
}

func newServerDB(pool *sql.DB, d *dialect, connections int, log *zap.Logger) *serverDB {
	if connections == 0 {
		connections = defaultConnections
	}
	all := newSessions(pool, d, connections)
	return &serverDB{d: d, sessions: all, locks: newServerLocks(all, log)}
}

// read implements database.
func (db *serverDB) read(ctx context.Context, fn func(*tx) error) error {
	return db.try(ctx, func(s *session) error { return fn(s.until(ctx)) })
}

// snapshot implements database.
func (db *serverDB) snapshot(ctx context.Context, fn func(*tx) error) error {
	return db.try(ctx, func(s *session) error {
		return db.transaction(ctx, s, db.d.snapshot, func(t *tx) error {
			return fn(t)
		})
	})
}

// write implements database.
func (db *serverDB) write(ctx context.Context, fn func(*tx) error) error {
	begin := db.d.begin
	return db.try(ctx, func(s *session) error {
		err := db.transaction(ctx, s, begin, fn)
		if err != nil && db.d.queue != nil && db.isRival(err) {
			begin = db.d.queue
		}
		return err
	})
}

// once implements database.
func (db *serverDB) once(ctx context.Context, fn func(*tx) error) error {
	s, err := db.sessions.take(ctx)
	if err != nil {
		return err
	}
	err = db.transaction(ctx, s, db.d.begin, fn)
	db.sessions.put(s, err == nil || !db.isLost(s, err))
	return err
}

// autocommit implements database.
func (db *serverDB) autocommit(ctx context.Context, fn func(*tx) error) error {
	if db.d.checkFID != nil {
		return db.write(ctx, fn) // a fid that is refused once it was given leaves no row
	}
	return db.try(ctx, func(s *session) error { return fn(s.in(ctx)) })
}

// transaction runs fn between begin and the commit.
func (db *serverDB) transaction(ctx context.Context, s *session, begin []string, fn func(*tx) error) error {
	for _, text := range begin {
		if err := s.do(ctx, text); err != nil {
			return err
		}
	}
	if err := fn(s.in(ctx)); err != nil {
		if undo := s.do(ctx, "ROLLBACK"); undo != nil && s.isAlive() {
			// Whatever state that connection is in, nobody else shall have it.
			return errors.Join(err, lostError{undo})
		}
		return err
	}
	err := s.do(ctx, "COMMIT")
	if err != nil && !db.d.isConflict(err) {
		return fmt.Errorf("%w: %w", errUnknownOutcome, err)
	}
	return err
}

// lostError marks an error after which a connection must not be used again.
type lostError struct{ error }

func (e lostError) Unwrap() error { return e.error }

// try runs fn on a session, again when that is safe and promises something.
func (db *serverDB) try(ctx context.Context, fn func(*session) error) error {
	var reconnects int
	began := time.Now()
	for pause := firstRetryPause; ; pause = min(2*pause, lastRetryPause) {
		s, err := db.sessions.take(ctx)
		if err != nil {
			return err
		}
		err = fn(s)
		if err == nil {
			db.sessions.put(s, true)
			return nil
		}
		lost, stale := db.isLost(s, err), s.reused
		db.sessions.put(s, !lost)
		switch {
		case errors.Is(err, errUnknownOutcome):
			return err
		case lost && stale && reconnects < maxReconnects:
			reconnects++
		case !lost && db.isRival(err) && time.Since(began) < retryTime:
			if !patience.Sleep(ctx, time.Duration(rand.Int64N(int64(pause)))) {
				return err
			}
		default:
			return err
		}
	}
}

// learn implements learner.
func (db *serverDB) learn(settings map[string]string) {
	if db.d.tellCases != nil {
		set := settings["case_sensitive_list_keys"]
		db.d.tellCases.Store(set != "" && set != "0")
	}
}

// isRival reports whether somebody else's transaction stood in the way.
func (db *serverDB) isRival(err error) bool {
	return errors.Is(err, errAgain) || db.d.isConflict(err)
}

// isLost reports whether the connection is of no use any more.
func (db *serverDB) isLost(s *session, err error) bool {
	var broken lostError
	return errors.As(err, &broken) || errors.Is(err, errUnknownOutcome) || db.d.isGone(err) || !s.isAlive()
}

// pool implements database.
func (db *serverDB) pool() store.Pool { return db.sessions.now() }

// close implements database.
func (db *serverDB) close() error {
	return errors.Join(db.locks.close(), db.sessions.close())
}
