package sqlstore

import (
	"database/sql"
	"errors"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/mogilefs/caddy-mogilefs/tracker/store"
)

// onHosts opens one database as trackers on hosts of these names do.
func onHosts(t *testing.T, names ...string) (p Postgres, stores []*Store) {
	p = newPostgres(t)
	for _, name := range names {
		p.host = name
		stores = append(stores, mustPostgres(t, p))
	}
	return p, stores
}

// locked reports whether somebody else has the lock; if not, nobody has it afterwards.
func locked(t *testing.T, s *Store, name string) bool {
	t.Helper()
	release, err := s.Lock(t.Context(), name, 0)
	if err == nil {
		release()
	} else if !errors.Is(err, store.ErrLocked) {
		t.Errorf("lock %s: got %v; want nil or %v", name, err, store.ErrLocked)
	}
	return err != nil
}

func TestPostgresLocksExcludeOtherHosts(t *testing.T) {
	_, s := onHosts(t, "one", "two")
	release, err := s[0].Lock(t.Context(), "name", 0)
	if err != nil {
		t.Fatal(err)
	}
	if !locked(t, s[1], "name") {
		t.Error("lock on another host: got it; want it held")
	}
	release()
	if locked(t, s[1], "name") {
		t.Error("lock on another host after the release: got it held; want it free")
	}
}

// peerOn is one connection of a peer's worker.
func peerOn(t *testing.T, p Postgres) *sql.Conn {
	t.Helper()
	db, err := sql.Open("pgx", p.DSN)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(conn.Close(), db.Close()); err != nil {
			t.Error(err)
		}
	})
	return conn
}

// peerAsks calls a lock function as a peer on the host does.
func peerAsks(t *testing.T, conn *sql.Conn, function, host, name string) (yes bool) {
	t.Helper()
	err := conn.QueryRowContext(t.Context(), "SELECT "+function+"($1::INT, $2::INT)", int32(lockID(host)), int32(lockID(name))).Scan(&yes)
	if err != nil {
		t.Fatal(err)
	}
	return yes
}

func TestPostgresLocksExcludeThePeerOnTheHost(t *testing.T) {
	p, s := onHosts(t, "one", "two")
	peer := peerOn(t, p)
	if !peerAsks(t, peer, "pg_try_advisory_lock", "one", "name") {
		t.Fatal("the peer got no lock")
	}
	if !locked(t, s[0], "name") {
		t.Error("lock that a peer on the host has: got it; want it held")
	}
	if locked(t, s[1], "name") {
		t.Error("after a try that failed: got the other half held; want it given back")
	}
	if !peerAsks(t, peer, "pg_advisory_unlock", "one", "name") {
		t.Fatal("the peer lost its lock")
	}
	release, err := s[0].Lock(t.Context(), "name", 0)
	if err != nil {
		t.Fatalf("lock after the peer: got %v; want nil", err)
	}
	if peerAsks(t, peer, "pg_try_advisory_lock", "one", "name") {
		t.Error("the peer got a lock that is held")
	}
	release()
	if !peerAsks(t, peer, "pg_try_advisory_lock", "one", "name") {
		t.Error("the peer got no lock after the release")
	}
}

// killHolders ends the connections that hold locks in the database of s.
func killHolders(t *testing.T, s *Store) {
	t.Helper()
	killed := number(t, s, `SELECT COUNT(pg_terminate_backend(pid)) FROM (SELECT DISTINCT pid FROM pg_locks
		WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())) AS holders`)
	if killed == 0 {
		t.Fatal("nobody held a lock")
	}
	eventually(t, "locks of ended connections are free", func() bool {
		return number(t, s, `SELECT COUNT(*) FROM pg_locks WHERE locktype = 'advisory'
			AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`) == 0
	})
}

// eventually waits for what must come to be.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	const patience = 30 * time.Second
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); !is(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("after %v: got nothing; want that %s", patience, what)
		}
	}
}

func TestPostgresFreesTheLocksOfALostConnection(t *testing.T) {
	_, s := onHosts(t, "one", "two")
	release, err := s[0].Lock(t.Context(), "name", 0)
	if err != nil {
		t.Fatal(err)
	}
	killHolders(t, s[1])
	second, err := s[1].Lock(t.Context(), "name", 0)
	if err != nil {
		t.Fatalf("lock that was lost: got %v; want nil", err)
	}
	release() // takes nothing from the other one
	if !locked(t, s[0], "name") {
		t.Error("lock of the second: got it free; want it held")
	}
	second()
	if locked(t, s[0], "name") {
		t.Error("after the release: got it held; want it free")
	}
}

func TestPostgresTakesLostLocksAgain(t *testing.T) {
	_, s := onHosts(t, "one", "two")
	release, err := s[0].Lock(t.Context(), "name", 0)
	if err != nil {
		t.Fatal(err)
	}
	killHolders(t, s[1])
	if locked(t, s[0], "another") { // asks on a new connection
		t.Error("lock another name: got it held; want it free")
	}
	if !locked(t, s[1], "name") {
		t.Error("lock that was lost: got it free; want it taken again")
	}
	release()
}

func TestAServerWithoutLocksIsRefused(t *testing.T) {
	s := mustPostgres(t, newPostgres(t))
	db := s.db.database.(*serverDB)
	if err := db.checkLocks(t.Context()); err != nil {
		t.Errorf("check locks: got %v; want nil", err)
	}
	alike := newServerDB(db.sessions.pool, &dialect{
		translate: db.d.translate,
		tryLock:   func(*tx, ...string) ([]bool, error) { return []bool{true}, nil },
	}, 1, zap.NewNop())
	if err := alike.checkLocks(t.Context()); !errors.Is(err, errNoLocks) {
		t.Errorf("check locks that exclude nobody: got %v; want %v", err, errNoLocks)
	}
}
