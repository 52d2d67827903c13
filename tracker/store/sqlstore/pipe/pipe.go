// Package pipe has a connection to PostgreSQL send statements together when nobody waits for
// the answer to the first of them. It knows no table.
package pipe

import (
	"context"
	"database/sql/driver"
	"errors"
	"io"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
)

// MaxHeld bounds what a connection holds back.
const MaxHeld = 128

// OrNothing ends an INSERT of rows that may be there. Such a one is held back.
const OrNothing = " ON CONFLICT DO NOTHING"

// How long the server's plans are used: it makes one for each prepared statement and keeps
// it, whatever becomes of the tables; one for a table without rows may read all of them when
// there are millions. It plans anew when it has analyzed a table, which can take it minutes,
// or for ever. So plans are thrown away soon at first, and never grow older than the
// connection was when they were made.
const (
	firstPlans = 50 * time.Millisecond
	lastPlans  = time.Minute

	discardPlans = "DISCARD PLANS"
)

// Conn sends statements together when nobody waits for the answer to the first of
// them: the way to the server and back costs more than most of them do there. It holds
// back BEGIN and, in a transaction, an INSERT that ignores what is there already; the next
// statement takes them along, and fails when one of them does. So a delete is on its way
// three times instead of five, a close six instead of nine.
//
// Nothing that was held back is lost: COMMIT takes it along too, and is not carried out when
// it fails.
type Conn struct {
	*stdlib.Conn
	held *pgx.Batch // nil when nothing is
	// replan is when to plan anew, after plans that are used for so long.
	replan time.Time
	plans  time.Duration
}

// New takes a new connection, which has no plans yet.
func New(conn *stdlib.Conn) *Conn {
	return &Conn{Conn: conn, replan: time.Now().Add(firstPlans), plans: firstPlans}
}

// freshen has plans that have been used for long enough thrown away on the way.
func (c *Conn) freshen() {
	now := time.Now()
	if now.Before(c.replan) {
		return
	}
	c.plans = min(2*c.plans, lastPlans)
	c.replan = now.Add(c.plans)
	c.hold(discardPlans, nil)
}

func (c *Conn) pgx() *pgx.Conn { return c.Conn.Conn() }

// IsValid implements driver.Validator.
func (c *Conn) IsValid() bool { return !c.pgx().IsClosed() }

// inTransaction: one that goes on well, or will begin with the next statement.
func (c *Conn) inTransaction() bool {
	return c.held != nil && c.held.QueuedQueries[0].SQL != discardPlans || c.pgx().PgConn().TxStatus() == 'T'
}

func (c *Conn) begun() bool { return c.pgx().PgConn().TxStatus() != 'I' }

// PrepareContext implements driver.ConnPrepareContext.
func (c *Conn) PrepareContext(ctx context.Context, text string) (driver.Stmt, error) {
	stmt, err := c.Conn.PrepareContext(ctx, text)
	if err != nil {
		return nil, err
	}
	return &statement{Stmt: stmt.(*stdlib.Stmt), conn: c, text: text}, nil
}

// ExecContext implements driver.ExecerContext for what opens and ends transactions.
func (c *Conn) ExecContext(ctx context.Context, text string, args []driver.NamedValue) (driver.Result, error) {
	switch {
	case strings.HasPrefix(text, "BEGIN"):
		c.hold(text, nil)
		return driver.RowsAffected(0), nil
	case text == "ROLLBACK":
		c.held = nil
		if !c.begun() {
			return driver.RowsAffected(0), nil
		}
	case text == "COMMIT":
		return c.commit(ctx)
	}
	return c.exec(ctx, text, args)
}

// ErrAborted: a statement failed, which nobody minded. The server would answer a COMMIT with
// success, and with a word aside that it has undone everything.
var ErrAborted = errors.New("the transaction was to be committed after one of its statements had failed")

// commit leaves no transaction behind: one that failed before its end would remain.
func (c *Conn) commit(ctx context.Context) (result driver.Result, err error) {
	if c.pgx().PgConn().TxStatus() == 'E' {
		err = ErrAborted
	} else {
		result, err = c.exec(ctx, "COMMIT", nil)
	}
	if err != nil && c.IsValid() && c.begun() {
		_, undo := c.Conn.ExecContext(ctx, "ROLLBACK", nil)
		err = errors.Join(err, undo)
	}
	return result, err
}

func (c *Conn) hold(text string, args []driver.NamedValue) {
	if c.held == nil {
		c.held = new(pgx.Batch)
	}
	values := make([]any, len(args))
	for i, arg := range args {
		values[i] = arg.Value
	}
	c.held.Queue(text, values...)
}

// exec sends a statement with what was held.
func (c *Conn) exec(ctx context.Context, text string, args []driver.NamedValue) (driver.Result, error) {
	if c.held == nil {
		return c.Conn.ExecContext(ctx, text, args)
	}
	c.hold(text, args)
	return c.send(ctx)
}

// send sends what was held; the result is the last one's.
func (c *Conn) send(ctx context.Context) (driver.Result, error) {
	batch := c.held
	c.held = nil
	answers := c.pgx().SendBatch(ctx, batch)
	var touched int64
	for range batch.Len() {
		tag, err := answers.Exec()
		if err != nil {
			return nil, errors.Join(err, ignore(answers.Close(), err))
		}
		touched = tag.RowsAffected()
	}
	return driver.RowsAffected(touched), answers.Close()
}

// ignore is nil for an error that says the same again.
func ignore(again, err error) error {
	if again != nil && again.Error() == err.Error() {
		return nil
	}
	return again
}

// query is exec for a statement with rows. All are read: the next answer is behind them.
func (c *Conn) query(ctx context.Context, text string, args []driver.NamedValue) (driver.Rows, error) {
	if c.held == nil {
		return c.Conn.QueryContext(ctx, text, args)
	}
	c.hold(text, args)
	batch := c.held
	c.held = nil
	answers := c.pgx().SendBatch(ctx, batch)
	for range batch.Len() - 1 {
		if _, err := answers.Exec(); err != nil {
			return nil, errors.Join(err, ignore(answers.Close(), err))
		}
	}
	found, err := readRows(answers)
	if err != nil {
		return nil, errors.Join(err, ignore(answers.Close(), err))
	}
	return found, answers.Close()
}

func readRows(answers pgx.BatchResults) (*readyRows, error) {
	rows, err := answers.Query()
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	found := new(readyRows)
	for _, column := range rows.FieldDescriptions() {
		found.columns = append(found.columns, column.Name)
	}
	for rows.Next() {
		values, err := rows.Values()
		if err != nil {
			return nil, err
		}
		found.rows = append(found.rows, values)
	}
	return found, rows.Err()
}

// readyRows are rows in memory.
type readyRows struct {
	columns []string
	rows    [][]any
}

func (r *readyRows) Columns() []string { return r.columns }

func (r *readyRows) Close() error { return nil }

func (r *readyRows) Next(to []driver.Value) error {
	if len(r.rows) == 0 {
		return io.EOF
	}
	for i, value := range r.rows[0] {
		to[i] = value
	}
	r.rows = r.rows[1:]
	return nil
}

// statement is a prepared statement of a Conn.
type statement struct {
	*stdlib.Stmt
	conn *Conn
	text string
}

// canWait: nobody asks how many rows it touched, which may be none.
func (s *statement) canWait() bool {
	return strings.HasSuffix(s.text, OrNothing) && strings.Contains(s.text, "VALUES (") && s.conn.inTransaction()
}

// ExecContext implements driver.StmtExecContext.
func (s *statement) ExecContext(ctx context.Context, args []driver.NamedValue) (driver.Result, error) {
	s.conn.freshen()
	if !s.canWait() {
		return s.conn.exec(ctx, s.text, args)
	}
	s.conn.hold(s.text, args)
	if s.conn.held.Len() == MaxHeld {
		return s.conn.send(ctx)
	}
	return driver.RowsAffected(0), nil
}

// QueryContext implements driver.StmtQueryContext.
func (s *statement) QueryContext(ctx context.Context, args []driver.NamedValue) (driver.Rows, error) {
	s.conn.freshen()
	return s.conn.query(ctx, s.text, args)
}
