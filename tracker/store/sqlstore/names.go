package sqlstore

import (
	"context"
	"errors"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
)

// DomainByName implements [store.Topology].
func (s *Store) DomainByName(ctx context.Context, name mogile.DomainName) (id mogile.DomainID, err error) {
	err = s.db.read(ctx, func(t *tx) error {
		return t.row("SELECT dmid FROM domain WHERE namespace = ?", name).Scan(&id)
	})
	return id, wrap(err, "find domain %q", name)
}

// ClassByName implements [store.Topology].
func (s *Store) ClassByName(ctx context.Context, dm mogile.DomainID, name mogile.ClassName) (c mogile.Class, err error) {
	err = s.db.read(ctx, func(t *tx) (err error) {
		c, err = scanClass(t.row("SELECT "+classColumns+" FROM class WHERE dmid = ? AND classname = ?", dm, name))
		return err
	})
	return c, wrap(err, "find class %q", name)
}

// HostByName implements [store.Topology].
func (s *Store) HostByName(ctx context.Context, name mogile.HostName) (h mogile.Host, err error) {
	err = s.db.read(ctx, func(t *tx) (err error) {
		h, err = scanHost(t.row("SELECT "+hostColumns+" FROM host WHERE hostname = ?", name))
		return err
	})
	return h, wrap(err, "find host %q", name)
}

// keepDomain keeps a domain from being deleted, and a class from being deleted out of it,
// until the transaction ends; [store.ErrNoDomain] when it is gone already. Others may keep
// it at the same time: uploads into one domain don't wait for each other.
//
// What could go wrong without it: an upload looks, and finds the domain; a deletion looks
// and finds no file; the upload adds its file, the deletion removes the domain; both
// commit. Neither can see what the other has not committed, whichever comes first. So
// both lock the domain's row, uploads together, a deletion alone ([holdDomain]). Whoever
// waited for the other finds what became of it: the row is gone, or the file is there.
// What else there is to be read is read behind it, with statements of its own: before, a
// server may have chosen the moment that all of a transaction's, or of a statement's,
// plain reading sees.
func keepDomain(t *tx, dm mogile.DomainID) error {
	err := t.row("SELECT dmid FROM domain WHERE dmid = ? LOCK IN SHARE MODE", dm).Scan(&dm)
	if errors.Is(err, store.ErrNotFound) {
		return store.ErrNoDomain
	}
	return err
}

// holdDomain waits for all who keep a domain, and lets nobody keep it.
func holdDomain(t *tx, dm mogile.DomainID) error {
	return t.row("SELECT dmid FROM domain WHERE dmid = ? FOR UPDATE", dm).Scan(&dm)
}

// classOrDefault is the class if the domain, which is kept, has it, else the default class:
// a file without a class would never be replicated.
func classOrDefault(t *tx, dm mogile.DomainID, id mogile.ClassID) (mogile.ClassID, error) {
	if id == 0 {
		return 0, nil
	}
	there, err := t.exists("SELECT 1 FROM class WHERE dmid = ? AND classid = ?", dm, id)
	if !there {
		id = 0
	}
	return id, err
}

// orAgain is the error of an INSERT under the highest number plus one, when nobody had the
// name a moment ago: a duplicate means that somebody was quicker. Next time another number
// is free, or the name is taken.
func orAgain(err error) error {
	if errors.Is(err, store.ErrDup) {
		return errAgain
	}
	return err
}
