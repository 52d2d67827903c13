package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
	"github.com/mogilefs/caddy-mogilefs/tracker/store/sqlstore/recent"
)

// maxExplicitFID is the greatest fid a client may choose. An explicit fid moves the
// sequence for good, so that one request for the last fid of all would end all
// uploads; this leaves half of what a signed column holds.
const maxExplicitFID = 1 << 62

// OpenUpload implements [store.Uploads].
func (s *Store) OpenUpload(ctx context.Context, u store.Upload) (fid mogile.FID, err error) {
	if u.FID > maxExplicitFID {
		return 0, fmt.Errorf("open upload: fid %d is greater than %d", u.FID, uint64(maxExplicitFID))
	}
	if u.FID == 0 {
		fid, err = s.opens.Ask(ctx, u)
	} else {
		fid, err = openUpload(ctx, s.db, u)
	}
	if err != nil {
		return 0, wrap(err, "open upload of key %q", u.Key)
	}
	return fid, nil
}

func openUpload(ctx context.Context, db database, u store.Upload) (fid mogile.FID, err error) {
	open := func(t *tx) (err error) {
		fid, err = insertUpload(t, u)
		return err
	}
	begin := db.write
	if u.FID == 0 {
		// One row, and a look whether its number is free: that the row comes to light
		// before does no harm, and the round trips of a transaction cost more than both.
		begin = db.autocommit
	}
	// Lagging and nothing else: an error of undoing that may be joined to it counts.
	if err = begin(ctx, open); err == errLagging {
		err = db.write(ctx, func(t *tx) error {
			if _, err := t.exec("DELETE FROM tempfile WHERE fid = ?", fid); err != nil {
				return err
			}
			if err := raiseFIDs(t); err != nil {
				return err
			}
			return open(t)
		})
	}
	return fid, err
}

// errLagging: the sequence of tempfile gave a fid that is in use.
var errLagging = errors.New("the sequence of fids lags behind what is in use")

func insertUpload(t *tx, u store.Upload) (mogile.FID, error) {
	if u.FID == 0 {
		return newFID(t, u)
	}
	if t.d.checkFID != nil {
		if err := t.d.checkFID(u.FID); err != nil {
			return 0, err
		}
	}
	if err := t.all(t.d.holdFIDs); err != nil {
		return 0, err
	}
	next, err := newFID(t, u)
	if err != nil {
		return 0, err
	}
	return u.FID, chooseFID(t, u, next)
}

// newFID inserts the upload under a new fid. The sequence of tempfile is the
// authority while other trackers work beside this one.
func newFID(t *tx, u store.Upload) (mogile.FID, error) {
	fid, err := insertAuto(t, u)
	if errors.Is(err, store.ErrDup) {
		return 0, errLagging
	}
	if err != nil {
		return 0, err
	}
	used, err := fidInUse(t, fid)
	if err == nil && used {
		err = errLagging
	}
	return fid, err
}

// chooseFID turns the row that newFID inserted under next into one with the
// explicit u.FID. A fid below next was given out before, or was passed over by an
// explicit one; which of the two, no table tells once the file is gone. So it
// counts as used: readers may have the old content of it in their caches.
func chooseFID(t *tx, u store.Upload, next mogile.FID) error {
	if u.FID < next {
		return store.ErrDup
	}
	if used, err := fidInUse(t, u.FID); err != nil {
		return err
	} else if used {
		return store.ErrDup
	}
	if _, err := t.exec("DELETE FROM tempfile WHERE fid = ?", next); err != nil {
		return err
	}
	if err := insertTempfile(t, u); err != nil || t.d.moveFIDs == nil {
		return err
	}
	return t.d.moveFIDs(t, u.FID)
}

func insertAuto(t *tx, u store.Upload) (mogile.FID, error) {
	id, err := t.insert("fid", `INSERT INTO tempfile (createtime, classid, dmid, dkey, devids)
		VALUES (UNIX_TIMESTAMP(), ?, ?, ?, ?)`, u.Class, u.Domain, u.Key, joinDevIDs(u.Devices))
	return mogile.FID(id), err
}

func insertTempfile(t *tx, u store.Upload) error {
	_, err := t.exec(`INSERT INTO tempfile (fid, createtime, classid, dmid, dkey, devids)
		VALUES (?, UNIX_TIMESTAMP(), ?, ?, ?, ?)`, u.FID, u.Class, u.Domain, u.Key, joinDevIDs(u.Devices))
	return err
}

// fidInUse reports whether one of the fids is anywhere but in tempfile.
func fidInUse(t *tx, fids ...mogile.FID) (used bool, err error) {
	for in := range inLists(fids) {
		where := " WHERE " + in.condition
		used, err = t.exists("SELECT 1 FROM "+strings.Join(fidTables, where+" UNION ALL SELECT 1 FROM ")+where+" LIMIT 1",
			slices.Repeat(in.args, len(fidTables))...)
		if err != nil || used {
			break
		}
	}
	return used, err
}

// joinDevIDs and splitDevIDs are the text form of tempfile.devids: 1,2,3. What is
// no devid was offered to nobody, and one bad row must not stop every sweep.
func joinDevIDs(devs []mogile.DevID) string {
	texts := make([]string, len(devs))
	for i, d := range devs {
		texts[i] = d.String()
	}
	return strings.Join(texts, ",")
}

func splitDevIDs(text string) (devs []mogile.DevID) {
	for field := range strings.SplitSeq(text, ",") {
		if d, err := mogile.ParseDevID(field); err == nil {
			devs = append(devs, d)
		}
	}
	return devs
}

const uploadColumns = "fid, createtime, classid, dmid, COALESCE(dkey, ''), COALESCE(devids, '')"

func scanUpload(s scanner) (u store.Upload, err error) {
	var devids string
	err = s.Scan(&u.FID, &u.Created, &u.Class, &u.Domain, &u.Key, &devids)
	u.Devices = splitDevIDs(devids)
	return u, err
}

// CloseUpload implements [store.Uploads].
func (s *Store) CloseUpload(ctx context.Context, c store.Closing) (mogile.FID, error) {
	defer s.replicas.changed(recent.Change{Domain: c.Domain, Key: c.Key, Since: c.FID})
	replaced, err := s.closes.Ask(ctx, c)
	if err != nil {
		return 0, wrap(err, "close upload %d", c.FID)
	}
	return replaced, nil
}

// closeUpload is CloseUpload. The order within the transaction decides who waits for
// whom: the tempfile row, which picks the winner, then the domain's, which keeps it, then
// the row that has the key.
func closeUpload(ctx context.Context, db database, c store.Closing) (replaced mogile.FID, err error) {
	err = db.write(ctx, func(t *tx) (err error) {
		if err = endUpload(t, c.FID); err != nil {
			return err
		}
		if err = keepDomain(t, c.Domain); err != nil {
			return err
		}
		into := c
		if into.Class, err = classOrDefault(t, c.Domain, c.Class); err != nil {
			return err
		}
		if replaced, err = takeKey(t, into); err != nil {
			return err
		}
		return publish(t, into)
	})
	return replaced, err
}

// endUpload removes the tempfile row: whoever does has won.
func endUpload(t *tx, fid mogile.FID) error {
	return t.must("DELETE FROM tempfile WHERE fid = ?", fid)
}

// visibleFID finds a row when the fid is a visible file.
const visibleFID = "SELECT 1 FROM file WHERE fid = ?"

// takeKey gives the key the new content, and returns the fid that had it, which is doomed,
// or 0. It looks first: a server that refuses a duplicate leaves a lock on the row that was
// there, and two with such a lock are a deadlock, which may strike a peer that does not try
// again. (The peer's REPLACE can drop a file without queueing its contents for deletion:
// docs/spec/schema.md §7.3.)
func takeKey(t *tx, c store.Closing) (replaced mogile.FID, err error) {
	replaced, err = holder(t, c.Domain, c.Key)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return 0, err
	}
	if replaced == c.FID {
		return 0, store.ErrDup
	}
	if replaced != 0 {
		if err := doom(t, replaced); err != nil {
			return 0, err
		}
	}
	added, err := addFile(t, c)
	if err != nil || added {
		return replaced, err
	}
	if err := none(t, store.ErrDup, visibleFID, c.FID); err != nil {
		return 0, err
	}
	return 0, errAgain // somebody gave the key another file after we had looked
}

// addFile reports whether neither the key nor the fid was taken.
func addFile(t *tx, c store.Closing) (bool, error) {
	return t.add("INSERT INTO file (fid, dmid, dkey, length, classid, devcount) VALUES (?, ?, ?, ?, ?, ?)",
		c.FID, c.Domain, c.Key, c.Length, c.Class, devCount(c))
}

func devCount(c store.Closing) int { return 1 + len(c.Others) }

// copiesClosed are the rows of a file's copies.
func copiesClosed(c store.Closing) []copyRow {
	rows := []copyRow{{c.FID, c.Dev}}
	for _, dev := range c.Others {
		rows = append(rows, copyRow{c.FID, dev})
	}
	return rows
}

func publish(t *tx, c store.Closing) error {
	if err := recordCopies(t, copiesClosed(c)...); err != nil {
		return err
	}
	if !c.Checksum.IsZero() {
		if err := replaceChecksum(t, c.FID, c.Checksum); err != nil {
			return err
		}
	}
	return replicateNow(t, c.FID)
}

// AbandonUpload implements [store.Uploads].
func (s *Store) AbandonUpload(ctx context.Context, fid mogile.FID, devs ...mogile.DevID) error {
	err := s.db.write(ctx, func(t *tx) error { return abandon(t, fid, devs) })
	return wrap(err, "abandon upload %d", fid)
}

// abandon ends an upload whose contents may be on devs. A fid that is a visible
// file keeps its contents: peers leave such rows behind when an explicit fid was
// refused (docs/spec/schema.md §5.6).
func abandon(t *tx, fid mogile.FID, devs []mogile.DevID) error {
	if err := endUpload(t, fid); err != nil {
		return err
	}
	if visible, err := t.exists(visibleFID, fid); err != nil || visible {
		return err
	}
	for _, dev := range devs {
		if dev == 0 { // none; a row of it could never be deleted
			continue
		}
		if err := recordCopy(t, fid, dev); err != nil {
			return err
		}
	}
	return enqueue(t, store.DeleteQueue, 0, fid)
}

// SweepUploads implements [store.Uploads].
func (s *Store) SweepUploads(ctx context.Context, age time.Duration, limit int) (swept int, err error) {
	err = s.db.write(ctx, func(t *tx) error {
		old, err := list(t, scanUpload, "SELECT "+uploadColumns+` FROM tempfile
			WHERE createtime < UNIX_TIMESTAMP() - ? ORDER BY fid LIMIT ? FOR UPDATE`, seconds(age), max(limit, 0))
		if err != nil {
			return err
		}
		for _, u := range old {
			if err := abandon(t, u.FID, u.Devices); err != nil {
				return err
			}
		}
		swept = len(old)
		return nil
	})
	if err != nil {
		return 0, wrap(err, "sweep uploads")
	}
	return swept, nil
}
