package sqlstore

import (
	"context"
	"strconv"
	"time"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
)

// Who counts the log, or empties it, has a lock that peers take for that, too
// (docs/spec/schema.md §7.1).
const (
	foldLock     = "mgfs:fscksum"
	foldLockWait = 10 * time.Second
)

// The settings that say how much of the log is counted (docs/spec/schema.md §6).
const (
	logProcessed = "fsck_logid_processed"
	logStart     = "fsck_start_maxlogid"
	sumPrefix    = "fsck_sum_evcount_"
)

// portion is how many rows one transaction changes where there can be millions: a few
// hundred milliseconds' work, in which others wait little.
const portion = 10_000

// LogFsck implements [store.FsckLog].
func (s *Store) LogFsck(ctx context.Context, events ...store.FsckEvent) error {
	err := s.db.write(ctx, func(t *tx) error {
		for _, e := range events {
			_, err := t.exec("INSERT INTO fsck_log (utime, fid, evcode, devid) VALUES (UNIX_TIMESTAMP(), ?, ?, ?)",
				orNull(e.FID), orNull(e.Code), orNull(e.Dev))
			if err != nil {
				return err
			}
		}
		return nil
	})
	return wrap(err, "log %d fsck events", len(events))
}

// orNull is NULL for a zero value.
func orNull[T comparable](v T) any {
	var zero T
	if v == zero {
		return nil
	}
	return v
}

// FsckEvents implements [store.FsckLog].
func (s *Store) FsckEvents(ctx context.Context, after int64, limit int) (events []store.FsckEvent, err error) {
	err = s.db.read(ctx, func(t *tx) (err error) {
		events, err = list(t, scanEvent, `SELECT logid, utime, COALESCE(fid, 0), COALESCE(devid, 0), COALESCE(evcode, '')
			FROM fsck_log WHERE logid > ? ORDER BY logid LIMIT ?`, after, max(limit, 0))
		return err
	})
	return events, wrap(err, "list fsck events after %d", after)
}

func scanEvent(s scanner) (e store.FsckEvent, err error) {
	err = s.Scan(&e.LogID, &e.Time, &e.FID, &e.Dev, &e.Code)
	return e, err
}

// LastFsckEvent implements [store.FsckLog].
func (s *Store) LastFsckEvent(ctx context.Context) (last int64, err error) {
	err = s.db.read(ctx, func(t *tx) (err error) {
		last, err = lastEvent(t)
		return err
	})
	return last, wrap(err, "find last fsck event")
}

func lastEvent(t *tx) (last int64, err error) {
	err = t.row("SELECT COALESCE(MAX(logid), 0) FROM fsck_log").Scan(&last)
	return last, err
}

// FoldFsckLog implements [store.FsckLog].
func (s *Store) FoldFsckLog(ctx context.Context) error {
	release, err := s.Lock(ctx, foldLock, foldLockWait)
	if err != nil {
		return wrap(err, "count fsck events")
	}
	defer release()
	return wrap(s.db.write(ctx, foldLog), "count fsck events")
}

// foldLog counts events up to the last one there is. An event that was given its number
// before that one, but is committed after this, is not counted, with peers neither.
func foldLog(t *tx) error {
	return changeSettings(t, func(now map[string]string) (c store.SettingChanges, err error) {
		last, err := lastEvent(t)
		if err != nil {
			return c, err
		}
		from := counted(now)
		c.Set = map[string]string{logProcessed: strconv.FormatInt(last, 10)}
		switch {
		case last == from:
			return store.SettingChanges{}, nil
		case last < from: // a peer emptied the log, and numbers begin anew
			from = 0
			c.Set[logStart] = "0"
		}
		sums, err := list(t, scanSum, `SELECT evcode, COUNT(*) FROM fsck_log
			WHERE logid > ? AND logid <= ? AND evcode IS NOT NULL GROUP BY evcode`, from, last)
		for _, s := range sums {
			field := sumPrefix + s.code
			c.Set[field] = strconv.FormatInt(count(now[field])+s.n, 10)
		}
		return c, err
	})
}

// counted is the last event that is counted. Peers set either field when they begin.
func counted(now map[string]string) int64 { return max(count(now[logProcessed]), count(now[logStart])) }

type eventSum struct {
	code string
	n    int64
}

func scanSum(s scanner) (sum eventSum, err error) {
	err = s.Scan(&sum.code, &sum.n)
	return sum, err
}

// count reads a number out of a setting; what is none counts as 0.
func count(setting string) int64 {
	n, _ := strconv.ParseInt(setting, 10, 64)
	return max(n, 0)
}

// ClearFsckLog implements [store.FsckLog].
//
// Order: 1 what is there is counted; 2 just that is removed, the oldest first; 3 counting
// begins anew, as the numbers may: a server that restarts with an empty log can begin
// with 1 again. A crash after 1 or 2 leaves a log that begins later, and is counted right.
func (s *Store) ClearFsckLog(ctx context.Context) error {
	release, err := s.Lock(ctx, foldLock, foldLockWait)
	if err != nil {
		return wrap(err, "clear fsck log")
	}
	defer release()
	if err := s.db.write(ctx, foldLog); err != nil {
		return wrap(err, "clear fsck log")
	}
	for more := true; more && err == nil; {
		more, err = s.clearOldest(ctx)
	}
	return wrap(err, "clear fsck log")
}

// clearOldest removes the oldest counted events. more is false when there are no others.
func (s *Store) clearOldest(ctx context.Context) (more bool, err error) {
	err = s.db.write(ctx, func(t *tx) error {
		return changeSettings(t, func(now map[string]string) (c store.SettingChanges, err error) {
			ids, err := list(t, single[int64], "SELECT logid FROM fsck_log WHERE logid <= ? ORDER BY logid LIMIT ?", counted(now), portion)
			if more = len(ids) == portion; err != nil {
				return c, err
			}
			if len(ids) > 0 {
				_, err = t.exec("DELETE FROM fsck_log WHERE logid <= ?", ids[len(ids)-1])
			}
			if !more {
				c.Unset = []string{logProcessed, logStart}
			}
			return c, err
		})
	})
	return more, err
}

// DueWithin implements [store.Queue].
func (s *Store) DueWithin(ctx context.Context, q store.QueueName, d time.Duration) (int64, error) {
	return s.count(ctx, q, "nexttry <= UNIX_TIMESTAMP() + ?", seconds(d))
}

// MaxFID implements [store.Files].
func (s *Store) MaxFID(ctx context.Context) (fid mogile.FID, err error) {
	err = s.db.read(ctx, func(t *tx) error { return t.row("SELECT COALESCE(MAX(fid), 0) FROM file").Scan(&fid) })
	return fid, wrap(err, "find highest fid")
}
