package database_test

import (
	"context"
	"database/sql"
	"testing"

	"github.com/mogilefs/caddy-mogilefs/tests/database"
)

func TestMain(m *testing.M) { database.Main(m) }

// kinds is the servers by their driver.
var kinds = map[string]struct {
	shared func(testing.TB) *database.Server
	own    func(testing.TB, ...string) *database.Server
}{
	"mysql": {database.MariaDB, database.OwnMariaDB},
	"pgx":   {database.Postgres, database.OwnPostgres},
}

func connect(t *testing.T, driver, dsn string) *sql.DB {
	t.Helper()
	db, err := sql.Open(driver, dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func exec(t *testing.T, db *sql.DB, statement string) {
	t.Helper()
	if _, err := db.ExecContext(t.Context(), statement); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

func TestRestartAfterAKillKeepsDataAndPort(t *testing.T) {
	for driver, kind := range kinds {
		t.Run(driver, func(t *testing.T) {
			s := kind.own(t)
			addr, dsn := s.Addr(), s.MustCreate(t, "")
			db := connect(t, driver, dsn)
			exec(t, db, "CREATE TABLE t (n INT)")
			exec(t, db, "INSERT INTO t VALUES (7)")
			if err := s.Kill(); err != nil {
				t.Fatal(err)
			}
			if err := db.PingContext(t.Context()); err == nil {
				t.Error("a killed server answers")
			}
			if err := s.Restart(); err != nil {
				t.Fatal(err)
			}
			if s.Addr() != addr {
				t.Errorf("got address %s after the restart; want %s", s.Addr(), addr)
			}
			var n int
			if err := db.QueryRowContext(t.Context(), "SELECT n FROM t").Scan(&n); err != nil || n != 7 {
				t.Errorf("got %d, %v; want 7", n, err)
			}
		})
	}
}

func TestAFrozenServerAnswersWhenItIsThawed(t *testing.T) {
	for driver, kind := range kinds {
		t.Run(driver, func(t *testing.T) {
			s := kind.own(t)
			db := connect(t, driver, s.MustCreate(t, ""))
			exec(t, db, "SELECT 1") // the connection is there
			if err := s.Freeze(); err != nil {
				t.Fatal(err)
			}
			answer := make(chan error, 1)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			go func() {
				_, err := db.ExecContext(ctx, "SELECT 2")
				answer <- err
			}()
			if err := s.Thaw(); err != nil {
				t.Fatal(err)
			}
			if err := <-answer; err != nil {
				t.Errorf("got %v after the thaw; want the answer", err)
			}
		})
	}
}
