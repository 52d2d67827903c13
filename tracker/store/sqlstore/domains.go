package sqlstore

import (
	"context"
	"fmt"
	"math"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
)

// CreateDomain implements [store.Topology].
func (s *Store) CreateDomain(ctx context.Context, name mogile.DomainName) (id mogile.DomainID, err error) {
	err = s.db.write(ctx, func(t *tx) error {
		if err := none(t, store.ErrDup, "SELECT 1 FROM domain WHERE namespace = ?", name); err != nil {
			return err
		}
		next, err := nextNumber(t, math.MaxUint16, "SELECT COALESCE(MAX(dmid), 0) + 1 FROM domain")
		if err != nil {
			return err
		}
		id = mogile.DomainID(next)
		_, err = t.exec("INSERT INTO domain (dmid, namespace) VALUES (?, ?)", id, name)
		return orAgain(err)
	})
	if err != nil {
		return 0, wrap(err, "create domain %q", name)
	}
	return id, nil
}

// nextNumber is the highest number plus one, as long as the column holds it.
func nextNumber(t *tx, most int64, text string, args ...any) (next int64, err error) {
	err = t.row(text, args...).Scan(&next)
	if err == nil && next > most {
		err = fmt.Errorf("number %d is taken and no greater one fits", most)
	}
	return next, err
}

// DeleteDomain implements [store.Topology].
func (s *Store) DeleteDomain(ctx context.Context, name mogile.DomainName) error {
	err := s.db.write(ctx, func(t *tx) error {
		var dm mogile.DomainID
		if err := t.row("SELECT dmid FROM domain WHERE namespace = ? FOR UPDATE", name).Scan(&dm); err != nil {
			return err
		}
		if err := none(t, store.ErrHasFiles, "SELECT 1 FROM file WHERE dmid = ? LIMIT 1", dm); err != nil {
			return err
		}
		if err := none(t, store.ErrHasClasses, "SELECT 1 FROM class WHERE dmid = ? AND classid <> 0 LIMIT 1", dm); err != nil {
			return err
		}
		return t.all([]string{"DELETE FROM class WHERE dmid = ?", "DELETE FROM domain WHERE dmid = ?"}, dm)
	})
	return wrap(err, "delete domain %q", name)
}

// CreateClass implements [store.Topology].
func (s *Store) CreateClass(ctx context.Context, c mogile.Class) (id mogile.ClassID, err error) {
	err = s.db.write(ctx, func(t *tx) error {
		if err := keepDomain(t, c.Domain); err != nil {
			return err
		}
		if err := none(t, store.ErrDup, "SELECT 1 FROM class WHERE dmid = ? AND classname = ?", c.Domain, c.Name); err != nil {
			return err
		}
		next := int64(0)
		if c.Name != mogile.DefaultClass {
			if next, err = nextNumber(t, maxTiny, "SELECT COALESCE(MAX(classid), 0) + 1 FROM class WHERE dmid = ?", c.Domain); err != nil {
				return err
			}
		}
		id = mogile.ClassID(next)
		_, err := t.exec(`INSERT INTO class (dmid, classid, classname, mindevcount, hashtype, replpolicy)
			VALUES (?, ?, ?, ?, NULLIF(?, 0), NULLIF(?, ''))`, c.Domain, id, c.Name, c.MinDevCount, c.Hash, c.Policy)
		return orAgain(err)
	})
	if err != nil {
		return 0, wrap(err, "create class %q", c.Name)
	}
	return id, nil
}

// UpdateClass implements [store.Topology].
func (s *Store) UpdateClass(ctx context.Context, c mogile.Class) error {
	err := s.db.write(ctx, func(t *tx) error {
		return t.must(`UPDATE class SET classname = ?, mindevcount = ?, hashtype = NULLIF(?, 0), replpolicy = NULLIF(?, '')
			WHERE dmid = ? AND classid = ?`, c.Name, c.MinDevCount, c.Hash, c.Policy, c.Domain, c.ID)
	})
	return wrap(err, "update class %q", c.Name)
}

// DeleteClass implements [store.Topology].
func (s *Store) DeleteClass(ctx context.Context, dm mogile.DomainID, id mogile.ClassID) error {
	err := s.db.write(ctx, func(t *tx) error {
		if err := holdDomain(t, dm); err != nil {
			return err
		}
		if err := t.must("DELETE FROM class WHERE dmid = ? AND classid = ?", dm, id); err != nil {
			return err
		}
		return none(t, store.ErrHasFiles, "SELECT 1 FROM file WHERE dmid = ? AND classid = ? LIMIT 1", dm, id)
	})
	return wrap(err, "delete class %d of domain %d", id, dm)
}
