package sqlstore

import (
	"context"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
	"github.com/mogilefs/caddy-mogilefs/tracker/store/sqlstore/company"
)

// deleter is one of many who call Delete.
type deleter = company.Guest[domainKey, mogile.FID]

func newDeletes(db database, turns int) *company.Company[domainKey, mogile.FID] {
	return company.New(company.Rules[domainKey, mogile.FID]{
		Turns: turns, Most: maxChanges, Patient: true,
		Alone:    func(ctx context.Context, l domainKey) (mogile.FID, error) { return deleteKey(ctx, db, l) },
		Together: func(group []*deleter) { settle(group, deleteAll(db, group)) },
	})
}

// deleteAll deletes the files of many keys in one transaction. A key that the database
// finds under another spelling, or not, or that is twice among them, takes in nobody, or
// the last. Rows are locked in one order, so that two such groups don't wait for each other.
func deleteAll(db database, group []*deleter) error {
	byKey := make(map[domainKey]*deleter, len(group))
	keys := make([]domainKey, len(group))
	for i, g := range group {
		keys[i], byKey[g.Asks] = g.Asks, g
	}
	return db.once(context.Background(), func(t *tx) error {
		in := keyList(keys)
		files, err := list(t, scanFile, "SELECT "+fileColumns+" FROM file f WHERE "+in.condition+" ORDER BY f.fid FOR UPDATE", in.args...)
		if err != nil {
			return err
		}
		var fids []mogile.FID
		for _, f := range files {
			if g := byKey[domainKey{dm: f.Domain, key: f.Key}]; g != nil {
				g.Got, g.In = f.FID, true
				fids = append(fids, f.FID)
			}
		}
		if len(fids) == 0 {
			return errApart
		}
		if err := removeAll(t, "file", fids); err != nil {
			return err
		}
		return enqueue(t, store.DeleteQueue, 0, fids...)
	})
}
