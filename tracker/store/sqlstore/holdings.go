package sqlstore

import (
	"context"
	"math"
	"time"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
)

// FilesOn implements [store.Holdings].
func (s *Store) FilesOn(ctx context.Context, dev mogile.DevID, p store.Page) (files []store.File, err error) {
	bound, after := "o.fid > ? ORDER BY o.fid", p.After
	if p.Newest {
		bound = "o.fid < ? ORDER BY o.fid DESC"
		if after == 0 {
			after = math.MaxInt64
		}
	}
	err = s.db.read(ctx, func(t *tx) (err error) {
		files, err = list(t, scanFile, "SELECT "+fileColumns+` FROM file_on o JOIN file f ON f.fid = o.fid
			WHERE o.devid = ? AND `+bound+" LIMIT ?", dev, after, max(p.Limit, 0))
		return err
	})
	return files, wrap(err, "list files on dev %d", dev)
}

// Reap implements [store.Holdings].
//
// Order: 1. the files are queued, 2. their copies are forgotten, 3. what is left is
// counted. It is one transaction; where an operator has tables without, a crash after 1
// leaves rows of files that then turn out to have what they need.
//
// Which fids come first is all the same: sorted ones would cost a look at all there are.
func (s *Store) Reap(ctx context.Context, dev mogile.DevID, limit int) (reaped int, err error) {
	err = s.db.write(ctx, func(t *tx) error {
		fids, err := list(t, single[mogile.FID], "SELECT fid FROM file_on WHERE devid = ? LIMIT ?", dev, max(limit, 0))
		if err != nil {
			return err
		}
		reaped = len(fids)
		if err := stir(t, queueRows{table: "file_to_replicate"}, time.Second, fids); err != nil {
			return err
		}
		for in := range inLists(fids) {
			_, err := t.exec("INSERT IGNORE INTO file_to_replicate (fid, nexttry) SELECT fid, UNIX_TIMESTAMP() + 1 FROM file WHERE "+in.condition, in.args...)
			if err != nil {
				return err
			}
			if _, err := t.exec("DELETE FROM file_on WHERE devid = ? AND "+in.condition, in.after(dev)...); err != nil {
				return err
			}
		}
		return recounting(t, fids, func([]mogile.FID) error { return nil }) // it is done; the files had to be queued before
	})
	if err != nil {
		return 0, wrap(err, "reap dev %d", dev)
	}
	return reaped, nil
}
