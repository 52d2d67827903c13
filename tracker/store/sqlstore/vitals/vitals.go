// Package vitals asks a database server how it is set up, for caddy mogilefs doctor.
//
// [MySQL], [Postgres] and [SQLite] open a connection of their own, ask, and close it. What
// they return is words by name: those of the server's own settings as the server calls
// them, and what is said of MogileFS's tables under the names of this package. Nothing is
// judged here, nothing is created, and no row is changed.
package vitals

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"
)

// within bounds all questions to one server.
const within = 10 * time.Second

// The names of what no server calls by a name of its own.
const (
	// Version is the server's.
	Version = "version"
	// Schema is that of MogileFS's tables; absent when there are none.
	Schema = "schema_version"
	// Clock is the server's, in seconds since 1970.
	Clock = "clock"
	// NotInnoDB is tables without transactions, with commas between.
	NotInnoDB = "not_innodb"
	// KeyCollation is that of the column file.dkey; empty when keys are bytes.
	KeyCollation = "key_collation"
	// DeadWithFiles is dead devices that copies are recorded on, with commas between.
	DeadWithFiles = "dead_with_files"
	// Missing is yes when there is no such file.
	Missing = "missing"
)

// asking is a connection and what was learnt through it.
type asking struct {
	ctx   context.Context
	db    *sql.DB
	found map[string]string
}

// ask opens one connection for the questions.
func ask(ctx context.Context, db *sql.DB, questions func(*asking) error) (map[string]string, error) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	db.SetMaxOpenConns(1)
	a := &asking{ctx: ctx, db: db, found: map[string]string{}}
	err := questions(a)
	return a.found, errors.Join(err, db.Close())
}

// one learns a single value.
func (a *asking) one(name, query string, args ...any) error {
	var value sql.NullString
	if err := a.db.QueryRowContext(a.ctx, query, args...).Scan(&value); err != nil {
		return fmt.Errorf("ask for %s: %w", name, err)
	}
	a.found[name] = value.String
	return nil
}

// pairs learns what a query returns as names and values.
func (a *asking) pairs(query string) error {
	rows, err := a.db.QueryContext(a.ctx, query)
	if err != nil {
		return fmt.Errorf("ask for settings: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var name, value string
		if err := rows.Scan(&name, &value); err != nil {
			return fmt.Errorf("ask for settings: %w", err)
		}
		a.found[strings.ToLower(name)] = value
	}
	return rows.Err()
}

// column learns a list.
func (a *asking) column(name, query string) error {
	rows, err := a.db.QueryContext(a.ctx, query)
	if err != nil {
		return fmt.Errorf("ask for %s: %w", name, err)
	}
	defer rows.Close()
	var values []string
	for rows.Next() {
		var value string
		if err := rows.Scan(&value); err != nil {
			return fmt.Errorf("ask for %s: %w", name, err)
		}
		values = append(values, value)
	}
	a.found[name] = strings.Join(values, ",")
	return rows.Err()
}

// tables learns about MogileFS's tables. there is a query that finds a row when there
// are any.
func (a *asking) tables(there string) error {
	var n int
	if err := a.db.QueryRowContext(a.ctx, there).Scan(&n); err != nil {
		return fmt.Errorf("ask for tables: %w", err)
	}
	if n == 0 {
		return nil
	}
	if err := a.one(Schema, "SELECT MAX(value) FROM server_settings WHERE field = 'schema_version'"); err != nil {
		return err
	}
	return a.column(DeadWithFiles, `SELECT devid FROM device WHERE status = 'dead'
		AND EXISTS (SELECT 1 FROM file_on WHERE file_on.devid = device.devid) ORDER BY devid`)
}
