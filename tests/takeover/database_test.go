package takeover

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"testing"

	"go.uber.org/zap"

	"github.com/mogilefs/caddy-mogilefs/tests/database"
	"github.com/mogilefs/caddy-mogilefs/tests/legacy"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
	"github.com/mogilefs/caddy-mogilefs/tracker/store/sqlstore"
)

func TestMain(m *testing.M) { database.Main(m) }

// installation is what somebody wants taken over.
type installation struct {
	kind    legacy.Kind
	variant legacy.Variant
	// create is how the database was created, charset that of the predecessor's
	// connections.
	create, charset string
	latin1          bool
}

// installations are all there are, by name.
var installations = map[string]installation{
	"MySQL":                            {kind: legacy.MySQL, create: "CHARACTER SET utf8mb4"},
	"MySQL, small fids":                {kind: legacy.MySQL, create: "CHARACTER SET utf8mb4", variant: legacy.Variant{SmallFIDs: true}},
	"MySQL, latin1 tables":             {kind: legacy.MySQL, create: "CHARACTER SET latin1", latin1: true},
	"MySQL, latin1 connections":        {kind: legacy.MySQL, create: "CHARACTER SET utf8mb4", charset: "latin1"},
	"MySQL, latin1 all over":           {kind: legacy.MySQL, create: "CHARACTER SET latin1", charset: "latin1"},
	"MySQL, without the unused tables": {kind: legacy.MySQL, create: "CHARACTER SET utf8mb4", variant: legacy.Variant{Bare: true}},
	"PostgreSQL":                       {kind: legacy.Postgres},
	"PostgreSQL, without the unused":   {kind: legacy.Postgres, variant: legacy.Variant{Bare: true}},
	"SQLite":                           {kind: legacy.SQLite},
	"SQLite, without the unused":       {kind: legacy.SQLite, variant: legacy.Variant{Bare: true}},
}

// legacyDB is an installation's database, with a connection as its tracker had.
type legacyDB struct {
	*sql.DB
	installation
	dsn string
}

// make creates the tables, and the rows when there is a node.
func (i installation) make(t *testing.T, ip string, port uint16) *legacyDB {
	t.Helper()
	db := &legacyDB{installation: i}
	var err error
	switch i.kind {
	case legacy.MySQL:
		db.dsn = database.MariaDB(t).MustCreate(t, i.create)
		charset := "utf8mb4"
		if i.charset != "" {
			charset = i.charset
		}
		db.DB, err = sql.Open("mysql", db.dsn+"?clientFoundRows=true&charset="+charset)
	case legacy.Postgres:
		db.dsn = database.Postgres(t).MustCreate(t, i.create)
		// What the Perl tracker's driver does to keys.
		db.DB, err = sql.Open("pgx", db.dsn+"&client_encoding=LATIN1")
	case legacy.SQLite:
		db.dsn = filepath.Join(t.TempDir(), "mogilefs.db")
		db.DB, err = sql.Open("sqlite", db.dsn+"?_pragma=busy_timeout(5000)")
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	texts := legacy.Schema(i.kind, i.variant)
	if port != 0 {
		texts = append(texts, legacy.Rows(i.kind, i.variant, ip, port, i.latin1)...)
	}
	for _, text := range texts {
		if _, err := db.ExecContext(t.Context(), text); err != nil {
			t.Fatalf("%s: got %v; want nil", text, err)
		}
	}
	return db
}

// open opens it as this project does.
func (db *legacyDB) open(t *testing.T) store.Store {
	t.Helper()
	s, err := db.tryOpen(t.Context())
	if err != nil {
		t.Fatalf("open: got %v; want nil", err)
	}
	return s
}

func (db *legacyDB) tryOpen(ctx context.Context) (store.Store, error) {
	switch db.kind {
	case legacy.MySQL:
		return sqlstore.OpenMySQL(ctx, sqlstore.MySQL{DSN: db.dsn, Charset: db.charset}, zap.NewNop())
	case legacy.Postgres:
		return sqlstore.OpenPostgres(ctx, sqlstore.Postgres{DSN: db.dsn}, zap.NewNop())
	}
	return sqlstore.OpenSQLite(ctx, db.dsn, zap.NewNop())
}

// dump is every row of some tables as text.
func (db *legacyDB) dump(t *testing.T, tables ...string) []string {
	t.Helper()
	var all []string
	for _, table := range tables {
		rows, err := db.QueryContext(t.Context(), "SELECT * FROM "+table)
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		columns, err := rows.Columns()
		if err != nil {
			t.Fatal(err)
		}
		for rows.Next() {
			values := make([]sql.NullString, len(columns))
			into := make([]any, len(columns))
			for i := range values {
				into[i] = &values[i]
			}
			if err := rows.Scan(into...); err != nil {
				t.Fatal(err)
			}
			var words []string
			for i, v := range values {
				words = append(words, fmt.Sprintf("%s=%q", columns[i], v.String))
			}
			all = append(all, table+" "+strings.Join(words, " "))
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
	}
	sort.Strings(all)
	return all
}

// number is the result of a question.
func (db *legacyDB) number(t *testing.T, text string) (n int64) {
	t.Helper()
	if err := db.QueryRowContext(t.Context(), text).Scan(&n); err != nil {
		t.Fatalf("%s: got %v; want a number", text, err)
	}
	return n
}

// each runs a test on some installations at the same time.
func each(t *testing.T, all map[string]installation, test func(t *testing.T, i installation)) {
	for _, name := range slices.Sorted(maps.Keys(all)) {
		t.Run(name, func(t *testing.T) { test(t, all[name]) })
	}
}
