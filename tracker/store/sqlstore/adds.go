package sqlstore

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
	"github.com/mogilefs/caddy-mogilefs/tracker/store/sqlstore/company"
)

// AddCopy implements [store.Copies].
func (s *Store) AddCopy(ctx context.Context, fid mogile.FID, dev mogile.DevID) error {
	_, err := s.adds.Ask(ctx, copyRow{fid, dev})
	return wrap(err, "add copy of fid %d on dev %d", fid, dev)
}

// addPace is how long at least is between two groups of copies that are recorded: of a
// thousand in a second, ten come together.
const addPace = 10 * time.Millisecond

// adder is one of many who call AddCopy.
type adder = company.Guest[copyRow, struct{}]

// newAdds records copies. With turns, those who come together share a transaction.
func newAdds(db database, turns int) *company.Company[copyRow, struct{}] {
	return company.New(company.Rules[copyRow, struct{}]{
		Turns: turns, Most: maxChanges, Pace: addPace, Patient: true,
		Alone: func(ctx context.Context, c copyRow) (struct{}, error) {
			return struct{}{}, db.write(ctx, func(t *tx) error { return addCopies(t, c) })
		},
		Together: func(group []*adder) { settle(group, addAll(db, group)) },
	})
}

// addAll records the copies of a group, rows in the order of their keys, so that two such
// groups don't wait for each other.
func addAll(db database, group []*adder) error {
	copies := make([]copyRow, len(group))
	for i, g := range group {
		copies[i], g.In = g.Asks, true
	}
	slices.SortFunc(copies, func(a, b copyRow) int { return cmp.Or(cmp.Compare(a.fid, b.fid), cmp.Compare(a.dev, b.dev)) })
	return db.once(context.Background(), func(t *tx) error { return addCopies(t, copies...) })
}

func addCopies(t *tx, copies ...copyRow) error {
	fids := make([]mogile.FID, len(copies))
	for i, c := range copies {
		fids[i] = c.fid
	}
	return recounting(t, fids, func(visible []mogile.FID) error {
		gone := slices.DeleteFunc(slices.Clone(fids), func(fid mogile.FID) bool { return slices.Contains(visible, fid) })
		if err := queueGone(t, gone); err != nil {
			return err
		}
		return recordCopies(t, copies...)
	})
}

// queueGone has the delete job look at fids. Who has such a row in hand keeps it, and no longer
// finishes it. That comes before their copies are recorded, so that he waits for both.
func queueGone(t *tx, fids []mogile.FID) error {
	if err := stir(t, queueRows{table: string(store.DeleteQueue)}, 0, fids); err != nil {
		return err
	}
	return enqueue(t, store.DeleteQueue, 0, fids...)
}
