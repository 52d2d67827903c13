package rivals

import (
	"context"
	"database/sql"
	"path/filepath"
	"testing"

	"go.uber.org/zap"

	"github.com/mogilefs/caddy-mogilefs/tests/database"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
	"github.com/mogilefs/caddy-mogilefs/tracker/store/sqlstore"
)

func TestMain(m *testing.M) { database.Main(m) }

// place is a new database.
type place struct {
	// connect opens it for one more tracker.
	connect func(context.Context) (store.Store, error)
	// driver and dsn open it behind the trackers' backs.
	driver, dsn string
}

// kinds makes a place for a test.
var kinds = map[string]func(*testing.T) place{
	"SQLite": func(t *testing.T) place {
		path := filepath.Join(t.TempDir(), "mogilefs.db")
		return place{func(ctx context.Context) (store.Store, error) {
			return sqlstore.OpenSQLite(ctx, path, zap.NewNop())
		}, "sqlite", path}
	},
	"MariaDB": func(t *testing.T) place {
		dsn := database.MariaDB(t).MustCreate(t, "")
		return place{func(ctx context.Context) (store.Store, error) {
			return sqlstore.OpenMySQL(ctx, sqlstore.MySQL{DSN: dsn}, zap.NewNop())
		}, "mysql", dsn}
	},
	"PostgreSQL": func(t *testing.T) place {
		dsn := database.Postgres(t).MustCreate(t, "")
		return place{func(ctx context.Context) (store.Store, error) {
			return sqlstore.OpenPostgres(ctx, sqlstore.Postgres{DSN: dsn}, zap.NewNop())
		}, "pgx", dsn}
	},
}

// everywhere runs a test on each database with one tracker, and with two where a
// database may have several.
func everywhere(t *testing.T, test func(*testing.T, *cluster)) {
	for name, kind := range kinds {
		t.Run(name, func(t *testing.T) { test(t, newCluster(t, kind(t), 1)) })
		if name != "SQLite" {
			t.Run(name+" with two trackers", func(t *testing.T) { test(t, newCluster(t, kind(t), 2)) })
		}
	}
}

func (p place) open(t *testing.T) *sql.DB {
	t.Helper()
	db, err := sql.Open(p.driver, p.dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}
