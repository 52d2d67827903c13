package sqlstore

import (
	"context"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
)

// EnqueueWork implements [store.Work].
func (s *Store) EnqueueWork(ctx context.Context, rows ...store.WorkRow) error {
	err := s.db.write(ctx, func(t *tx) error {
		for _, r := range rows {
			_, err := t.exec(`INSERT IGNORE INTO file_to_queue (fid, devid, type, nexttry, arg)
				VALUES (?, ?, ?, UNIX_TIMESTAMP(), ?)`, r.FID, orNull(r.Dev), r.Kind, orNull(r.Arg))
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
	if _, _, err := fromOf(q); err != nil {
		return 0, wrap(err, "release all")
	}
	var at mogile.FID
	for more := true; more; {
		var p released
		err := s.db.write(ctx, func(t *tx) (err error) {
			p, err = releaseAfter(t, q, at)
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

func releaseAfter(t *tx, q store.QueueName, at mogile.FID) (p released, err error) {
	fids, err := list(t, single[mogile.FID], "SELECT fid FROM "+string(q)+`
		WHERE fid > ? AND nexttry > UNIX_TIMESTAMP() ORDER BY fid LIMIT ?`, at, portion)
	if err != nil || len(fids) == 0 {
		return p, err
	}
	p.last, p.more = fids[len(fids)-1], len(fids) == portion
	p.rows, err = t.exec("UPDATE "+string(q)+` SET nexttry = UNIX_TIMESTAMP()
		WHERE fid > ? AND fid <= ? AND nexttry > UNIX_TIMESTAMP()`, at, p.last)
	return p, err
}

// Now implements [store.Clock].
func (s *Store) Now(ctx context.Context) (now int64, err error) {
	err = s.db.read(ctx, func(t *tx) error { return t.row("SELECT UNIX_TIMESTAMP()").Scan(&now) })
	return now, wrap(err, "read the database's clock")
}
