package sqlstore

import (
	"context"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
	"github.com/mogilefs/caddy-mogilefs/tracker/store/sqlstore/company"
)

// Upload implements [store.Uploads].
func (s *Store) Upload(ctx context.Context, fid mogile.FID) (store.Upload, error) {
	u, err := s.uploads.Ask(ctx, fid)
	return u, wrap(err, "find upload %d", fid)
}

// finder is one of many who call Upload.
type finder = company.Guest[mogile.FID, store.Upload]

// newUploads finds uploads. With turns, those who come together ask together.
func newUploads(db database, turns int) *company.Company[mogile.FID, store.Upload] {
	return company.New(company.Rules[mogile.FID, store.Upload]{
		Turns: turns, Most: maxChanges,
		Alone:    func(ctx context.Context, fid mogile.FID) (store.Upload, error) { return findUpload(ctx, db, fid) },
		Together: func(group []*finder) { settle(group, findUploads(db, group)) },
	})
}

func findUpload(ctx context.Context, db database, fid mogile.FID) (u store.Upload, err error) {
	err = db.read(ctx, func(t *tx) (err error) {
		u, err = scanUpload(t.row("SELECT "+uploadColumns+" FROM tempfile WHERE fid = ?", fid))
		return err
	})
	return u, err
}

func findUploads(db database, group []*finder) error {
	ctx, cancel := untilLast(group)
	defer cancel()
	fids := make([]mogile.FID, len(group))
	for i, g := range group {
		fids[i] = g.Asks
	}
	byFID := make(map[mogile.FID]store.Upload, len(group))
	err := db.read(ctx, func(t *tx) error {
		for in := range inLists(fids) {
			found, err := list(t, scanUpload, "SELECT "+uploadColumns+" FROM tempfile WHERE "+in.condition, in.args...)
			if err != nil {
				return err
			}
			for _, u := range found {
				byFID[u.FID] = u
			}
		}
		return nil
	})
	for _, g := range group {
		g.Got, g.In = byFID[g.Asks]
	}
	return err
}
