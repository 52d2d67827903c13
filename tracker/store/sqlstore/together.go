package sqlstore

import (
	"context"
	"strings"
	"time"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
	"github.com/mogilefs/caddy-mogilefs/tracker/store/sqlstore/company"
)

// domainKey is a key where it counts.
type domainKey struct {
	dm  mogile.DomainID
	key mogile.Key
}

type looker = company.Guest[domainKey, []located]

// newLooks looks up keys. With turns, those who come together ask together.
func newLooks(db database, turns int) *company.Company[domainKey, []located] {
	return company.New(company.Rules[domainKey, []located]{
		Turns: turns, Most: maxTogether,
		Alone: func(ctx context.Context, l domainKey) ([]located, error) { return locate(ctx, db, l.dm, l.key) },
		Together: func(looks []*looker) {
			byDomain := map[mogile.DomainID][]*looker{}
			for _, l := range looks {
				byDomain[l.Asks.dm] = append(byDomain[l.Asks.dm], l)
			}
			for dm, same := range byDomain {
				settle(same, locateAll(db, dm, same))
			}
		},
	})
}

// locateAll asks once for looks in one domain. Those whose key did not come back byte for
// byte ask alone: there may be no such file, the database may find it under another
// spelling, or one of the others' keys may be none that it takes.
func locateAll(db database, dm mogile.DomainID, looks []*looker) error {
	ctx, cancel := untilLast(looks)
	defer cancel()
	args := []any{dm}
	for i := range slots(len(looks)) {
		args = append(args, looks[min(i, len(looks)-1)].Asks.key)
	}
	byKey := make(map[mogile.Key][]located, len(looks))
	err := db.read(ctx, func(t *tx) error {
		rows, err := list(t, scanLocated, locateTexts[len(args)-1], args...)
		clear(byKey)
		for _, r := range rows {
			byKey[r.file.Key] = append(byKey[r.file.Key], r)
		}
		return err
	})
	for _, l := range looks {
		l.Got = byKey[l.Asks.key]
		l.In = len(l.Got) > 0
	}
	return err
}

// untilLast ends when nobody waits any more.
func untilLast[Q, A any](group []*company.Guest[Q, A]) (context.Context, context.CancelFunc) {
	last := time.Time{}
	for _, g := range group {
		until, bounded := g.Ctx.Deadline()
		if !bounded {
			return context.Background(), func() {}
		}
		if until.After(last) {
			last = until
		}
	}
	return context.WithDeadline(context.Background(), last)
}

// slots is for how many keys there is a text that has room for n.
func slots(n int) int {
	room := 1
	for room < n {
		room *= 2
	}
	return room
}

// locateTexts are the questions about so many keys of a domain. Nothing changes it.
var locateTexts = func() map[int]string {
	texts := map[int]string{1: locatedFrom + " AND f.dkey = ?"}
	for n := 2; n <= maxTogether; n *= 2 {
		texts[n] = locatedFrom + " AND f.dkey IN (?" + strings.Repeat(", ?", n-1) + ")"
	}
	return texts
}()

const locatedFrom = "SELECT " + fileColumns + `, o.devid, COALESCE(c.hashtype, 0), c.checksum
	FROM file f LEFT JOIN file_on o ON o.fid = f.fid LEFT JOIN checksum c ON c.fid = f.fid
	WHERE f.dmid = ?`

// locate finds at least one row, or store.ErrNotFound. One statement sees one moment in
// every database.
func locate(ctx context.Context, db database, dm mogile.DomainID, key mogile.Key) (found []located, err error) {
	err = db.read(ctx, func(t *tx) (err error) {
		found, err = list(t, scanLocated, locateTexts[1], dm, key)
		if err == nil && len(found) == 0 {
			err = store.ErrNotFound
		}
		return err
	})
	return found, err
}
