package sqlstore

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
)

// allHosts is the first half of a lock's number that keeps trackers on different hosts
// apart. The hash of a host's name is never negative.
const allHosts int32 = -1

// postgresLocks takes two advisory locks for each name. One is the peer's, whose number
// begins with a hash of its host: it keeps peers on the same host apart, and no others
// (docs/spec/schema.md §7.1). The other one keeps ours apart, wherever they run.
type postgresLocks struct{ host int32 }

// tryLock implements dialect, with both locks or none.
func (l postgresLocks) tryLock(t *tx, name string) (got bool, err error) {
	id := int32(lockID(name))
	err = t.row(`SELECT CASE WHEN NOT pg_try_advisory_lock(?, ?) THEN FALSE
		WHEN pg_try_advisory_lock(?, ?) THEN TRUE ELSE NOT pg_advisory_unlock(?, ?) END`,
		allHosts, id, l.host, id, allHosts, id).Scan(&got)
	return got, err
}

// unlock implements dialect.
func (l postgresLocks) unlock(t *tx, name string) error {
	var ours, peers bool
	id := int32(lockID(name))
	err := t.row("SELECT pg_advisory_unlock(?, ?), pg_advisory_unlock(?, ?)", allHosts, id, l.host, id).Scan(&ours, &peers)
	if err == nil && !(ours && peers) {
		err = errors.New("it was not held any more")
	}
	return err
}

// errNoLocks: see checkLocks.
var errNoLocks = errors.New("the advisory locks of this server don't keep connections apart: " +
	"connect to PostgreSQL itself, not to a pooler in transaction mode or to a server that only speaks its language")

// checkLocks makes sure that what one connection has locked another can't lock. Without
// it, two trackers would work on the same file at the same time.
func (db *serverDB) checkLocks(ctx context.Context) error {
	one, err := db.sessions.connect(ctx)
	if err != nil {
		return err
	}
	defer one.close()
	two, err := db.sessions.connect(ctx)
	if err != nil {
		return err
	}
	defer two.close()
	name := "mogilefs:check:" + rand.Text()
	for i, want := range []bool{true, false} {
		got, err := db.d.tryLock([]*session{one, two}[i].in(ctx), name)
		switch code := postgresCode(err); {
		case code == "42P05" || code == "26000":
			// duplicate_prepared_statement, invalid_sql_statement_name: the server's
			// connection was somebody else's a moment ago.
			return fmt.Errorf("%w: %w", errNoLocks, err)
		case err != nil:
			return fmt.Errorf("try advisory locks: %w", err)
		}
		if got != want {
			return errNoLocks
		}
	}
	return nil
}
