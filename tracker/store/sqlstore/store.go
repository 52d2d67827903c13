package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"go.uber.org/zap"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
	"github.com/mogilefs/caddy-mogilefs/tracker/store/sqlstore/company"
	"github.com/mogilefs/caddy-mogilefs/tracker/store/sqlstore/gate"
)

var _ store.Store = (*Store)(nil)

// errClosed: the store was closed before or while the call waited for its turn.
var errClosed = company.ErrClosed

// errApart: those who came together do better each by himself, since something about one
// of them is not as it mostly is.
var errApart = errors.New("not all of a group are plain cases")

// settle tells all of a group when nobody knows what became of its change.
func settle[Q, A any](group []*company.Guest[Q, A], err error) {
	company.Settle(group, err, errors.Is(err, errUnknownOutcome))
}

// Store is a tracker's database.
type Store struct {
	db    *watched
	gates *gate.Gates
	log   *zap.Logger
	close func() error
	// replicas serve Locate where there are any; nil where there can be none.
	replicas *replicas
	companies
}

// companies are those who call the same at the same time. They share statements where these
// cost more than what they find or change.
type companies struct {
	looks   *company.Company[domainKey, []located]
	uploads *company.Company[mogile.FID, store.Upload]
	opens   *company.Company[store.Upload, mogile.FID]
	closes  *company.Company[store.Closing, mogile.FID]
	deletes *company.Company[domainKey, mogile.FID]
	loads   *company.Company[mogile.FID, store.Known]
	adds    *company.Company[copyRow, struct{}]
}

const (
	// lookers is how many questions of a kind a server is asked at a time: enough that the
	// way there and back does not bound them, few enough that many clients at once share
	// each; changers is the same for changes and what goes before each: with maxChanges, as
	// many as there are connections.
	lookers, changers = 4, 2
	// maxTogether is how many one question is about at most, and maxChanges one change: a
	// power of two.
	maxTogether, maxChanges = 32, 16
)

// open readies an opened database for work (takeover.go) and owns it from then on.
func open(ctx context.Context, opened database, log *zap.Logger) (*Store, error) {
	db := &watched{database: opened}
	s := &Store{db: db, gates: gate.New(), log: log}
	s.looks, s.uploads = newLooks(db, 0), newUploads(db, 0)
	s.opens, s.closes, s.deletes = newOpens(db, 0), newCloses(db, 0, 0), newDeletes(db, 0)
	s.loads, s.adds = newLoads(db, 0), newAdds(db, 0)
	s.close = sync.OnceValue(func() error {
		s.companies.end()
		return db.close()
	})
	if err := s.takeOver(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// learn has the database go by what operators have set.
func (s *Store) learn(settings map[string]string) {
	if l, ok := s.db.database.(learner); ok {
		l.learn(settings)
	}
	s.replicas.learn(settings)
}

// readFrom has Locate read from replicas, which are closed with the store.
func (s *Store) readFrom(r *replicas) {
	s.replicas = r
	closeMaster := s.close
	s.close = sync.OnceValue(func() error { return errors.Join(r.close(), closeMaster()) })
}

// inCompany has callers share statements on a server, as far as that is good for it. They
// open uploads alone when it does not tell which row is whose.
func (s *Store) inCompany(d *dialect) {
	s.looks, s.uploads, s.loads = newLooks(s.db, lookers), newUploads(s.db, changers), newLoads(s.db, 1)
	if d.locksGaps {
		s.closes = newCloses(s.db, 1, 1)
	}
	if !d.groups {
		return
	}
	s.closes, s.deletes = newCloses(s.db, changers, maxChanges), newDeletes(s.db, changers)
	s.adds = newAdds(s.db, 1)
	if d.returning && d.checkFID == nil {
		s.opens = newOpens(s.db, changers)
	}
}

func (c *companies) end() {
	c.looks.Close()
	c.uploads.Close()
	c.opens.Close()
	c.closes.Close()
	c.deletes.Close()
	c.loads.Close()
	c.adds.Close()
}

// Close implements [store.Store].
func (s *Store) Close() error {
	return wrap(s.close(), "close database")
}

// wrap says what was being done when err happened, if it did.
func wrap(err error, doing string, args ...any) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", fmt.Sprintf(doing, args...), err)
}
