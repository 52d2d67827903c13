package legacy

import (
	"context"
	"database/sql"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
)

// Enqueue adds a fid, due now; what is queued stays as it is (docs/spec/schema.md §5.3).
func (t *Tracker) Enqueue(ctx context.Context, q store.QueueName, fid mogile.FID) error {
	return t.queue(ctx, "INSERT IGNORE INTO "+string(q)+" (fid, nexttry) VALUES (?, UNIX_TIMESTAMP())", fid)
}

// Claim leases at most limit rows that are due (docs/spec/schema.md §5.2).
func (t *Tracker) Claim(ctx context.Context, q store.QueueName, limit int) (items []store.Item, err error) {
	return t.claim(ctx, string(q), "", limit)
}

// ClaimWork does the same with file_to_queue.
func (t *Tracker) ClaimWork(ctx context.Context, k store.WorkKind, limit int) ([]store.Item, error) {
	return t.claim(ctx, "file_to_queue", " AND type = "+strconv.Itoa(int(k)), limit)
}

func (t *Tracker) claim(ctx context.Context, table, kind string, limit int) (items []store.Item, err error) {
	claim := func() error {
		return t.transaction(ctx, func() (err error) {
			items, err = list(ctx, t, scanItem, "SELECT fid, nexttry, failcount FROM "+table+
				" WHERE nexttry <= UNIX_TIMESTAMP()"+kind+" ORDER BY nexttry LIMIT "+strconv.Itoa(limit)+" FOR UPDATE")
			if err != nil || len(items) == 0 {
				return err
			}
			return t.lease(ctx, table, items)
		})
	}
	if t.kind == MySQL {
		return items, t.locking(ctx, "mfsd:"+table, claimWait, claim)
	}
	return items, claim()
}

// lease has no condition on the kind of work: rows of the other kind wait, too.
func (t *Tracker) lease(ctx context.Context, table string, items []store.Item) error {
	var fids []string
	for _, i := range items {
		fids = append(fids, i.FID.String())
	}
	_, err := t.exec(ctx, "UPDATE "+table+" SET nexttry = UNIX_TIMESTAMP() + "+strconv.Itoa(Lease)+
		" WHERE fid IN ("+strings.Join(fids, ", ")+")")
	return err
}

func scanItem(rows *sql.Rows) (i store.Item, err error) {
	var nextTry int64
	err = rows.Scan(&i.FID, &nextTry, &i.FailCount)
	return i, err
}

// Finish removes a row, whatever has become of it since it was claimed.
func (t *Tracker) Finish(ctx context.Context, q store.QueueName, fid mogile.FID) error {
	t.ending(q, fid)
	return t.queue(ctx, "DELETE FROM "+string(q)+" WHERE fid = ?", fid)
}

func (t *Tracker) ending(q store.QueueName, fid mogile.FID) {
	if t.Ending != nil {
		t.Ending(q, fid)
	}
}

// FinishWork does the same in file_to_queue.
func (t *Tracker) FinishWork(ctx context.Context, k store.WorkKind, fid mogile.FID) error {
	return t.queue(ctx, "DELETE FROM file_to_queue WHERE fid = ? AND type = ?", fid, k)
}

// Postpone makes a row due later, with one failure more.
func (t *Tracker) Postpone(ctx context.Context, q store.QueueName, i store.Item, delay time.Duration) error {
	t.ending(q, i.FID)
	return t.queue(ctx, "UPDATE "+string(q)+" SET nexttry = UNIX_TIMESTAMP() + ?, failcount = ? WHERE fid = ?",
		int(delay.Seconds()), min(i.FailCount+1, 255), i.FID)
}

// Erase is the delete worker with a row that it has claimed (docs/spec/schema.md §5.5).
// remove deletes the bytes on a device. It reports whether the row is gone; when not, it
// is due again soon.
func (t *Tracker) Erase(ctx context.Context, i store.Item, remove func(mogile.FID, mogile.DevID) error) (done bool, err error) {
	err = t.locking(ctx, "mgfs:fid:"+i.FID.String()+":replicate", replicateWait, func() error {
		for _, table := range []string{"checksum", "tempfile"} {
			if _, err := t.exec(ctx, "DELETE FROM "+table+" WHERE fid = ?", i.FID); err != nil {
				return err
			}
		}
		devs, err := t.Devices(ctx, i.FID)
		if err != nil {
			return err
		}
		for _, dev := range devs {
			if err := remove(i.FID, dev); err != nil {
				return err
			}
			if err := t.RemoveCopy(ctx, i.FID, dev); err != nil {
				return err
			}
		}
		done = true
		return t.Finish(ctx, store.DeleteQueue, i.FID)
	})
	if errors.Is(err, store.ErrLocked) {
		err = t.Postpone(ctx, store.DeleteQueue, i, time.Second)
	}
	return done, err
}

// ErrNoSource is what a copy says when no node has the bytes.
var ErrNoSource = errors.New("no node has it")

// Replicate is the replicate worker with a row that it has claimed (docs/spec/schema.md
// §5.4), where the file is to be on all of wanted. copy makes a copy on a device. It
// reports whether the row is gone; when not, the lease keeps it, or it is due again soon
// because of ErrNoSource.
func (t *Tracker) Replicate(ctx context.Context, i store.Item, wanted []mogile.DevID, copy func(mogile.FID, mogile.DevID) error) (done bool, err error) {
	err = t.locking(ctx, "mgfs:fid:"+i.FID.String()+":replicate", replicateWait, func() error {
		var visible int
		if err := t.row(ctx, "SELECT COUNT(*) FROM file WHERE fid = ?", i.FID).Scan(&visible); err != nil {
			return err
		}
		for _, dev := range wanted {
			if visible == 0 {
				break
			}
			if err := t.ensureCopy(ctx, i.FID, dev, copy); err != nil {
				return err
			}
		}
		done = true
		return t.Finish(ctx, store.ReplicateQueue, i.FID)
	})
	switch {
	case errors.Is(err, store.ErrLocked):
		err = nil
	case errors.Is(err, ErrNoSource):
		err = t.Postpone(ctx, store.ReplicateQueue, i, 15*time.Second)
	}
	return done, err
}

func (t *Tracker) ensureCopy(ctx context.Context, fid mogile.FID, dev mogile.DevID, copy func(mogile.FID, mogile.DevID) error) error {
	var there int
	if err := t.row(ctx, "SELECT COUNT(*) FROM file_on WHERE fid = ? AND devid = ?", fid, dev).Scan(&there); err != nil || there > 0 {
		return err
	}
	if err := copy(fid, dev); err != nil {
		return err
	}
	return t.AddCopy(ctx, fid, dev)
}
