package sqlstore

import (
	"context"
	"errors"

	"go.uber.org/zap"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
)

// peerLease is how many seconds ahead a claim of the peer sets nexttry
// (docs/spec/schema.md §5.2). Those of our jobs are shorter.
const peerLease = 1000

// takeOver readies a database that another program, or this one before a crash,
// has worked on.
func (s *Store) takeOver(ctx context.Context) error {
	if err := s.db.write(ctx, raiseFIDs); err != nil {
		return wrap(err, "seed fids")
	}
	moved, err := s.drainLegacyQueues(ctx)
	if err != nil {
		return wrap(err, "drain legacy delete queues")
	}
	var released int64
	err = s.db.write(ctx, func(t *tx) (err error) {
		if t.d.oneTracker {
			released, err = releaseLeases(t)
		}
		return err
	})
	if err == nil && moved+released > 0 {
		s.log.Info("took over database", zap.Int64("moved_legacy_deletes", moved), zap.Int64("released_leases", released))
	}
	return wrap(err, "release leases")
}

// fidTables are the tables that tell of fids that are or were in use, but for
// tempfile, whose sequence is the authority (docs/spec/schema.md §4).
var fidTables = []string{"file", "file_on", "file_to_delete", "file_to_delete2", "file_to_delete_later"}

// raiseFIDs makes the next fid greater than all that are known: the peer looks at
// file alone, and after a restart may give a new upload the number of a file that
// still waits to be erased. In most databases, a row with the highest number raises the
// sequence, and takes the number along when it goes.
func raiseFIDs(t *tx) error {
	var highest mogile.FID
	for _, table := range fidTables {
		var fid mogile.FID
		if err := t.row("SELECT COALESCE(MAX(fid), 0) FROM " + table).Scan(&fid); err != nil {
			return err
		}
		highest = max(highest, fid)
	}
	if t.d.moveFIDs != nil {
		return t.d.moveFIDs(t, highest)
	}
	taken, err := t.exists("SELECT 1 FROM tempfile WHERE fid >= ?", highest)
	if err != nil || taken || highest == 0 {
		return err
	}
	err = insertTempfile(t, store.Upload{FID: highest})
	if errors.Is(err, store.ErrDup) {
		return nil // another tracker has come so far in this moment
	}
	if err != nil {
		return err
	}
	_, err = t.exec("DELETE FROM tempfile WHERE fid = ?", highest)
	return err
}

// drainLegacyQueues moves what trackers before schema 12 queued for deletion to
// where it is looked for now (docs/spec/schema.md §5.5), and returns how much. Peers
// beside us drain the same tables, and may postpone the rows they have in hand back into
// the second; the next start finds those.
func (s *Store) drainLegacyQueues(ctx context.Context) (moved int64, err error) {
	for _, q := range []struct{ table, due string }{
		{"file_to_delete", "UNIX_TIMESTAMP()"}, {"file_to_delete_later", "delafter"},
	} {
		for more := true; more && err == nil; {
			var n int
			err = s.db.write(ctx, func(t *tx) (err error) {
				n, err = moveLegacy(t, q.table, q.due)
				return err
			})
			moved, more = moved+int64(n), n == portion
		}
	}
	return moved, err
}

// moveLegacy moves the rows that nobody has in hand, at most a portion. It names each:
// a row that a peer adds meanwhile must not be removed unmoved.
func moveLegacy(t *tx, table, due string) (int, error) {
	fids, err := list(t, single[mogile.FID], "SELECT fid FROM "+table+" ORDER BY fid LIMIT ? FOR UPDATE", portion)
	if err != nil {
		return 0, err
	}
	for in := range inLists(fids) {
		if _, err := t.exec("INSERT IGNORE INTO file_to_delete2 (fid, nexttry) SELECT fid, "+due+" FROM "+table+" WHERE "+in.condition, in.args...); err != nil {
			return 0, err
		}
		if _, err := t.exec("DELETE FROM "+table+" WHERE "+in.condition, in.args...); err != nil {
			return 0, err
		}
	}
	return len(fids), nil
}

// releaseLeases makes rows that a dead predecessor had claimed due at once; without
// it they would wait for the rest of their lease. They can't be told from rows that
// were postponed by less than a lease, which come early, and no harm is done.
// Should another tracker work on the same file after all, its rows are claimed a
// second time: the per-fid lock keeps the two apart, and the second finds the work
// done.
func releaseLeases(t *tx) (released int64, err error) {
	for _, q := range []string{string(store.ReplicateQueue), string(store.DeleteQueue), "file_to_queue"} {
		n, err := t.exec("UPDATE "+q+` SET nexttry = UNIX_TIMESTAMP()
			WHERE nexttry > UNIX_TIMESTAMP() AND nexttry <= UNIX_TIMESTAMP() + ?`, peerLease)
		if err != nil {
			return 0, err
		}
		released += n
	}
	return released, nil
}
