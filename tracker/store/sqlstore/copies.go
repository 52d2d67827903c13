package sqlstore

import (
	"context"
	"fmt"
	"slices"

	"github.com/mogilefs/caddy-mogilefs/mogile"
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

// DevicesOf implements [store.Copies].
func (s *Store) DevicesOf(ctx context.Context, fids ...mogile.FID) (on map[mogile.FID][]mogile.DevID, err error) {
	err = s.db.read(ctx, func(t *tx) error {
		on = map[mogile.FID][]mogile.DevID{}
		for in := range inLists(fids) {
			copies, err := list(t, scanCopy, "SELECT fid, devid FROM file_on WHERE "+in.condition+" ORDER BY fid, devid", in.args...)
			if err != nil {
				return err
			}
			for _, c := range copies {
				on[c.fid] = append(on[c.fid], c.dev)
			}
		}
		return nil
	})
	return on, wrap(err, "list devices of %d fids", len(fids))
}

// copyRow is a row of file_on.
type copyRow struct {
	fid mogile.FID
	dev mogile.DevID
}

func scanCopy(s scanner) (c copyRow, err error) {
	err = s.Scan(&c.fid, &c.dev)
	return c, err
}

// RemoveCopies implements [store.Copies].
func (s *Store) RemoveCopies(ctx context.Context, fid mogile.FID, devs ...mogile.DevID) error {
	err := s.db.write(ctx, func(t *tx) error {
		return recounting(t, []mogile.FID{fid}, func([]mogile.FID) error {
			for _, dev := range devs {
				if _, err := t.exec("DELETE FROM file_on WHERE fid = ? AND devid = ?", fid, dev); err != nil {
					return err
				}
			}
			return nil
		})
	})
	return wrap(err, "remove copies of fid %d from devs %v", fid, devs)
}

func recordCopy(t *tx, fid mogile.FID, dev mogile.DevID) error {
	return recordCopies(t, copyRow{fid, dev})
}

func recordCopies(t *tx, copies ...copyRow) error {
	for some := range slices.Chunk(copies, perStatement) {
		some = padded(some)
		var args []any
		for _, c := range some {
			args = append(args, c.fid, c.dev)
		}
		_, err := t.exec("INSERT IGNORE INTO file_on (fid, devid) VALUES "+repeated("(?, ?)", ", ", len(some)), args...)
		if err != nil {
			return err
		}
	}
	return nil
}

// recounting changes copies and brings file.devcount up to date, unless the operator turned that
// off (docs/spec/schema.md §5.7). The files are locked before the change: who counts waits for
// rows of copies that others change, and they must not wait for him.
func recounting(t *tx, fids []mogile.FID, change func(visible []mogile.FID) error) error {
	var visible []mogile.FID
	for in := range inLists(fids) {
		some, err := list(t, single[mogile.FID], "SELECT fid FROM file WHERE "+in.condition+" ORDER BY fid FOR UPDATE", in.args...)
		if err != nil {
			return err
		}
		visible = append(visible, some...)
	}
	if err := change(visible); err != nil {
		return err
	}
	for in := range inLists(visible) {
		if _, err := t.exec(countCopies+in.condition, in.args...); err != nil {
			return err
		}
	}
	return nil
}

var countCopies = fmt.Sprintf(`UPDATE file SET devcount =
	(SELECT CASE WHEN COUNT(*) > %[1]d THEN %[1]d ELSE COUNT(*) END FROM file_on o WHERE o.fid = file.fid)
	WHERE NOT EXISTS (SELECT 1 FROM server_settings WHERE field = 'skip_devcount' AND value NOT IN ('', '0')) AND `, maxTiny)

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
func (s *Store) ForgetContent(ctx context.Context, fids ...mogile.FID) error {
	err := s.db.write(ctx, func(t *tx) error {
		for in := range inLists(fids) {
			err := t.all([]string{"DELETE FROM checksum WHERE " + in.condition, "DELETE FROM tempfile WHERE " + in.condition}, in.args...)
			if err != nil {
				return err
			}
		}
		return nil
	})
	return wrap(err, "forget content of %d fids", len(fids))
}
