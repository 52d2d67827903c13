package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"slices"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
	"github.com/mogilefs/caddy-mogilefs/tracker/store/sqlstore/recent"
)

// fileColumns are what scanFile reads. Old databases have NULLs where nobody
// expects them.
const fileColumns = "f.fid, f.dmid, COALESCE(f.dkey, ''), COALESCE(f.length, 0), f.classid, f.devcount"

func fileDest(f *store.File) []any {
	return []any{&f.FID, &f.Domain, &f.Key, &f.Length, &f.Class, &f.DevCount}
}

func scanFile(s scanner) (f store.File, err error) {
	err = s.Scan(fileDest(&f)...)
	return f, err
}

// FileByKey implements [store.Files].
func (s *Store) FileByKey(ctx context.Context, dm mogile.DomainID, key mogile.Key) (f store.File, err error) {
	err = s.db.read(ctx, func(t *tx) (err error) {
		f, err = scanFile(t.row("SELECT "+fileColumns+" FROM file f WHERE f.dmid = ? AND f.dkey = ?", dm, key))
		return err
	})
	return f, wrap(err, "find key %q", key)
}

// located is one row of Locate: the file with one of its devices.
type located struct {
	file store.File
	dev  sql.Null[mogile.DevID]
	sum  mogile.Checksum
}

func scanLocated(s scanner) (l located, err error) {
	err = s.Scan(append(fileDest(&l.file), &l.dev, &l.sum.Type, &l.sum.Sum)...)
	return l, err
}

// Locate implements [store.Files].
func (s *Store) Locate(ctx context.Context, dm mogile.DomainID, key mogile.Key) (store.File, []mogile.DevID, mogile.Checksum, error) {
	found, err := s.replicas.locate(ctx, dm, key), error(nil)
	if found == nil {
		found, err = s.looks.Ask(ctx, domainKey{dm: dm, key: key})
	}
	if err != nil {
		return store.File{}, nil, mogile.Checksum{}, wrap(err, "locate key %q", key)
	}
	var devs []mogile.DevID
	for _, l := range found {
		if l.dev.Valid {
			devs = append(devs, l.dev.V)
		}
	}
	slices.Sort(devs) // a server would make a table of its own to sort
	return found[0].file, devs, found[0].sum, nil
}

// Keys implements [store.Files].
func (s *Store) Keys(ctx context.Context, dm mogile.DomainID, prefix, after mogile.Key, limit int) (keys []mogile.Key, err error) {
	err = s.db.read(ctx, func(t *tx) (err error) {
		condition, args := t.d.keyRange(prefix, after)
		domain, order, in := "dmid = ?", "dkey", []any{dm}
		if t.d.refersToAll {
			domain, order, in = "dmid >= ? AND dmid <= ?", "dmid, dkey", []any{dm, dm}
		}
		args = append(append(in, args...), max(limit, 0))
		keys, err = list(t, single[mogile.Key], "SELECT dkey FROM file WHERE "+domain+condition+" ORDER BY "+order+" LIMIT ?", args...)
		return err
	})
	return keys, wrap(err, "list keys from %q", prefix)
}

// FilesAfter implements [store.Files].
func (s *Store) FilesAfter(ctx context.Context, fid mogile.FID, limit int) (files []store.File, err error) {
	err = s.db.read(ctx, func(t *tx) (err error) {
		files, err = list(t, scanFile, "SELECT "+fileColumns+" FROM file f WHERE f.fid > ? ORDER BY f.fid LIMIT ?", fid, max(limit, 0))
		return err
	})
	return files, wrap(err, "list files after fid %d", fid)
}

// Delete implements [store.Files].
func (s *Store) Delete(ctx context.Context, dm mogile.DomainID, key mogile.Key) (mogile.FID, error) {
	defer s.replicas.changed(recent.Change{Domain: dm, Key: key})
	fid, err := s.deletes.Ask(ctx, domainKey{dm: dm, key: key})
	if err != nil {
		return 0, wrap(err, "delete key %q", key)
	}
	return fid, nil
}

func deleteKey(ctx context.Context, db database, l domainKey) (fid mogile.FID, err error) {
	err = db.write(ctx, func(t *tx) (err error) {
		fid, err = holder(t, l.dm, l.key)
		if errors.Is(err, store.ErrNotFound) {
			return gone(t, l.dm, l.key)
		}
		if err != nil {
			return err
		}
		return doom(t, fid)
	})
	return fid, err
}

// holder is the fid that has the key; its row stays locked.
func holder(t *tx, dm mogile.DomainID, key mogile.Key) (fid mogile.FID, err error) {
	err = t.row("SELECT fid FROM file WHERE dmid = ? AND dkey = ? FOR UPDATE", dm, key).Scan(&fid)
	return fid, err
}

// gone is what to make of a key whose row was not there to be changed. A statement that
// waited for a row may find that it went away, and not the one that came in its place,
// though the key was visible all the time.
func gone(t *tx, dm mogile.DomainID, key mogile.Key) error {
	if err := none(t, errAgain, "SELECT 1 FROM file WHERE dmid = ? AND dkey = ?", dm, key); err != nil {
		return err
	}
	return store.ErrNotFound
}

// doom makes a file invisible and its contents the delete job's.
func doom(t *tx, fid mogile.FID) error {
	if _, err := t.exec("DELETE FROM file WHERE fid = ?", fid); err != nil {
		return err
	}
	return enqueue(t, store.DeleteQueue, 0, fid)
}

// Rename implements [store.Files].
func (s *Store) Rename(ctx context.Context, dm mogile.DomainID, from, to mogile.Key) error {
	defer s.replicas.changed(recent.Change{Domain: dm, Key: from}, recent.Change{Domain: dm, Key: to})
	var noText bool
	err := s.db.write(ctx, func(t *tx) error {
		err := t.must("UPDATE file SET dkey = ? WHERE dmid = ? AND dkey = ?", to, dm, from)
		if errors.Is(err, store.ErrNotFound) {
			return gone(t, dm, from)
		}
		noText = err != nil && t.d.noText != nil && t.d.noText(err)
		return err
	})
	if noText { // one of the keys: when it is the first, no file has it
		if _, err := s.FileByKey(ctx, dm, from); err != nil {
			return err
		}
	}
	return wrap(err, "rename key %q to %q", from, to)
}

// SetClass implements [store.Files].
func (s *Store) SetClass(ctx context.Context, fid mogile.FID, class mogile.ClassID) error {
	defer s.replicas.changed(recent.Change{FID: fid})
	err := s.db.write(ctx, func(t *tx) error {
		var had mogile.ClassID
		if err := t.row("SELECT classid FROM file WHERE fid = ? FOR UPDATE", fid).Scan(&had); err != nil || had == class {
			return err
		}
		if _, err := t.exec("UPDATE file SET classid = ? WHERE fid = ?", class, fid); err != nil {
			return err
		}
		return replicateAnew(t, fid)
	})
	return wrap(err, "set class of fid %d to %d", fid, class)
}
