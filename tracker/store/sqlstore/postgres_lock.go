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

// tryLock implements dialect, with both locks of a name or none.
func (l postgresLocks) tryLock(t *tx, names ...string) ([]bool, error) {
	return askPostgresLocks(t, `CASE WHEN NOT pg_try_advisory_lock(?, ?) THEN FALSE
		WHEN pg_try_advisory_lock(?, ?) THEN TRUE ELSE NOT pg_advisory_unlock(?, ?) END`, names, func(id int32) []any {
		return []any{allHosts, id, l.host, id, allHosts, id}
	})
}

// unlock implements dialect. Both are given back, whether or not the first was held.
func (l postgresLocks) unlock(t *tx, names ...string) ([]bool, error) {
	return askPostgresLocks(t, "CAST(pg_advisory_unlock(?, ?) AS INT) + CAST(pg_advisory_unlock(?, ?) AS INT) = 2", names,
		func(id int32) []any { return []any{allHosts, id, l.host, id} })
}

// askPostgresLocks asks the same of each name.
func askPostgresLocks(t *tx, what string, names []string, of func(id int32) []any) ([]bool, error) {
	var args []any
	yes, answers := make([]bool, len(names)), make([]any, len(names))
	for i, name := range names {
		args, answers[i] = append(args, of(int32(lockID(name)))...), &yes[i]
	}
	err := t.row("SELECT "+repeated(what, ", ", len(names)), args...).Scan(answers...)
	return yes, err
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
		if got[0] != want {
			return errNoLocks
		}
	}
	return nil
}
