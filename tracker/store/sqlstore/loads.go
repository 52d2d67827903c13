package sqlstore

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
	"github.com/mogilefs/caddy-mogilefs/tracker/store/sqlstore/company"
)

// FileByFID implements [store.Files].
func (s *Store) FileByFID(ctx context.Context, fid mogile.FID) (store.File, error) {
	known, err := s.loads.Ask(ctx, fid)
	return known.File, wrap(err, "find fid %d", fid)
}

// LoadFiles implements [store.Files].
func (s *Store) LoadFiles(ctx context.Context, fids ...mogile.FID) (known map[mogile.FID]store.Known, err error) {
	if len(fids) == 1 {
		return s.loadFile(ctx, fids[0])
	}
	err = s.db.read(ctx, func(t *tx) (err error) {
		known, err = loadFiles(t, fids)
		return err
	})
	return known, wrap(err, "load %d files", len(fids))
}

func (s *Store) loadFile(ctx context.Context, fid mogile.FID) (map[mogile.FID]store.Known, error) {
	known, err := s.loads.Ask(ctx, fid)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil, nil
	case err != nil:
		return nil, wrap(err, "load fid %d", fid)
	}
	return map[mogile.FID]store.Known{fid: known}, nil
}

// loadPace is how long at least is between two groups of files that are asked for: of two
// thousand in a second, which is what a thousand new copies take, six come together.
const loadPace = 3 * time.Millisecond

// loader is one of many who want to know all about one file.
type loader = company.Guest[mogile.FID, store.Known]

// newLoads finds what is known of visible files, or store.ErrNotFound. With turns, those who
// come together ask together.
func newLoads(db database, turns int) *company.Company[mogile.FID, store.Known] {
	return company.New(company.Rules[mogile.FID, store.Known]{
		Turns: turns, Most: maxChanges, Pace: loadPace,
		Alone: func(ctx context.Context, fid mogile.FID) (known store.Known, err error) {
			err = db.read(ctx, func(t *tx) error {
				all, err := loadFiles(t, []mogile.FID{fid})
				found := false
				if known, found = all[fid]; err == nil && !found {
					err = store.ErrNotFound
				}
				return err
			})
			return known, err
		},
		Together: func(group []*loader) { settle(group, loadAll(db, group)) },
	})
}

// loadAll asks once. Whose fid is not found asks alone: it may be one that can't be asked for,
// and then nothing is found.
func loadAll(db database, group []*loader) error {
	ctx, cancel := untilLast(group)
	defer cancel()
	fids := make([]mogile.FID, len(group))
	for i, g := range group {
		fids[i] = g.Asks
	}
	var known map[mogile.FID]store.Known
	err := db.read(ctx, func(t *tx) (err error) {
		known, err = loadFiles(t, fids)
		return err
	})
	for _, g := range group {
		g.Got, g.In = known[g.Asks]
	}
	return err
}

func loadFiles(t *tx, fids []mogile.FID) (map[mogile.FID]store.Known, error) {
	known := make(map[mogile.FID]store.Known, len(fids))
	for in := range inLists(fids) {
		found, err := list(t, scanLocated, "SELECT "+fileColumns+`, o.devid, COALESCE(c.hashtype, 0), c.checksum
			FROM file f LEFT JOIN file_on o ON o.fid = f.fid LEFT JOIN checksum c ON c.fid = f.fid
			WHERE f.`+in.condition, in.args...)
		if err != nil {
			return nil, err
		}
		gather(known, found)
	}
	return known, nil
}

// gather joins the rows of each file.
func gather(known map[mogile.FID]store.Known, found []located) {
	for _, l := range found {
		k := known[l.file.FID]
		k.File, k.Checksum = l.file, l.sum
		if l.dev.Valid {
			at, _ := slices.BinarySearch(k.Devices, l.dev.V)
			k.Devices = slices.Insert(k.Devices, at, l.dev.V)
		}
		known[l.file.FID] = k
	}
}
