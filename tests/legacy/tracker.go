package legacy

import (
	"context"
	"database/sql"
	"errors"
	"strconv"
	"strings"

	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
)

// Tracker is a worker of an old tracker: one process with one connection, which does one
// thing at a time. Its errors are those of package store where that has them.
type Tracker struct {
	kind Kind
	host string
	conn *sql.Conn
	// minFID is the highest file there was when the tracker started.
	minFID mogile.FID
	// locked is the lock that it has, or empty.
	locked string
	// Ending is called before a row that was claimed goes, or is given back; nil: nobody
	// wants to know.
	Ending func(q store.QueueName, fid mogile.FID)
}

// start does what an old tracker does once (docs/spec/schema.md §3 and §4): it wants its
// version of the schema and no other, notes the highest file and tries to insert.
func (t *Tracker) start(ctx context.Context) error {
	if err := t.CheckVersion(ctx); err != nil {
		return err
	}
	if err := t.row(ctx, "SELECT COALESCE(MAX(fid), 0) FROM file").Scan(&t.minFID); err != nil || t.kind != MySQL {
		return err
	}
	_, err := t.exec(ctx, `INSERT INTO tempfile (createtime, dmid, dkey, classid, devids)
		VALUES (UNIX_TIMESTAMP(), 99, '_server_startup_test', 0, NULL)`)
	return err
}

// CheckVersion is the check without which 2.73 does not start (docs/spec/schema.md §3).
func (t *Tracker) CheckVersion(ctx context.Context) error {
	var found string
	err := t.row(ctx, "SELECT value FROM server_settings WHERE field = 'schema_version'").Scan(&found)
	if err == nil && found != "17" {
		err = errors.New("the schema has version " + found + ", and 2.73 wants 17")
	}
	return err
}

func (t *Tracker) close() { _ = t.conn.Close() }

// translate turns MySQL's words into those of the kind.
func (t *Tracker) translate(text string) string {
	text = strings.ReplaceAll(text, "UNIX_TIMESTAMP()", Variant{Kind: t.kind}.now())
	switch t.kind {
	case SQLite:
		text = strings.Replace(text, "INSERT IGNORE", "INSERT OR IGNORE", 1)
		return strings.Replace(text, " FOR UPDATE", "", 1)
	case Postgres:
		// Plain: a duplicate is an error that is passed over (docs/spec/schema.md §5.3).
		text = strings.Replace(text, "INSERT IGNORE", "INSERT", 1)
		for n := 1; strings.Contains(text, "?"); n++ {
			text = strings.Replace(text, "?", "$"+strconv.Itoa(n), 1)
		}
	}
	return text
}

func (t *Tracker) exec(ctx context.Context, text string, args ...any) (sql.Result, error) {
	res, err := t.conn.ExecContext(ctx, t.translate(text), args...)
	if err != nil && isDup(err) {
		return nil, store.ErrDup
	}
	return res, err
}

// touched is exec for the number of rows.
func (t *Tracker) touched(ctx context.Context, text string, args ...any) (int64, error) {
	res, err := t.exec(ctx, text, args...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// ignore is exec of an INSERT IGNORE.
func (t *Tracker) ignore(ctx context.Context, text string, args ...any) error {
	_, err := t.exec(ctx, text, args...)
	if errors.Is(err, store.ErrDup) {
		err = nil
	}
	return err
}

// queue is exec of a statement about a queue, where a deadlock is tried three times
// (docs/spec/schema.md §2.4). What is queued already may be queued again.
func (t *Tracker) queue(ctx context.Context, text string, args ...any) (err error) {
	for range 3 {
		if err = t.ignore(ctx, text, args...); !IsDeadlock(err) {
			break
		}
	}
	return err
}

type found struct{ *sql.Row }

func (t *Tracker) row(ctx context.Context, text string, args ...any) found {
	return found{t.conn.QueryRowContext(ctx, t.translate(text), args...)}
}

// Scan says that there is no row in the word of package store.
func (f found) Scan(dest ...any) error {
	err := f.Row.Scan(dest...)
	if errors.Is(err, sql.ErrNoRows) {
		err = store.ErrNotFound
	}
	return err
}

// list reads all rows of a question, each with scan.
func list[T any](ctx context.Context, t *Tracker, scan func(*sql.Rows) (T, error), text string, args ...any) ([]T, error) {
	rows, err := t.conn.QueryContext(ctx, t.translate(text), args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []T
	for rows.Next() {
		one, err := scan(rows)
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, rows.Err()
}

func single[T any](rows *sql.Rows) (one T, err error) {
	err = rows.Scan(&one)
	return one, err
}

// transaction runs fn in one of the few that the reference has (docs/spec/schema.md
// §7.2). A deadlock is tried three times (§2.4).
func (t *Tracker) transaction(ctx context.Context, fn func() error) (err error) {
	begin := map[Kind]string{MySQL: "START TRANSACTION", Postgres: "BEGIN", SQLite: "BEGIN IMMEDIATE"}[t.kind]
	for range 3 {
		if _, err = t.conn.ExecContext(ctx, begin); err != nil {
			return err
		}
		if err = fn(); err == nil {
			_, err = t.conn.ExecContext(ctx, "COMMIT")
			return err
		}
		if _, undo := t.conn.ExecContext(ctx, "ROLLBACK"); undo != nil {
			return errors.Join(err, undo)
		}
		if !IsDeadlock(err) {
			return err
		}
	}
	return err
}

func isDup(err error) bool {
	if e := (*mysql.MySQLError)(nil); errors.As(err, &e) {
		return e.Number == 1062
	}
	if e := (*pgconn.PgError)(nil); errors.As(err, &e) {
		return e.Code == "23505"
	}
	if e := (*sqlite.Error)(nil); errors.As(err, &e) {
		return e.Code()&0xff == sqlite3.SQLITE_CONSTRAINT
	}
	return false
}

// IsDeadlock recognises what the reference tries again in few places only, and else tells
// its client.
func IsDeadlock(err error) bool {
	e := (*mysql.MySQLError)(nil)
	return errors.As(err, &e) && e.Number == 1213
}
