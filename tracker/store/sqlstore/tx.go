package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"

	"github.com/mogilefs/caddy-mogilefs/tracker/store"
)

// tx is where statements run: in a transaction or on a reading connection. It
// lives for one call, hence the context inside. It speaks the errors of package
// store: [store.ErrDup] when a key is taken, [store.ErrNotFound] when a row that
// was asked for is missing.
type tx struct {
	ctx  context.Context
	d    *dialect
	stmt func(text string) (*sql.Stmt, error)
}

// exec runs a statement and returns how many rows it touched.
func (t *tx) exec(text string, args ...any) (int64, error) {
	res, err := t.result(text, args)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// insert runs an INSERT and returns the number that the database gave the row in the
// column.
func (t *tx) insert(column, text string, args ...any) (id int64, err error) {
	if t.d.insert != nil {
		return t.d.insert(t, column, text, args)
	}
	res, err := t.result(text, args)
	if err != nil {
		return 0, err
	}
	return res.LastInsertId()
}

// add runs an INSERT of one row, and reports whether it was added; it was not when it would
// be a duplicate.
func (t *tx) add(text string, args ...any) (bool, error) {
	n, err := t.exec(text+t.d.orNothing, args...)
	if errors.Is(err, store.ErrDup) {
		return false, nil
	}
	return n > 0, err
}

func (t *tx) result(text string, args []any) (sql.Result, error) {
	stmt, err := t.stmt(text)
	if err != nil {
		return nil, err
	}
	res, err := stmt.ExecContext(t.ctx, args...)
	if err != nil && t.d.isDup(err) {
		return nil, store.ErrDup
	}
	return res, err
}

// must runs a statement that is to touch a row: [store.ErrNotFound] when none was
// there.
func (t *tx) must(text string, args ...any) error {
	n, err := t.exec(text, args...)
	if err == nil && n == 0 {
		return store.ErrNotFound
	}
	return err
}

// all runs statements one after the other, each with the same arguments.
func (t *tx) all(texts []string, args ...any) error {
	for _, text := range texts {
		if _, err := t.exec(text, args...); err != nil {
			return err
		}
	}
	return nil
}

// row runs a SELECT of at most one row.
func (t *tx) row(text string, args ...any) row {
	stmt, err := t.stmt(text)
	if err != nil {
		return row{err: err, noText: t.d.noText}
	}
	return row{row: stmt.QueryRowContext(t.ctx, args...), noText: t.d.noText}
}

// exists reports whether a SELECT finds anything.
func (t *tx) exists(text string, args ...any) (bool, error) {
	var one int
	err := t.row(text, args...).Scan(&one)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// none returns the error found when a SELECT finds something.
func none(t *tx, found error, text string, args ...any) error {
	exists, err := t.exists(text, args...)
	if err == nil && exists {
		err = found
	}
	return err
}

// row is a found row or why there is none.
type row struct {
	row    *sql.Row
	err    error
	noText func(error) bool // of the dialect
}

// Scan has the name of its model so that a function can read from a row and from
// one of many rows.
func (r row) Scan(dest ...any) error {
	err := r.err
	if err == nil {
		err = r.row.Scan(dest...)
	}
	if errors.Is(err, sql.ErrNoRows) || err != nil && r.noText != nil && r.noText(err) {
		return store.ErrNotFound
	}
	return err
}

type scanner interface {
	Scan(dest ...any) error
}

// list runs a SELECT and reads every row with scan.
func list[T any](t *tx, scan func(scanner) (T, error), text string, args ...any) ([]T, error) {
	stmt, err := t.stmt(text)
	if err != nil {
		return nil, err
	}
	rows, err := stmt.QueryContext(t.ctx, args...)
	if err != nil && t.d.noText != nil && t.d.noText(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var found []T
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, err
		}
		found = append(found, v)
	}
	return found, rows.Err()
}

// single reads a row of one column.
func single[T any](s scanner) (v T, err error) {
	err = s.Scan(&v)
	return v, err
}

// statements prepares each text once and keeps it until its connection closes.
// The texts are those of this package, so their number is small.
type statements struct {
	d       *dialect
	prepare func(ctx context.Context, text string) (*sql.Stmt, error)

	mu     sync.RWMutex
	byText map[string]*sql.Stmt // guarded by mu
}

func newStatements(d *dialect, prepare func(context.Context, string) (*sql.Stmt, error)) *statements {
	return &statements{d: d, prepare: prepare, byText: map[string]*sql.Stmt{}}
}

// get is not cancelled by its first caller: the statement is for all.
func (s *statements) get(text string) (*sql.Stmt, error) {
	return s.getWithin(context.Background(), text)
}

// getWithin is get for a connection that the caller has for himself.
func (s *statements) getWithin(ctx context.Context, text string) (*sql.Stmt, error) {
	s.mu.RLock()
	stmt, ok := s.byText[text]
	s.mu.RUnlock()
	if ok {
		return stmt, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if stmt, ok := s.byText[text]; ok {
		return stmt, nil
	}
	stmt, err := s.prepare(ctx, s.d.translate(text))
	if err != nil {
		return nil, fmt.Errorf("prepare %q: %w", text, err)
	}
	s.byText[text] = stmt
	return stmt, nil
}

// close closes what was prepared; nobody may use it any more. It is needed where a
// connection is held (sql.Conn): database/sql closes the statements of a sql.DB and of
// a sql.Tx by itself, those of a sql.Conn not, and SQLite keeps the connection and its
// files open until the last statement is closed.
func (s *statements) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for _, stmt := range s.byText {
		errs = append(errs, stmt.Close())
	}
	clear(s.byText)
	return errors.Join(errs...)
}

// in is where statements prepared by s run.
func (s *statements) in(ctx context.Context) *tx {
	return &tx{ctx: ctx, d: s.d, stmt: s.get}
}
