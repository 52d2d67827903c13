package legacy

import (
	"context"
	"database/sql"
	"errors"
	"strconv"
	"strings"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
)

// Open is create_open: it registers a tempfile (docs/spec/schema.md §4), under u.FID
// unless that is 0. store.ErrDup: the explicit fid is taken.
func (t *Tracker) Open(ctx context.Context, u store.Upload) (mogile.FID, error) {
	fid, err := t.insertTempfile(ctx, u)
	for err == nil {
		var used int
		if err = t.row(ctx, "SELECT COUNT(*) FROM file WHERE fid = ?", fid).Scan(&used); err != nil {
			break
		}
		if used == 0 && fid > t.minFID {
			return fid, nil
		}
		if u.FID != 0 {
			return 0, store.ErrDup
		}
		var highest mogile.FID
		if err = t.row(ctx, "SELECT COALESCE(MAX(fid), 0) FROM file").Scan(&highest); err != nil {
			break
		}
		raise := u
		raise.FID = highest
		_, _ = t.insertTempfile(ctx, raise) // only what it does to the sequence counts
		fid, err = t.insertTempfile(ctx, u)
	}
	return 0, err
}

func (t *Tracker) insertTempfile(ctx context.Context, u store.Upload) (mogile.FID, error) {
	columns, values := "createtime, dmid, dkey, classid, devids", "UNIX_TIMESTAMP(), ?, ?, ?, ?"
	args := []any{u.Domain, string(u.Key), u.Class, joinDevIDs(u.Devices)}
	if u.FID != 0 {
		columns, values, args = columns+", fid", values+", ?", append(args, u.FID)
	}
	res, err := t.exec(ctx, "INSERT INTO tempfile ("+columns+") VALUES ("+values+")", args...)
	if err != nil || u.FID != 0 {
		return u.FID, err
	}
	var fid mogile.FID
	if t.kind == Postgres {
		err = t.row(ctx, "SELECT currval(pg_get_serial_sequence('tempfile', 'fid'))").Scan(&fid)
		return fid, err
	}
	id, err := res.LastInsertId()
	return mogile.FID(id), err
}

func joinDevIDs(devs []mogile.DevID) string {
	var words []string
	for _, dev := range devs {
		words = append(words, dev.String())
	}
	return strings.Join(words, ",")
}

// Close is create_close, statement by statement (docs/spec/schema.md §7.3). The class is
// that of the tempfile. It returns the fid that it found under the key, or 0.
// store.ErrNotFound: the upload is not open any more.
func (t *Tracker) Close(ctx context.Context, c store.Closing) (replaced mogile.FID, err error) {
	var class mogile.ClassID
	if err := t.row(ctx, "SELECT classid FROM tempfile WHERE fid = ?", c.FID).Scan(&class); err != nil {
		return 0, err
	}
	if n, err := t.touched(ctx, "DELETE FROM tempfile WHERE fid = ?", c.FID); err != nil || n == 0 {
		return 0, errors.Join(err, store.ErrNotFound)
	}
	replaced, err = t.Find(ctx, c.Domain, c.Key)
	if err == nil {
		err = t.doom(ctx, replaced)
	}
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return replaced, err
	}
	if err := t.AddCopy(ctx, c.FID, c.Dev); err != nil {
		return replaced, err
	}
	if err := t.setChecksum(ctx, c.FID, c.Checksum); err != nil {
		return replaced, err
	}
	if err := t.replaceFile(ctx, class, c); err != nil {
		return replaced, err
	}
	return replaced, t.queue(ctx, "INSERT IGNORE INTO file_to_replicate (fid, nexttry) VALUES (?, 0)", c.FID)
}

// doom is what becomes of a content that has lost its key. It has no transaction either.
func (t *Tracker) doom(ctx context.Context, fid mogile.FID) error {
	if _, err := t.exec(ctx, "DELETE FROM file WHERE fid = ?", fid); err != nil {
		return err
	}
	return t.queue(ctx, "INSERT IGNORE INTO file_to_delete2 (fid, nexttry) VALUES (?, UNIX_TIMESTAMP())", fid)
}

func (t *Tracker) setChecksum(ctx context.Context, fid mogile.FID, sum mogile.Checksum) error {
	if sum.IsZero() {
		return nil
	}
	if t.kind != Postgres {
		_, err := t.exec(ctx, "REPLACE INTO checksum (fid, hashtype, checksum) VALUES (?, ?, ?)", fid, sum.Type, sum.Sum)
		return err
	}
	return t.emulateReplace(ctx,
		"INSERT INTO checksum (hashtype, checksum, fid) VALUES (?, ?, ?)",
		"UPDATE checksum SET hashtype = ?, checksum = ? WHERE fid = ?", sum.Type, sum.Sum, fid)
}

// replaceFile removes whatever else has the key, and leaks it (docs/spec/schema.md §7.3).
// In PostgreSQL the emulation looks for the fid alone: it may find nothing to change.
func (t *Tracker) replaceFile(ctx context.Context, class mogile.ClassID, c store.Closing) error {
	args := []any{c.Domain, string(c.Key), c.Length, class, c.FID}
	if t.kind != Postgres {
		_, err := t.exec(ctx, "REPLACE INTO file (dmid, dkey, length, classid, devcount, fid) VALUES (?, ?, ?, ?, 1, ?)", args...)
		return err
	}
	return t.emulateReplace(ctx,
		"INSERT INTO file (dmid, dkey, length, classid, devcount, fid) VALUES (?, ?, ?, ?, 1, ?)",
		"UPDATE file SET dmid = ?, dkey = ?, length = ?, classid = ?, devcount = 1 WHERE fid = ?", args...)
}

// emulateReplace: docs/spec/schema.md §7.2.
func (t *Tracker) emulateReplace(ctx context.Context, insert, update string, args ...any) error {
	return t.transaction(ctx, func() error {
		if _, err := t.exec(ctx, "SAVEPOINT replace_row"); err != nil {
			return err
		}
		_, err := t.exec(ctx, insert, args...)
		if !errors.Is(err, store.ErrDup) {
			return err
		}
		if _, err := t.exec(ctx, "ROLLBACK TO SAVEPOINT replace_row"); err != nil {
			return err
		}
		_, err = t.exec(ctx, update, args...)
		return err
	})
}

// Find is the fid of a key; store.ErrNotFound.
func (t *Tracker) Find(ctx context.Context, dm mogile.DomainID, key mogile.Key) (fid mogile.FID, err error) {
	err = t.row(ctx, "SELECT fid FROM file WHERE dmid = ? AND dkey = ?", dm, string(key)).Scan(&fid)
	return fid, err
}

// Delete is the command (docs/spec/schema.md §7.3). It returns the fid that it found.
func (t *Tracker) Delete(ctx context.Context, dm mogile.DomainID, key mogile.Key) (mogile.FID, error) {
	fid, err := t.Find(ctx, dm, key)
	if err != nil {
		return 0, err
	}
	return fid, t.doom(ctx, fid)
}

// Rename is the command; store.ErrDup when another file has the key.
func (t *Tracker) Rename(ctx context.Context, dm mogile.DomainID, from, to mogile.Key) error {
	fid, err := t.Find(ctx, dm, from)
	if err != nil {
		return err
	}
	_, err = t.exec(ctx, "UPDATE file SET dkey = ? WHERE fid = ?", string(to), fid)
	return err
}

// Keys is list_keys.
func (t *Tracker) Keys(ctx context.Context, dm mogile.DomainID, prefix, after mogile.Key, limit int) ([]mogile.Key, error) {
	escape := `'\'`
	if t.kind == MySQL {
		escape = `'\\'`
	}
	pattern := strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(string(prefix)) + "%"
	return list(ctx, t, single[mogile.Key], "SELECT dkey FROM file WHERE dmid = ? AND dkey LIKE ? ESCAPE "+escape+
		" AND dkey > ? ORDER BY dkey LIMIT "+strconv.Itoa(limit), dm, pattern, string(after))
}

// SetClass is updateclass.
func (t *Tracker) SetClass(ctx context.Context, fid mogile.FID, class mogile.ClassID) error {
	if _, err := t.exec(ctx, "UPDATE file SET classid = ? WHERE fid = ?", class, fid); err != nil {
		return err
	}
	return t.queue(ctx, "INSERT IGNORE INTO file_to_replicate (fid, nexttry) VALUES (?, 0)", fid)
}

// Devices lists who has a copy.
func (t *Tracker) Devices(ctx context.Context, fid mogile.FID) ([]mogile.DevID, error) {
	return list(ctx, t, single[mogile.DevID], "SELECT devid FROM file_on WHERE fid = ? ORDER BY devid", fid)
}

// Checksum is zero when none is recorded.
func (t *Tracker) Checksum(ctx context.Context, fid mogile.FID) (sum mogile.Checksum, err error) {
	err = t.row(ctx, "SELECT hashtype, checksum FROM checksum WHERE fid = ?", fid).Scan(&sum.Type, &sum.Sum)
	if errors.Is(err, store.ErrNotFound) {
		err = nil
	}
	return sum, err
}

// AddCopy records a copy and counts anew.
func (t *Tracker) AddCopy(ctx context.Context, fid mogile.FID, dev mogile.DevID) error {
	if err := t.ignore(ctx, "INSERT IGNORE INTO file_on (fid, devid) VALUES (?, ?)", fid, dev); err != nil {
		return err
	}
	return t.recount(ctx, fid)
}

// RemoveCopy forgets one.
func (t *Tracker) RemoveCopy(ctx context.Context, fid mogile.FID, dev mogile.DevID) error {
	_, err := t.exec(ctx, "DELETE FROM file_on WHERE fid = ? AND devid = ?", fid, dev)
	return err
}

// recount writes file.devcount (docs/spec/schema.md §5.7).
func (t *Tracker) recount(ctx context.Context, fid mogile.FID) error {
	count := func() error {
		if t.kind == Postgres {
			_, err := list(ctx, t, single[mogile.FID], "SELECT fid FROM file WHERE fid = ? FOR UPDATE", fid)
			if err != nil {
				return err
			}
		}
		_, err := t.exec(ctx, "UPDATE file SET devcount = (SELECT COUNT(devid) FROM file_on WHERE fid = ?) WHERE fid = ?", fid, fid)
		return err
	}
	switch {
	case t.kind == Postgres:
		return t.transaction(ctx, count)
	case t.kind == SQLite || t.locked != "":
		return count()
	}
	return t.locking(ctx, "mgfs:fid:"+fid.String(), fidWait, count)
}

// scanTempfile reads what a sweep needs.
func scanTempfile(rows *sql.Rows) (u store.Upload, err error) {
	var devids sql.NullString
	err = rows.Scan(&u.FID, &devids)
	for word := range strings.SplitSeq(devids.String, ",") {
		if dev, err := mogile.ParseDevID(word); err == nil {
			u.Devices = append(u.Devices, dev)
		}
	}
	return u, err
}

// Sweep ends the stale uploads (docs/spec/schema.md §5.6), and returns them. It does
// nothing while another sweeps.
func (t *Tracker) Sweep(ctx context.Context) (swept []mogile.FID, err error) {
	err = t.locking(ctx, "mgfs:tempfiles", 0, func() error {
		stale, err := list(ctx, t, scanTempfile, "SELECT fid, devids FROM tempfile WHERE createtime < UNIX_TIMESTAMP() - 3600 LIMIT 50")
		if err != nil {
			return err
		}
		for _, u := range stale {
			if err := t.sweepOne(ctx, u); err != nil {
				return err
			}
			swept = append(swept, u.FID)
		}
		return nil
	})
	if errors.Is(err, store.ErrLocked) {
		err = nil
	}
	return swept, err
}

func (t *Tracker) sweepOne(ctx context.Context, u store.Upload) error {
	var visible int
	if err := t.row(ctx, "SELECT COUNT(*) FROM file WHERE fid = ?", u.FID).Scan(&visible); err != nil {
		return err
	}
	if visible == 0 {
		for _, dev := range u.Devices {
			if err := t.ignore(ctx, "INSERT IGNORE INTO file_on (fid, devid) VALUES (?, ?)", u.FID, dev); err != nil {
				return err
			}
		}
		if err := t.Enqueue(ctx, store.DeleteQueue, u.FID); err != nil {
			return err
		}
	}
	_, err := t.exec(ctx, "DELETE FROM tempfile WHERE fid = ?", u.FID)
	return err
}

// Length is how long a file is; store.ErrNotFound.
func (t *Tracker) Length(ctx context.Context, fid mogile.FID) (n int64, err error) {
	err = t.row(ctx, "SELECT length FROM file WHERE fid = ?", fid).Scan(&n)
	return n, err
}
