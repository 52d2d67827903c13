package tracker

import (
	"database/sql"
	"testing"

	"go.uber.org/zap"

	"github.com/mogilefs/caddy-mogilefs/tests/database"
	"github.com/mogilefs/caddy-mogilefs/tracker/store/sqlstore"
)

func TestMain(m *testing.M) { database.Main(m) }

// opener opens a store in an empty database of its own.
type opener func(t testing.TB) *sqlstore.Store

// databases is where sessions are played, by name.
var databases = map[string]opener{
	"SQLite":     inMemory,
	"MariaDB":    func(t testing.TB) *sqlstore.Store { return openMariaDB(t, database.MariaDB(t).MustCreate(t, "")) },
	"PostgreSQL": openPostgreSQL,
	peers:        openPeers,
}

// peers is a MariaDB with the columns of a peer's tables, and the collation that those
// usually have: it takes A for a.
const peers = "MariaDB of a peer"

func opened(t testing.TB, s *sqlstore.Store, err error) *sqlstore.Store {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func inMemory(t testing.TB) *sqlstore.Store {
	s, err := sqlstore.OpenSQLite(t.Context(), ":memory:", zap.NewNop())
	return opened(t, s, err)
}

func openMariaDB(t testing.TB, dsn string) *sqlstore.Store {
	s, err := sqlstore.OpenMySQL(t.Context(), sqlstore.MySQL{DSN: dsn}, zap.NewNop())
	return opened(t, s, err)
}

func openPostgreSQL(t testing.TB) *sqlstore.Store {
	s, err := sqlstore.OpenPostgres(t.Context(), sqlstore.Postgres{DSN: database.Postgres(t).MustCreate(t, "")}, zap.NewNop())
	return opened(t, s, err)
}

// openPeers opens our tables with the columns that a peer's have.
func openPeers(t testing.TB) *sqlstore.Store {
	t.Helper()
	dsn := database.MariaDB(t).MustCreate(t, "CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci")
	if err := openMariaDB(t, dsn).Close(); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("mysql", dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, column := range []string{ // docs/spec/schema.md §1
		"domain MODIFY namespace VARCHAR(255)", "class MODIFY classname VARCHAR(50)", "host MODIFY hostname VARCHAR(40)",
		"file MODIFY dkey VARCHAR(255)", "tempfile MODIFY dkey VARCHAR(255)",
	} {
		if _, err := db.ExecContext(t.Context(), "ALTER TABLE "+column+" COLLATE utf8mb4_general_ci"); err != nil {
			t.Fatalf("%s: %v", column, err)
		}
	}
	return openMariaDB(t, dsn)
}
