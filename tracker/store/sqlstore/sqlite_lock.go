package sqlstore

import (
	"context"
	"crypto/md5"
	"encoding/binary"
	"errors"
	"os"
	"syscall"
	"time"

	"github.com/mogilefs/caddy-mogilefs/tracker/store"
)

// staleLock is how many seconds after it was taken a lock counts as left behind,
// whoever has it (docs/spec/schema.md §7.1).
const staleLock = 3600

// born is when this process began to run, in unix seconds: a lock that says it is
// ours and is older is that of a predecessor with the same pid. In a container
// every process has the same.
var born = time.Now().Unix()

// lockRow is a row of the table lock.
type lockRow struct {
	id       uint32
	host     string
	pid      int
	acquired int64
}

// lockID is what the peer makes of a lock's name.
func lockID(name string) uint32 {
	sum := md5.Sum([]byte(name))
	return binary.BigEndian.Uint32(sum[:4]) & 0x7fffffff
}

// tryLock implements database with a row of the table lock. Two stores on one file
// in one process exclude each other too: a row with our own pid that is younger
// than the process is somebody's.
func (db *sqliteDB) tryLock(ctx context.Context, name string) (unlock func() error, err error) {
	mine := lockRow{id: lockID(name), host: db.host, pid: os.Getpid()}
	err = db.write(ctx, func(t *tx) error {
		if err := t.row("SELECT UNIX_TIMESTAMP()").Scan(&mine.acquired); err != nil {
			return err
		}
		holds := lockRow{id: mine.id}
		err := t.row("SELECT hostname, pid, acquiredat FROM lock WHERE lockid = ?", mine.id).
			Scan(&holds.host, &holds.pid, &holds.acquired)
		if err == nil && !holds.isStale(mine) {
			return store.ErrLocked
		}
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		_, err = t.exec("REPLACE INTO lock (lockid, hostname, pid, acquiredat) VALUES (?, ?, ?, ?)",
			mine.id, mine.host, mine.pid, mine.acquired)
		return err
	})
	if err != nil {
		return nil, err
	}
	return func() error { return db.unlock(context.WithoutCancel(ctx), mine) }, nil
}

// unlock removes exactly the row that was taken: after staleLock seconds, another
// may have it.
func (db *sqliteDB) unlock(ctx context.Context, l lockRow) error {
	return db.write(ctx, func(t *tx) error {
		_, err := t.exec("DELETE FROM lock WHERE lockid = ? AND hostname = ? AND pid = ? AND acquiredat = ?",
			l.id, l.host, l.pid, l.acquired)
		return err
	})
}

// isStale reports whether nobody holds l any more, as seen by one who wants it now.
func (l lockRow) isStale(now lockRow) bool {
	switch {
	case now.acquired-l.acquired > staleLock:
		return true
	case l.host != now.host:
		return false
	case l.pid == now.pid:
		return l.acquired < born
	}
	return !processExists(l.pid)
}

// processExists asks without touching: signal 0 is not delivered. A process of
// another user exists too.
func processExists(pid int) bool {
	p, err := os.FindProcess(pid)
	if err != nil {
		return false
	}
	defer p.Release()
	err = p.Signal(syscall.Signal(0))
	return !errors.Is(err, os.ErrProcessDone)
}
