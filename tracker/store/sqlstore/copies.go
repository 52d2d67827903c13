package sqlstore

import (
	"context"
	"errors"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
)

// maxTiny is what the columns devcount, failcount and classid hold
// (docs/spec/schema.md §1); a strict database refuses more.
const maxTiny = 255

// Devices implements [store.Copies].
func (s *Store) Devices(ctx context.Context, fid mogile.FID) (devs []mogile.DevID, err error) {
	err = s.db.read(ctx, func(t *tx) (err error) {
		devs, err = list(t, single[mogile.DevID], "SELECT devid FROM file_on WHERE fid = ? ORDER BY devid", fid)
		return err
	})
	return devs, wrap(err, "list devices of fid %d", fid)
}

// AddCopy implements [store.Copies].
func (s *Store) AddCopy(ctx context.Context, fid mogile.FID, dev mogile.DevID) error {
	err := s.db.write(ctx, func(t *tx) error {
		if err := recordCopy(t, fid, dev); err != nil {
			return err
		}
		return recount(t, fid)
	})
	return wrap(err, "add copy of fid %d on dev %d", fid, dev)
}

// RemoveCopy implements [store.Copies].
func (s *Store) RemoveCopy(ctx context.Context, fid mogile.FID, dev mogile.DevID) error {
	err := s.db.write(ctx, func(t *tx) error {
		if _, err := t.exec("DELETE FROM file_on WHERE fid = ? AND devid = ?", fid, dev); err != nil {
			return err
		}
		return recount(t, fid)
	})
	return wrap(err, "remove copy of fid %d from dev %d", fid, dev)
}

func recordCopy(t *tx, fid mogile.FID, dev mogile.DevID) error {
	_, err := t.exec("INSERT IGNORE INTO file_on (fid, devid) VALUES (?, ?)", fid, dev)
	return err
}

// recount brings file.devcount up to date, unless the operator turned that off
// (docs/spec/schema.md §5.7). Who counts keeps the others waiting, each of whom then
// counts what this one has recorded.
func recount(t *tx, fid mogile.FID) error {
	visible, err := t.exists(visibleFID+" FOR UPDATE", fid)
	if err != nil || !visible {
		return err
	}
	skip, err := setting(t, "skip_devcount")
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	if skip != "" && skip != "0" {
		return nil
	}
	var n int
	if err := t.row("SELECT COUNT(*) FROM file_on WHERE fid = ?", fid).Scan(&n); err != nil {
		return err
	}
	_, err = t.exec("UPDATE file SET devcount = ? WHERE fid = ?", min(n, maxTiny), fid)
	return err
}

// Checksum implements [store.Copies].
func (s *Store) Checksum(ctx context.Context, fid mogile.FID) (sum mogile.Checksum, err error) {
	err = s.db.read(ctx, func(t *tx) error {
		return t.row("SELECT hashtype, checksum FROM checksum WHERE fid = ?", fid).Scan(&sum.Type, &sum.Sum)
	})
	return sum, wrap(err, "find checksum of fid %d", fid)
}

// SetChecksum implements [store.Copies].
func (s *Store) SetChecksum(ctx context.Context, fid mogile.FID, sum mogile.Checksum) error {
	err := s.db.write(ctx, func(t *tx) error { return replaceChecksum(t, fid, sum) })
	return wrap(err, "set checksum of fid %d", fid)
}

func replaceChecksum(t *tx, fid mogile.FID, sum mogile.Checksum) error {
	_, err := t.exec("REPLACE INTO checksum (fid, hashtype, checksum) VALUES (?, ?, ?)", fid, sum.Type, sum.Sum)
	return err
}

// ForgetContent implements [store.Copies].
func (s *Store) ForgetContent(ctx context.Context, fid mogile.FID) error {
	err := s.db.write(ctx, func(t *tx) error {
		return t.all([]string{"DELETE FROM checksum WHERE fid = ?", "DELETE FROM tempfile WHERE fid = ?"}, fid)
	})
	return wrap(err, "forget content of fid %d", fid)
}
