package legacy

import (
	"context"
	"crypto/md5"
	"database/sql"
	"encoding/binary"
	"errors"
	"time"

	"github.com/mogilefs/caddy-mogilefs/tracker/store"
)

// How long the reference waits for its locks (docs/spec/schema.md §7.1).
const (
	replicateWait = time.Second
	fidWait       = 10 * time.Second
	claimWait     = 30 * time.Second
)

// lockPoll is how often a lock that the database does not wait for is tried. The
// reference takes a second; tests have no time for that.
const lockPoll = 20 * time.Millisecond

// pid stands for the old tracker in locks of SQLite: that of a process which is there, and
// is not this one.
const pid = 1

// Lock takes a named lock and keeps it until Unlock: one at a time (docs/spec/schema.md
// §7.1). store.ErrLocked: somebody has had it for the whole wait.
func (t *Tracker) Lock(ctx context.Context, name string, wait time.Duration) error {
	if t.locked != "" {
		return errors.New("lock recursion: has " + t.locked + " and wants " + name)
	}
	for until := time.Now().Add(wait); ; {
		got, err := t.tryLock(ctx, name, wait)
		if err != nil {
			return err
		}
		if got {
			t.locked = name
			return nil
		}
		if time.Now().After(until) {
			return store.ErrLocked
		}
		select {
		case <-time.After(lockPoll):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (t *Tracker) tryLock(ctx context.Context, name string, wait time.Duration) (bool, error) {
	switch t.kind {
	case MySQL:
		var got sql.NullInt64
		err := t.row(ctx, "SELECT GET_LOCK(?, ?)", name, int(wait.Seconds())).Scan(&got)
		return got.Int64 == 1, err
	case Postgres:
		var got bool
		err := t.row(ctx, "SELECT pg_try_advisory_lock(?, ?)", lockID(t.host), lockID(name)).Scan(&got)
		return got, err
	}
	if _, err := t.exec(ctx, "DELETE FROM lock WHERE lockid = ? AND acquiredat < UNIX_TIMESTAMP() - 3600", lockID(name)); err != nil {
		return false, err
	}
	_, err := t.exec(ctx, "INSERT INTO lock (lockid, hostname, pid, acquiredat) VALUES (?, ?, ?, UNIX_TIMESTAMP() + 0)",
		lockID(name), t.host, pid)
	if errors.Is(err, store.ErrDup) {
		return false, nil
	}
	return err == nil, err
}

// Unlock gives back what Lock took.
func (t *Tracker) Unlock(ctx context.Context) (err error) {
	name := t.locked
	t.locked = ""
	switch t.kind {
	case MySQL:
		var was sql.NullInt64
		err = t.row(ctx, "SELECT RELEASE_LOCK(?)", name).Scan(&was)
	case Postgres:
		var was bool
		err = t.row(ctx, "SELECT pg_advisory_unlock(?, ?)", lockID(t.host), lockID(name)).Scan(&was)
	default:
		_, err = t.exec(ctx, "DELETE FROM lock WHERE lockid = ? AND pid = ? AND hostname = ?", lockID(name), pid, t.host)
	}
	return err
}

func (t *Tracker) locking(ctx context.Context, name string, wait time.Duration, fn func() error) error {
	if err := t.Lock(ctx, name, wait); err != nil {
		return err
	}
	err := fn()
	return errors.Join(err, t.Unlock(ctx))
}

// lockID is a lock's number in SQLite and PostgreSQL.
func lockID(name string) int32 {
	sum := md5.Sum([]byte(name))
	return int32(binary.BigEndian.Uint32(sum[:4]) & 0x7fffffff)
}
