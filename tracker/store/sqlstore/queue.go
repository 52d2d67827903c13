package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
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

// queueRows are the rows of a queue: where they are, and what they say besides.
type queueRows struct {
	table string
	// only is a condition that ends with AND, or empty when all rows of the table are
	// meant.
	only             string
	from, arg, flags string
}

func rowsOf(q store.QueueName) (queueRows, error) {
	switch q {
	case store.ReplicateQueue:
		return queueRows{table: "file_to_replicate", from: "COALESCE(fromdevid, 0)", arg: "''", flags: "flags"}, nil
	case store.DeleteQueue:
		return queueRows{table: "file_to_delete2", from: "0", arg: "''", flags: "0"}, nil
	case store.FsckQueue:
		return workRows(store.FsckWork), nil
	case store.RebalanceQueue:
		return workRows(store.RebalanceWork), nil
	}
	return queueRows{}, fmt.Errorf("queue %q is unknown", q)
}

func workRows(k store.WorkKind) queueRows {
	return queueRows{
		table: "file_to_queue", only: fmt.Sprintf("type = %d AND ", k),
		from: "COALESCE(devid, 0)", arg: "COALESCE(arg, '')", flags: "flags",
	}
}

// onQueue runs fn on the rows of a queue; their names are a part of its statements.
func (s *Store) onQueue(ctx context.Context, q store.QueueName, fn func(*tx, queueRows) error) error {
	return onRows(ctx, s.db.write, q, fn)
}

// onRow is onQueue for one statement, which does the same when it is run again.
func (s *Store) onRow(ctx context.Context, q store.QueueName, fn func(*tx, queueRows) error) error {
	return onRows(ctx, s.db.autocommit, q, fn)
}

// inQueue is onQueue for reading.
func (s *Store) inQueue(ctx context.Context, q store.QueueName, fn func(*tx, queueRows) error) error {
	return onRows(ctx, s.db.read, q, fn)
}

func onRows(ctx context.Context, run func(context.Context, func(*tx) error) error, q store.QueueName, fn func(*tx, queueRows) error) error {
	rows, err := rowsOf(q)
	if err != nil {
		return err
	}
	return run(ctx, func(t *tx) error { return fn(t, rows) })
}

// Enqueue implements [store.Queue].
func (s *Store) Enqueue(ctx context.Context, q store.QueueName, delay time.Duration, fids ...mogile.FID) error {
	err := s.onQueue(ctx, q, func(t *tx, rows queueRows) error {
		if rows.only != "" {
			return errors.New("its rows say more than a fid")
		}
		if err := stir(t, rows, delay, fids); err != nil {
			return err
		}
		return enqueue(t, q, delay, fids...)
	})
	return wrap(err, "enqueue %d fids in %s", len(fids), q)
}

// enqueue is for queues that are tables of their own. A row that is there stays as it is.
func enqueue(t *tx, q store.QueueName, delay time.Duration, fids ...mogile.FID) error {
	for some := range slices.Chunk(fids, perStatement) {
		some = padded(some)
		var args []any
		for _, fid := range some {
			args = append(args, fid, seconds(delay))
		}
		_, err := t.exec("INSERT IGNORE INTO "+string(q)+" (fid, nexttry) VALUES "+
			repeated("(?, UNIX_TIMESTAMP() + ?)", ", ", len(some)), args...)
		if err != nil {
			return err
		}
	}
	return nil
}

// stir makes rows due after delay that are due never, and the others a second earlier than
// they were: who has such a row in hand may have looked at its file before whatever it is
// queued for, and no longer finishes it. What is new (0) nobody has.
func stir(t *tx, rows queueRows, delay time.Duration, fids []mogile.FID) error {
	for in := range inLists(fids) {
		_, err := t.exec("UPDATE "+rows.table+" SET nexttry = CASE nexttry WHEN ? THEN UNIX_TIMESTAMP() + ? ELSE nexttry - 1 END WHERE "+
			rows.only+"nexttry > 0 AND "+in.condition, in.after(never, seconds(delay))...)
		if err != nil {
			return err
		}
	}
	return nil
}

// replicateNow queues what is new: it comes before all that waits.
func replicateNow(t *tx, fids ...mogile.FID) error {
	for some := range slices.Chunk(fids, perStatement) {
		some = padded(some)
		var args []any
		for _, fid := range some {
			args = append(args, fid)
		}
		_, err := t.exec("INSERT IGNORE INTO file_to_replicate (fid, nexttry) VALUES "+repeated("(?, 0)", ", ", len(some)), args...)
		if err != nil {
			return err
		}
	}
	return nil
}

// replicateAnew queues what has to be looked at from the start. A row that waits is due a
// second later: were it claimed twice within one, who claimed it first could not tell that
// it is another's by now. (The peer leaves a row that is there as it is: a worker that has
// it in hand then removes it, and the change is forgotten.)
func replicateAnew(t *tx, fid mogile.FID) error {
	err := t.must(`UPDATE file_to_replicate SET nexttry = UNIX_TIMESTAMP() + 1, fromdevid = NULL, failcount = 0, flags = 0
		WHERE fid = ? AND nexttry > UNIX_TIMESTAMP() AND nexttry < ?`, fid, never)
	if !errors.Is(err, store.ErrNotFound) {
		return err
	}
	_, err = t.exec(`REPLACE INTO file_to_replicate (fid, nexttry, fromdevid, failcount, flags)
		VALUES (?, 0, NULL, 0, 0)`, fid)
	return err
}

// Claim implements [store.Queue].
func (s *Store) Claim(ctx context.Context, q store.QueueName, limit int, lease time.Duration) (items []store.Item, err error) {
	err = s.onQueue(ctx, q, func(t *tx, rows queueRows) (err error) {
		items, err = list(t, scanItem, "SELECT fid, failcount, "+rows.from+", "+rows.arg+", UNIX_TIMESTAMP() FROM "+rows.table+
			" WHERE "+rows.only+"nexttry <= UNIX_TIMESTAMP() ORDER BY nexttry LIMIT ? FOR UPDATE", max(limit, 0))
		if err != nil || len(items) == 0 {
			return err
		}
		until := items[0].Until + seconds(lease)
		for i := range items {
			items[i].Until = until
		}
		return setDue(t, rows, until, items)
	})
	if err != nil {
		return nil, wrap(err, "claim from %s", q)
	}
	return items, nil
}

// scanItem has the time of the question as Until.
func scanItem(s scanner) (i store.Item, err error) {
	err = s.Scan(&i.FID, &i.FailCount, &i.From, &i.Arg, &i.Until)
	return i, err
}

// setDue sets the nexttry of items.
func setDue(t *tx, rows queueRows, at int64, items []store.Item) error {
	for in := range inLists(fidsOf(items)) {
		_, err := t.exec("UPDATE "+rows.table+" SET nexttry = ? WHERE "+rows.only+in.condition, in.after(at)...)
		if err != nil {
			return err
		}
	}
	return nil
}

func fidsOf(items []store.Item) []mogile.FID {
	fids := make([]mogile.FID, len(items))
	for i, item := range items {
		fids[i] = item.FID
	}
	return fids
}

// byClaim sorts items by when their claims run out: what was claimed together still has
// one number in common.
func byClaim(items []store.Item) map[int64][]store.Item {
	by := map[int64][]store.Item{}
	for _, item := range items {
		by[item.Until] = append(by[item.Until], item)
	}
	return by
}

// Renew implements [store.Queue].
func (s *Store) Renew(ctx context.Context, q store.QueueName, lease time.Duration, items ...store.Item) (held []store.Item, err error) {
	err = s.onQueue(ctx, q, func(t *tx, rows queueRows) (err error) {
		held = nil
		var now int64
		if err := t.row("SELECT UNIX_TIMESTAMP()").Scan(&now); err != nil {
			return err
		}
		for until, claimed := range byClaim(items) {
			still, err := stillClaimed(t, rows, until, claimed)
			if err != nil {
				return err
			}
			held = append(held, still...)
		}
		for i := range held {
			held[i].Until = now + seconds(lease)
		}
		return setDue(t, rows, now+seconds(lease), held)
	})
	if err != nil {
		return nil, wrap(err, "renew %d claims in %s", len(items), q)
	}
	return held, nil
}

// stillClaimed are the items whose rows are as their claim left them. The rows stay
// locked.
func stillClaimed(t *tx, rows queueRows, until int64, items []store.Item) (still []store.Item, err error) {
	if until == 0 {
		return nil, nil
	}
	there := map[mogile.FID]bool{}
	for in := range inLists(fidsOf(items)) {
		fids, err := list(t, single[mogile.FID], "SELECT fid FROM "+rows.table+
			" WHERE "+rows.only+"nexttry = ? AND "+in.condition+" FOR UPDATE", in.after(until)...)
		if err != nil {
			return nil, err
		}
		for _, fid := range fids {
			there[fid] = true
		}
	}
	for _, item := range items {
		if there[item.FID] {
			still = append(still, item)
		}
	}
	return still, nil
}

// Finish implements [store.Queue].
func (s *Store) Finish(ctx context.Context, q store.QueueName, items ...store.Item) error {
	groups := byClaim(items)
	begin := s.onQueue
	if len(groups) == 1 && len(items) <= perStatement {
		begin = s.onRow
	}
	err := begin(ctx, q, func(t *tx, rows queueRows) error {
		for until, claimed := range groups {
			for in := range inLists(fidsOf(claimed)) {
				_, err := t.exec("DELETE FROM "+rows.table+" WHERE "+rows.only+"? IN (0, nexttry) AND "+in.condition, in.after(until)...)
				if err != nil {
					return err
				}
			}
		}
		return nil
	})
	return wrap(err, "finish %d fids in %s", len(items), q)
}

// Postpone implements [store.Queue].
func (s *Store) Postpone(ctx context.Context, q store.QueueName, fid mogile.FID, delay time.Duration, failCount int) error {
	err := s.onRow(ctx, q, func(t *tx, rows queueRows) error {
		_, err := t.exec("UPDATE "+rows.table+" SET nexttry = UNIX_TIMESTAMP() + ?, failcount = ? WHERE "+rows.only+"fid = ?",
			seconds(delay), clampFails(failCount), fid)
		return err
	})
	return wrap(err, "postpone fid %d in %s", fid, q)
}

// Park implements [store.Queue].
func (s *Store) Park(ctx context.Context, q store.QueueName, fid mogile.FID, failCount int) error {
	err := s.onRow(ctx, q, func(t *tx, rows queueRows) error {
		_, err := t.exec("UPDATE "+rows.table+" SET nexttry = ?, failcount = ? WHERE "+rows.only+"fid = ?",
			never, clampFails(failCount), fid)
		return err
	})
	return wrap(err, "park fid %d in %s", fid, q)
}

func clampFails(n int) int { return min(max(n, 0), maxTiny) }

// Queued implements [store.Queue].
func (s *Store) Queued(ctx context.Context, q store.QueueName, fid mogile.FID) (r store.QueueRow, err error) {
	err = s.inQueue(ctx, q, func(t *tx, rows queueRows) error {
		return t.row("SELECT fid, nexttry, failcount, "+rows.from+", "+rows.flags+" FROM "+rows.table+" WHERE "+rows.only+"fid = ?", fid).
			Scan(&r.FID, &r.NextTry, &r.FailCount, &r.From, &r.Flags)
	})
	return r, wrap(err, "find fid %d in %s", fid, q)
}

// NextDue implements [store.Queue].
func (s *Store) NextDue(ctx context.Context, q store.QueueName) (time.Duration, error) {
	var wait sql.Null[int64]
	err := s.inQueue(ctx, q, func(t *tx, rows queueRows) error {
		err := t.row("SELECT MIN(nexttry) - UNIX_TIMESTAMP() FROM "+rows.table+" WHERE "+rows.only+"nexttry < ?", never).Scan(&wait)
		if err == nil && !wait.Valid {
			err = store.ErrNotFound
		}
		return err
	})
	return time.Duration(max(wait.V, 0)) * time.Second, wrap(err, "find next due in %s", q)
}

// Waiting implements [store.Queue]. Nothing of the other queues is ever new.
func (s *Store) Waiting(ctx context.Context, q store.QueueName) (int64, error) {
	least := 0
	if q == store.ReplicateQueue {
		least = 1
	}
	return s.count(ctx, q, "nexttry >= ? AND nexttry < ?", least, never)
}

// Parked implements [store.Queue].
func (s *Store) Parked(ctx context.Context, q store.QueueName) (int64, error) {
	return s.count(ctx, q, "nexttry = ?", never)
}

// count counts the rows of a queue that a condition holds for.
func (s *Store) count(ctx context.Context, q store.QueueName, cond string, args ...any) (n int64, err error) {
	err = s.inQueue(ctx, q, func(t *tx, rows queueRows) error {
		return t.row("SELECT COUNT(*) FROM "+rows.table+" WHERE "+rows.only+cond, args...).Scan(&n)
	})
	return n, wrap(err, "count rows of %s", q)
}
