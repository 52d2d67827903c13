package legacy

import (
	"context"
	"database/sql"
	"encoding/hex"
	"fmt"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/go-sql-driver/mysql"
	_ "github.com/jackc/pgx/v5/stdlib" // driver "pgx"
	_ "modernc.org/sqlite"             // driver "sqlite"

	"github.com/mogilefs/caddy-mogilefs/tests/database"
)

// Database is one that an old tracker has worked with.
type Database struct {
	Variant
	// DSN is for the store that takes it over: a file for SQLite.
	DSN string
	// SQL looks into it behind everybody's back.
	SQL *sql.DB
}

// New makes a database with its rows; it goes with the test.
func New(t testing.TB, v Variant) *Database {
	t.Helper()
	d := NewEmpty(t, v)
	d.Do(t, v.Rows()...)
	return d
}

// NewEmpty makes a database that has its tables and the version, and no more.
func NewEmpty(t testing.TB, v Variant) *Database {
	t.Helper()
	d := &Database{Variant: v}
	switch v.Kind {
	case MySQL:
		d.DSN = database.MariaDB(t).MustCreate(t, v.How)
	case Postgres:
		d.DSN = database.Postgres(t).MustCreate(t, v.How)
	case SQLite:
		d.DSN = filepath.Join(t.TempDir(), "mogilefs.db")
	}
	d.SQL = d.open(t, true)
	d.Do(t, v.Tables()...)
	return d
}

// open connects as the old tracker does: with its character set, each statement a
// transaction, and for the rest as the server likes. A witness doesn't mind that tables
// change.
func (d *Database) open(t testing.TB, witness bool) *sql.DB {
	t.Helper()
	dsn, err := d.peerDSN()
	if err != nil {
		t.Fatal(err)
	}
	if witness && d.Kind == Postgres {
		dsn += "&default_query_exec_mode=exec" // with nothing prepared
	}
	db, err := sql.Open(string(d.Kind), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func (d *Database) peerDSN() (string, error) {
	switch d.Kind {
	case MySQL:
		config, err := mysql.ParseDSN(d.DSN)
		if err != nil {
			return "", err
		}
		if err := config.Apply(mysql.Charset(d.session(), "")); err != nil {
			return "", err
		}
		return config.FormatDSN(), nil
	case Postgres:
		u, err := url.Parse(d.DSN)
		if err != nil {
			return "", err
		}
		query := u.Query()
		query.Set("client_encoding", "LATIN1")
		u.RawQuery = query.Encode()
		return u.String(), nil
	}
	// The reference waits 5 s for the file's lock, which is not fair: a worker that gives
	// up dies and is started again. A player has no one who starts it again, so it waits.
	options := url.Values{"_pragma": {"busy_timeout(60000)"}, "_txlock": {"immediate"}} // docs/spec/schema.md §1.1
	return "file:" + filepath.ToSlash(d.DSN) + "?" + options.Encode(), nil
}

// Do runs statements.
func (d *Database) Do(t testing.TB, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if _, err := d.SQL.ExecContext(t.Context(), text); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
	}
}

// Number is the answer to a question that has one.
func (d *Database) Number(t testing.TB, text string) (n int64) {
	t.Helper()
	if err := d.SQL.QueryRowContext(t.Context(), text).Scan(&n); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return n
}

// Texts is the first column of a question's answers.
func (d *Database) Texts(t testing.TB, text string) (all []string) {
	t.Helper()
	rows, err := d.SQL.QueryContext(t.Context(), text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	defer rows.Close()
	for rows.Next() {
		var one sql.NullString
		if err := rows.Scan(&one); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		all = append(all, one.String)
	}
	if err := rows.Err(); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return all
}

// Columns describes all columns, in the database's words.
func (d *Database) Columns(t testing.TB) []string {
	t.Helper()
	return d.Texts(t, map[Kind]string{
		MySQL: `SELECT CONCAT_WS(' ', table_name, column_name, column_type, is_nullable, collation_name, extra, column_default)
			FROM information_schema.columns WHERE table_schema = DATABASE() ORDER BY 1`,
		Postgres: `SELECT CONCAT_WS(' ', table_name, column_name, data_type, character_maximum_length, is_nullable, collation_name, column_default)
			FROM information_schema.columns WHERE table_schema = 'public' ORDER BY 1`,
		SQLite: "SELECT m.name || ' ' || p.name || ' ' || p.type || ' ' || p.\"notnull\" FROM sqlite_master m JOIN pragma_table_info(m.name) p ORDER BY 1",
	}[d.Kind])
}

// Dump is every row of every table but those named, as text with the table before it, in
// some order that stays.
func (d *Database) Dump(t testing.TB, but ...string) (rows []string) {
	t.Helper()
	for _, table := range tables {
		if d.hasTable(table.name) && !slices.Contains(but, table.name) {
			rows = append(rows, d.dump(t, table.name)...)
		}
	}
	slices.Sort(rows)
	return rows
}

func (d *Database) dump(t testing.TB, table string) (all []string) {
	t.Helper()
	rows, err := d.SQL.QueryContext(t.Context(), "SELECT * FROM "+table)
	if err != nil {
		t.Fatalf("dump %s: %v", table, err)
	}
	defer rows.Close()
	names, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	for rows.Next() {
		values, places := make([]any, len(names)), make([]any, len(names))
		for i := range values {
			places[i] = &values[i]
		}
		if err := rows.Scan(places...); err != nil {
			t.Fatalf("dump %s: %v", table, err)
		}
		words := []string{table}
		for i, value := range values {
			words = append(words, names[i]+"="+printed(value))
		}
		slices.Sort(words[1:])
		all = append(all, strings.Join(words, " "))
	}
	if err := rows.Err(); err != nil {
		t.Fatalf("dump %s: %v", table, err)
	}
	return all
}

// printed shows numbers and texts alike, whatever type a driver has for them.
func printed(value any) string {
	if b, ok := value.([]byte); ok {
		value = string(b)
	}
	if s, ok := value.(string); ok && strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' }) {
		return "x" + hex.EncodeToString([]byte(s))
	}
	return fmt.Sprint(value)
}

// Tracker connects one worker of an old tracker that runs on host.
func (d *Database) Tracker(t testing.TB, host string) *Tracker {
	t.Helper()
	conn, err := d.open(t, false).Conn(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	tr := &Tracker{kind: d.Kind, host: host, conn: conn}
	t.Cleanup(tr.close)
	if err := tr.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return tr
}
