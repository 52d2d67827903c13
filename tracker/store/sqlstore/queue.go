package sqlstore

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
)

// never is the nexttry of a row that only an operator releases
// (docs/spec/schema.md §5.1).
const never = 1<<31 - 1

// maxDelay bounds how far ahead a row becomes due: far beyond the longest back-off,
// and no sum with the time comes near never.
const maxDelay = 365 * 24 * time.Hour

// seconds rounds up: a row is not due before its delay is over.
func seconds(d time.Duration) int64 {
	d = min(d, maxDelay)
	s := d / time.Second
	if d%time.Second > 0 {
		s++
	}
	return int64(s)
}

// fromOf is where a queue's rows say what to copy from, and what they have to say
// besides; only rows to replicate do.
func fromOf(q store.QueueName) (from, flags string, err error) {
	switch q {
	case store.ReplicateQueue:
		return "COALESCE(fromdevid, 0)", "flags", nil
	case store.DeleteQueue:
		return "0", "0", nil
	}
	return "", "", fmt.Errorf("queue %q is unknown", q)
}

// onQueue runs fn on a known queue; the name is a part of its statements.
func (s *Store) onQueue(ctx context.Context, q store.QueueName, fn func(*tx) error) error {
	if _, _, err := fromOf(q); err != nil {
		return err
	}
	return s.db.write(ctx, fn)
}

// onRow is onQueue for one statement, which does the same when it is run again.
func (s *Store) onRow(ctx context.Context, q store.QueueName, fn func(*tx) error) error {
	if _, _, err := fromOf(q); err != nil {
		return err
	}
	return s.db.autocommit(ctx, fn)
}

// Enqueue implements [store.Queue].
func (s *Store) Enqueue(ctx context.Context, q store.QueueName, delay time.Duration, fids ...mogile.FID) error {
	err := s.onQueue(ctx, q, func(t *tx) error { return enqueue(t, q, delay, fids...) })
	return wrap(err, "enqueue %d fids in %s", len(fids), q)
}

func enqueue(t *tx, q store.QueueName, delay time.Duration, fids ...mogile.FID) error {
	for _, fid := range fids {
		_, err := t.exec("INSERT IGNORE INTO "+string(q)+" (fid, nexttry) VALUES (?, UNIX_TIMESTAMP() + ?)", fid, seconds(delay))
		if err != nil {
			return err
		}
	}
	return nil
}

// replicateNow queues what is new: it comes before all that waits.
func replicateNow(t *tx, fid mogile.FID) error {
	_, err := t.exec("INSERT IGNORE INTO file_to_replicate (fid, nexttry) VALUES (?, 0)", fid)
	return err
}

// replicateAnew queues what has to be looked at from the start. (The peer leaves a row
// that is there as it is: a worker that has it in hand then removes it, and the change
// is forgotten.)
func replicateAnew(t *tx, fid mogile.FID) error {
	_, err := t.exec(`REPLACE INTO file_to_replicate (fid, nexttry, fromdevid, failcount, flags)
		VALUES (?, 0, NULL, 0, 0)`, fid)
	return err
}

// Claim implements [store.Queue].
func (s *Store) Claim(ctx context.Context, q store.QueueName, limit int, lease time.Duration) (items []store.Item, err error) {
	from, _, err := fromOf(q)
	if err != nil {
		return nil, wrap(err, "claim")
	}
	err = s.db.write(ctx, func(t *tx) (err error) {
		items, err = list(t, scanItem, "SELECT fid, failcount, "+from+" FROM "+string(q)+`
			WHERE nexttry <= UNIX_TIMESTAMP() ORDER BY nexttry LIMIT ? FOR UPDATE`, max(limit, 0))
		if err != nil {
			return err
		}
		var until int64
		if err := t.row("SELECT UNIX_TIMESTAMP() + ?", seconds(lease)).Scan(&until); err != nil {
			return err
		}
		for i := range items {
			items[i].Until = until
			if _, err := t.exec("UPDATE "+string(q)+" SET nexttry = ? WHERE fid = ?", until, items[i].FID); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, wrap(err, "claim from %s", q)
	}
	return items, nil
}

func scanItem(s scanner) (i store.Item, err error) {
	err = s.Scan(&i.FID, &i.FailCount, &i.From)
	return i, err
}

// Finish implements [store.Queue].
func (s *Store) Finish(ctx context.Context, q store.QueueName, item store.Item) error {
	err := s.onRow(ctx, q, func(t *tx) error {
		_, err := t.exec("DELETE FROM "+string(q)+" WHERE fid = ? AND ? IN (0, nexttry)", item.FID, item.Until)
		return err
	})
	return wrap(err, "finish fid %d in %s", item.FID, q)
}

// Postpone implements [store.Queue].
func (s *Store) Postpone(ctx context.Context, q store.QueueName, fid mogile.FID, delay time.Duration, failCount int) error {
	err := s.onRow(ctx, q, func(t *tx) error {
		_, err := t.exec("UPDATE "+string(q)+" SET nexttry = UNIX_TIMESTAMP() + ?, failcount = ? WHERE fid = ?",
			seconds(delay), clampFails(failCount), fid)
		return err
	})
	return wrap(err, "postpone fid %d in %s", fid, q)
}

// Park implements [store.Queue].
func (s *Store) Park(ctx context.Context, q store.QueueName, fid mogile.FID, failCount int) error {
	err := s.onRow(ctx, q, func(t *tx) error {
		_, err := t.exec("UPDATE "+string(q)+" SET nexttry = ?, failcount = ? WHERE fid = ?",
			never, clampFails(failCount), fid)
		return err
	})
	return wrap(err, "park fid %d in %s", fid, q)
}

func clampFails(n int) int { return min(max(n, 0), maxTiny) }

// Queued implements [store.Queue].
func (s *Store) Queued(ctx context.Context, q store.QueueName, fid mogile.FID) (r store.QueueRow, err error) {
	from, flags, err := fromOf(q)
	if err != nil {
		return r, wrap(err, "find fid %d", fid)
	}
	err = s.db.read(ctx, func(t *tx) error {
		return t.row("SELECT fid, nexttry, failcount, "+from+", "+flags+" FROM "+string(q)+" WHERE fid = ?", fid).
			Scan(&r.FID, &r.NextTry, &r.FailCount, &r.From, &r.Flags)
	})
	return r, wrap(err, "find fid %d in %s", fid, q)
}

// NextDue implements [store.Queue].
func (s *Store) NextDue(ctx context.Context, q store.QueueName) (time.Duration, error) {
	if _, _, err := fromOf(q); err != nil {
		return 0, wrap(err, "find next due")
	}
	var wait sql.Null[int64]
	err := s.db.read(ctx, func(t *tx) error {
		err := t.row("SELECT MIN(nexttry) - UNIX_TIMESTAMP() FROM "+string(q)+" WHERE nexttry < ?", never).Scan(&wait)
		if err == nil && !wait.Valid {
			err = store.ErrNotFound
		}
		return err
	})
	return time.Duration(max(wait.V, 0)) * time.Second, wrap(err, "find next due in %s", q)
}
