package sqlstore

import (
	"context"

	"go.uber.org/zap"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
)

// peerLease is how many seconds ahead a claim of the peer, and of our jobs, sets
// nexttry (docs/spec/schema.md §5.2).
const peerLease = 1000

// takeOver readies a database that another program, or this one before a crash,
// has worked on.
func (s *Store) takeOver(ctx context.Context) error {
	var moved, released int64
	err := s.db.write(ctx, func(t *tx) (err error) {
		if err := raiseFIDs(t); err != nil {
			return wrap(err, "seed fids")
		}
		if moved, err = drainLegacyQueues(t); err != nil {
			return wrap(err, "drain legacy delete queues")
		}
		if t.d.oneTracker {
			released, err = releaseLeases(t)
		}
		return wrap(err, "release leases")
	})
	if err == nil && moved+released > 0 {
		s.log.Info("took over database", zap.Int64("moved_legacy_deletes", moved), zap.Int64("released_leases", released))
	}
	return err
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
	if err := insertTempfile(t, store.Upload{FID: highest}); err != nil {
		return err
	}
	_, err = t.exec("DELETE FROM tempfile WHERE fid = ?", highest)
	return err
}

// drainLegacyQueues moves what trackers before schema 12 queued for deletion to
// where it is looked for now (docs/spec/schema.md §5.5).
func drainLegacyQueues(t *tx) (int64, error) {
	now, err := t.exec(`INSERT IGNORE INTO file_to_delete2 (fid, nexttry)
		SELECT fid, UNIX_TIMESTAMP() FROM file_to_delete`)
	if err != nil {
		return 0, err
	}
	later, err := t.exec(`INSERT IGNORE INTO file_to_delete2 (fid, nexttry)
		SELECT fid, delafter FROM file_to_delete_later`)
	if err != nil {
		return 0, err
	}
	return now + later, t.all([]string{"DELETE FROM file_to_delete", "DELETE FROM file_to_delete_later"})
}

// releaseLeases makes rows that a dead predecessor had claimed due at once; without
// it they would wait for the rest of their lease. They can't be told from rows that
// were postponed by less than a lease, which come early, and no harm is done.
// Should another tracker work on the same file after all, its rows are claimed a
// second time: the per-fid lock keeps the two apart, and the second finds the work
// done.
func releaseLeases(t *tx) (released int64, err error) {
	for _, q := range []store.QueueName{store.ReplicateQueue, store.DeleteQueue} {
		n, err := t.exec("UPDATE "+string(q)+` SET nexttry = UNIX_TIMESTAMP()
			WHERE nexttry > UNIX_TIMESTAMP() AND nexttry <= UNIX_TIMESTAMP() + ?`, peerLease)
		if err != nil {
			return 0, err
		}
		released += n
	}
	return released, nil
}
