package sqlstore

import (
	"context"
	"slices"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
)

// EnqueueWork implements [store.Work].
func (s *Store) EnqueueWork(ctx context.Context, rows ...store.WorkRow) error {
	err := s.db.write(ctx, func(t *tx) error {
		for some := range slices.Chunk(rows, perStatement) {
			some = padded(some)
			var args []any
			for _, r := range some {
				args = append(args, r.FID, orNull(r.Dev), r.Kind, seconds(r.Delay), orNull(r.Arg))
			}
			_, err := t.exec("INSERT IGNORE INTO file_to_queue (fid, devid, type, nexttry, arg) VALUES "+
				repeated("(?, ?, ?, UNIX_TIMESTAMP() + ?, ?)", ", ", len(some)), args...)
			if err != nil {
				return err
			}
		}
		return nil
	})
	return wrap(err, "enqueue %d fids to be worked on", len(rows))
}

// WorkRows implements [store.Work].
func (s *Store) WorkRows(ctx context.Context, fid mogile.FID) (rows []store.WorkRow, err error) {
	err = s.db.read(ctx, func(t *tx) (err error) {
		rows, err = list(t, scanWork, `SELECT fid, type, COALESCE(devid, 0), COALESCE(arg, ''), nexttry, failcount, flags
			FROM file_to_queue WHERE fid = ? ORDER BY type`, fid)
		return err
	})
	return rows, wrap(err, "find work on fid %d", fid)
}

func scanWork(s scanner) (r store.WorkRow, err error) {
	err = s.Scan(&r.FID, &r.Kind, &r.Dev, &r.Arg, &r.NextTry, &r.FailCount, &r.Flags)
	return r, err
}

// WorkLength implements [store.Work].
func (s *Store) WorkLength(ctx context.Context, k store.WorkKind) (n int64, err error) {
	err = s.db.read(ctx, func(t *tx) error {
		return t.row("SELECT COUNT(*) FROM file_to_queue WHERE type = ?", k).Scan(&n)
	})
	return n, wrap(err, "count work of kind %d", k)
}

// ReleaseAll implements [store.Queue].
func (s *Store) ReleaseAll(ctx context.Context, q store.QueueName) (n int64, err error) {
	var at mogile.FID
	for more := true; more; {
		var p released
		err := s.onQueue(ctx, q, func(t *tx, rows queueRows) (err error) {
			p, err = releaseAfter(t, rows, at)
			return err
		})
		if err != nil {
			return n, wrap(err, "release all in %s", q)
		}
		n, at, more = n+p.rows, p.last, p.more
	}
	return n, nil
}

// released is a portion of rows made due: how many, and up to which fid; more says that
// there are others.
type released struct {
	rows int64
	last mogile.FID
	more bool
}

func releaseAfter(t *tx, rows queueRows, at mogile.FID) (p released, err error) {
	fids, err := list(t, single[mogile.FID], "SELECT fid FROM "+rows.table+
		" WHERE "+rows.only+"fid > ? AND nexttry > UNIX_TIMESTAMP() ORDER BY fid LIMIT ?", at, portion)
	if err != nil || len(fids) == 0 {
		return p, err
	}
	p.last, p.more = fids[len(fids)-1], len(fids) == portion
	p.rows, err = t.exec("UPDATE "+rows.table+" SET nexttry = UNIX_TIMESTAMP() WHERE "+rows.only+
		"fid > ? AND fid <= ? AND nexttry > UNIX_TIMESTAMP()", at, p.last)
	return p, err
}

// Now implements [store.Clock].
func (s *Store) Now(ctx context.Context) (now int64, err error) {
	err = s.db.read(ctx, func(t *tx) error { return t.row("SELECT UNIX_TIMESTAMP()").Scan(&now) })
	return now, wrap(err, "read the database's clock")
}
