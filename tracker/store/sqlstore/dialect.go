package sqlstore

import (
	"context"
	"sync/atomic"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
)

// database is one opened database. The functions it is given may be run again
// when the database asks for it (a deadlock), so they set their results and never
// add to them.
type database interface {
	// read runs fn without a transaction: each statement sees what is committed,
	// also what a write that returned before committed.
	read(ctx context.Context, fn func(*tx) error) error
	// snapshot is read, but all statements of fn see the same moment.
	snapshot(ctx context.Context, fn func(*tx) error) error
	// write runs fn as one transaction and returns nil when it is durable. An
	// error of fn undoes it. Once fn has begun, the outcome is waited for even
	// when ctx ends.
	write(ctx context.Context, fn func(*tx) error) error
	// once is write without another try, for a change of many who would rather try each by
	// himself.
	once(ctx context.Context, fn func(*tx) error) error
	// autocommit is write where each statement of fn may commit by itself, since what
	// the first ones leave does no harm. When a connection is lost, fn may have been
	// carried out twice.
	autocommit(ctx context.Context, fn func(*tx) error) error
	// tryLock takes the named lock against other processes, without waiting;
	// store.ErrLocked when one of them has it. Goroutines of this store are kept
	// apart by its gates already.
	tryLock(ctx context.Context, name string) (unlock func() error, err error)
	// pool is the connections at this moment.
	pool() store.Pool
	// close waits for what is under way. It is called once.
	close() error
}

// learner is a database that behaves as settings say. It is handed all of them whenever
// they were read; several goroutines may do that.
type learner interface {
	learn(settings map[string]string)
}

// dialect is how a kind of database says what the others say in other words.
//
// Statements are written in the words of MySQL, with these rules so that a text
// can be replaced by machine: parameters are ?, the time is UNIX_TIMESTAMP(), rows
// that may be there are inserted with INSERT IGNORE INTO, and nobody asks how many were
// not; rows that are to be replaced with REPLACE INTO and the primary key as the first column, and FOR
// UPDATE or LOCK IN SHARE MODE stands at the end. Columns are always named: their
// order differs between databases of different age.
type dialect struct {
	// translate turns a statement into the dialect's words.
	translate func(text string) string
	// isDup recognises the violation of a primary key or a unique index.
	isDup func(err error) bool
	// noText recognises that a text in a question is none the database can hold, so that
	// no row has it; nil where every text is.
	noText func(err error) bool
	// orNothing ends an INSERT whose row may be a duplicate, where an error would end the
	// transaction.
	orNothing string
	// insert is tx.insert, where the driver doesn't tell the number; else nil.
	insert func(t *tx, column, text string, args []any) (int64, error)
	// holdFIDs keeps others from taking fids until the transaction ends, and moveFIDs
	// makes the next one greater than fid, where the sequence of tempfile does not
	// follow a row with an explicit number; else nil.
	holdFIDs []string
	moveFIDs func(t *tx, fid mogile.FID) error
	// checkFID refuses a fid that the tables have no room for; nil where they have it.
	checkFID func(fid mogile.FID) error
	// isConflict recognises that the database undid a transaction for the sake of
	// another one, so that it can be run again. Servers only.
	isConflict func(err error) bool
	// isGone recognises the server's word that this connection, or the server behind
	// it, will be of no use any more: it shuts down, or became read-only. Servers only.
	isGone func(err error) bool
	// begin opens a transaction that writes, snapshot one whose statements all see
	// the same moment. Servers only.
	begin, snapshot []string
	// groups: many changes may share a transaction. Servers only.
	groups bool
	// locksGaps: who looks for a key that is not there keeps others from adding any that
	// would be near it, so that uploads are closed one after the other: of many at once
	// nearly all would be in each other's way, again and again. Servers only.
	locksGaps bool
	// oneByOne ends a DELETE of so many rows by their fids, so that the server goes to each
	// and does not read a small table to its end, where it would wait for what others have
	// in hand; nil where it does not wait for rows that it does not want.
	oneByOne func(rows int) string
	// returning: the server knows INSERT … RETURNING. Servers only.
	returning bool
	// queue is begin for those who were in the way of others, one at a time, or nil. Without
	// it, of many who want the same row one gets on in each round and the others start anew.
	queue []string
	// tryLock takes named locks for its connection, without waiting, and reports which it
	// got; unlock gives them back and reports which were held. Servers only.
	tryLock func(t *tx, names ...string) ([]bool, error)
	unlock  func(t *tx, names ...string) ([]bool, error)
	// oneTracker: the database has one tracker process at a time, so that leases
	// that are there when it is opened are those of a dead one.
	oneTracker bool
	// tables lists all tables and views of the database by name.
	tables string
	// columns lists those of all tables: table, name, type, collation, conditions on its
	// values, and the clauses that remove these.
	columns string
	// schema creates the tables of schema.go, and needs names those of them that are
	// created when they alone are missing.
	schema, needs []string
	upgrade       upgradeWords
	// refersToAll: told one domain and a range of its keys, the server may look up the domain
	// and read its keys from the first one on, when it takes that for as good as the range:
	// of ten million keys, five million. Told a range of domains, of which there is one, it
	// can only take the range.
	refersToAll bool
	// keyRange is the condition under which dkey begins with prefix and sorts
	// after the given key in the database's order; empty when all keys do.
	keyRange func(prefix, after mogile.Key) (condition string, args []any)
	// tellCases is the operator's wish to have cases told apart in keyRange where the
	// database does not; nil where it does.
	tellCases *atomic.Bool
}
