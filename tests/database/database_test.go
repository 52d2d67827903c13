package database_test

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/mogilefs/caddy-mogilefs/tests/database"
)

// kind is one of the two kinds of servers.
type kind struct {
	driver string
	shared func(testing.TB) *database.Server
	own    func(testing.TB, ...string) *database.Server
	start  func(dir string, options ...string) (*database.Server, error)
	// durable is options that make commits durable, with a query for the setting.
	durable []string
	setting string
	// encoding is for Create, with a query for it and its answer.
	encoding, encodingQuery, encodingWant string
}

var kinds = []kind{
	{
		driver: "mysql", shared: database.MariaDB, own: database.OwnMariaDB, start: database.StartMariaDB,
		durable: []string{"--innodb-flush-log-at-trx-commit=1"}, setting: "SELECT @@innodb_flush_log_at_trx_commit = 1",
		encoding: "CHARACTER SET latin1", encodingQuery: "SELECT @@character_set_database", encodingWant: "latin1",
	},
	{
		driver: "pgx", shared: database.Postgres, own: database.OwnPostgres, start: database.StartPostgres,
		durable: []string{"-c", "fsync=on"}, setting: "SELECT current_setting('fsync')::boolean::int",
		encoding:      "ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0",
		encodingQuery: "SHOW server_encoding", encodingWant: "SQL_ASCII",
	},
}

func ofEachKind(t *testing.T, test func(t *testing.T, k kind)) {
	for _, k := range kinds {
		t.Run(k.driver, func(t *testing.T) { test(t, k) })
	}
}

func (k kind) open(t *testing.T, dsn string) *sql.DB {
	t.Helper()
	db, err := sql.Open(k.driver, dsn)
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

func ask(t *testing.T, db *sql.DB, query string) string {
	t.Helper()
	var answer string
	if err := db.QueryRowContext(t.Context(), query).Scan(&answer); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return answer
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestRestartAfterAKillKeepsDataAndPort(t *testing.T) {
	ofEachKind(t, func(t *testing.T, k kind) {
		s := k.own(t)
		addr, db := s.Addr(), k.open(t, s.MustCreate(t, ""))
		exec(t, db, "CREATE TABLE t (n INT)")
		exec(t, db, "INSERT INTO t VALUES (7)")
		must(t, s.Kill())
		if err := db.PingContext(t.Context()); err == nil {
			t.Error("a killed server answers")
		}
		must(t, s.Restart())
		if s.Addr() != addr {
			t.Errorf("got address %s after the restart; want %s", s.Addr(), addr)
		}
		if n := ask(t, db, "SELECT n FROM t"); n != "7" {
			t.Errorf("got %s; want 7", n)
		}
	})
}

func TestAFrozenServerAnswersNobodyUntilItIsThawed(t *testing.T) {
	ofEachKind(t, func(t *testing.T, k kind) {
		s := k.own(t)
		db := k.open(t, s.MustCreate(t, ""))
		ask(t, db, "SELECT 1") // a connection is there
		must(t, s.Freeze())
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		var n int
		if err := db.QueryRowContext(ctx, "SELECT 1").Scan(&n); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("ask a frozen server: got %d, %v; want %v", n, err, context.DeadlineExceeded)
		}
		must(t, s.Thaw())
		ask(t, db, "SELECT 1")
	})
}

func TestAFrozenServerCanBeEnded(t *testing.T) {
	ofEachKind(t, func(t *testing.T, k kind) {
		s := k.own(t)
		for name, end := range map[string]func() error{"stop": s.Stop, "kill": s.Kill} {
			must(t, s.Freeze())
			if err := end(); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			must(t, s.Restart())
		}
	})
}

func TestStoppingTwiceIsHarmless(t *testing.T) {
	ofEachKind(t, func(t *testing.T, k kind) {
		s := k.own(t)
		for _, end := range []func() error{s.Stop, s.Stop, s.Kill} {
			must(t, end())
		}
		must(t, s.Restart())
		for _, end := range []func() error{s.Kill, s.Stop} {
			must(t, end())
		}
	})
}

func TestTwoServersHaveDifferentData(t *testing.T) {
	ofEachKind(t, func(t *testing.T, k kind) {
		one, two := k.shared(t), k.own(t)
		if again := k.shared(t); again != one {
			t.Error("the shared server is not shared")
		}
		dsn := one.MustCreate(t, "")
		other := k.open(t, strings.Replace(dsn, one.Addr(), two.Addr(), 1))
		if err := other.PingContext(t.Context()); err == nil {
			t.Errorf("the database %s is on both servers", dsn)
		}
		must(t, k.open(t, dsn).PingContext(t.Context()))
	})
}

func TestADatabaseIsDroppedWithItsTest(t *testing.T) {
	ofEachKind(t, func(t *testing.T, k kind) {
		var dsn string
		t.Run("user", func(t *testing.T) {
			dsn = k.shared(t).MustCreate(t, "")
			exec(t, k.open(t, dsn), "CREATE TABLE t (n INT)")
		})
		if err := k.open(t, dsn).PingContext(t.Context()); err == nil {
			t.Errorf("the database %s is there after its test", dsn)
		}
	})
}

func TestTheUserOfADatabaseOwnsNothingElse(t *testing.T) {
	ofEachKind(t, func(t *testing.T, k kind) {
		s := k.shared(t)
		db := k.open(t, s.MustCreate(t, ""))
		if _, err := db.ExecContext(t.Context(), "CREATE DATABASE another"); err == nil {
			t.Error("the user may create databases")
		}
		for _, statement := range []string{
			"CREATE TABLE t (n INT)", "CREATE INDEX i ON t (n)", "ALTER TABLE t ADD m INT", "DROP TABLE t",
		} {
			exec(t, db, statement)
		}
		exec(t, s.Admin(), "CREATE DATABASE another")
		exec(t, s.Admin(), "DROP DATABASE another")
	})
}

func TestADatabaseIsCreatedAsAsked(t *testing.T) {
	ofEachKind(t, func(t *testing.T, k kind) {
		db := k.open(t, k.shared(t).MustCreate(t, k.encoding))
		if got := ask(t, db, k.encodingQuery); got != k.encodingWant {
			t.Errorf("got %s; want %s", got, k.encodingWant)
		}
		if _, err := k.shared(t).Create("NONSENSE"); err == nil {
			t.Error("create a database with nonsense: got no error")
		}
	})
}

func TestOptionsOverrideThoseOfTheHarness(t *testing.T) {
	ofEachKind(t, func(t *testing.T, k kind) {
		if got := ask(t, k.own(t).Admin(), k.setting); got != "0" {
			t.Errorf("%s without options: got %s; want 0", k.setting, got)
		}
		if got := ask(t, k.own(t, k.durable...).Admin(), k.setting); got != "1" {
			t.Errorf("%s with %q: got %s; want 1", k.setting, k.durable, got)
		}
	})
}

func TestAServerIsStartedOnTheDataOfAnEarlierOne(t *testing.T) {
	ofEachKind(t, func(t *testing.T, k kind) {
		dir := t.TempDir()
		s, err := k.start(dir)
		must(t, err)
		dsn, err := s.Create("")
		must(t, errors.Join(err, s.Stop()))
		was := s.Addr()
		s, err = k.start(dir)
		must(t, err)
		defer s.Stop()
		must(t, k.open(t, strings.Replace(dsn, was, s.Addr(), 1)).PingContext(t.Context()))
		must(t, s.Stop())
	})
}

func TestAFailedStartShowsTheLog(t *testing.T) {
	ofEachKind(t, func(t *testing.T, k kind) {
		s, err := k.start(t.TempDir(), "--no-such-option")
		if err == nil {
			s.Stop()
			t.Fatal("got a server with an unknown option")
		}
		if !strings.Contains(err.Error(), "no-such-option") {
			t.Errorf("got %v; want what the server says of the option", err)
		}
	})
}
