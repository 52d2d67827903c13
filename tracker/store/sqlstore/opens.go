package sqlstore

import (
	"context"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
	"github.com/mogilefs/caddy-mogilefs/tracker/store/sqlstore/company"
)

// opener is one of many who call OpenUpload.
type opener = company.Guest[store.Upload, mogile.FID]

// newOpens is for uploads that get a new fid.
func newOpens(db database, turns int) *company.Company[store.Upload, mogile.FID] {
	return company.New(company.Rules[store.Upload, mogile.FID]{
		Turns: turns, Most: maxChanges, Patient: true,
		Alone:    func(ctx context.Context, u store.Upload) (mogile.FID, error) { return openUpload(ctx, db, u) },
		Together: func(group []*opener) { settle(group, openAll(db, group)) },
	})
}

// openAll inserts many uploads, in one transaction, so that none is left without an owner.
// It is undone when one of the fids is in use: then the sequence has to be moved first.
func openAll(db database, group []*opener) error {
	return db.once(context.Background(), func(t *tx) error {
		var fids []mogile.FID
		for some := range inTwos(group) {
			added, err := insertUploads(t, some)
			if err != nil {
				return err
			}
			if err := handOut(added, some); err != nil {
				return err
			}
			for _, g := range some {
				fids = append(fids, g.Got)
			}
		}
		used, err := fidInUse(t, fids...)
		if err == nil && used {
			err = errLagging
		}
		return err
	})
}

// insertUploads returns the rows as the database has them.
func insertUploads(t *tx, group []*opener) ([]store.Upload, error) {
	var args []any
	for _, g := range group {
		args = append(args, g.Asks.Class, g.Asks.Domain, g.Asks.Key, joinDevIDs(g.Asks.Devices))
	}
	return list(t, scanUpload, "INSERT INTO tempfile (createtime, classid, dmid, dkey, devids) VALUES "+
		repeated("(UNIX_TIMESTAMP(), ?, ?, ?, ?)", ", ", len(group))+" RETURNING "+uploadColumns, args...)
}

// handOut gives each the fid of a row that says what he asked for. Rows that say the same
// are as good as each other, whatever order they come in; errApart when one is nobody's,
// as the database keeps something else than it was given.
func handOut(added []store.Upload, group []*opener) error {
	type content struct {
		dm    mogile.DomainID
		key   mogile.Key
		class mogile.ClassID
		devs  string
	}
	of := func(u store.Upload) content { return content{u.Domain, u.Key, u.Class, joinDevIDs(u.Devices)} }
	fids := map[content][]mogile.FID{}
	for _, u := range added {
		fids[of(u)] = append(fids[of(u)], u.FID)
	}
	for _, g := range group {
		mine := fids[of(g.Asks)]
		if len(mine) == 0 {
			return errApart
		}
		g.Got, g.In, fids[of(g.Asks)] = mine[0], true, mine[1:]
	}
	return nil
}
