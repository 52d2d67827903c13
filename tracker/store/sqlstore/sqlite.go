package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"go.uber.org/zap"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/mogilefs/caddy-mogilefs/tracker/store"
	"github.com/mogilefs/caddy-mogilefs/tracker/store/sqlstore/keyrange"
)

// memory is the path of a database that lives as long as its store.
const memory = ":memory:"

// busyTimeout is how long a statement waits for another process that writes
// (docs/spec/schema.md §1.1).
const busyTimeout = 5 * time.Second

// walPoll is how often the switch to WAL is tried again while others open the file,
// which takes them a few milliseconds.
const walPoll = 5 * time.Millisecond

// minReaders is how many connections read at least: as many reads may wait for
// the disk while the CPUs go on. Twice the CPUs is enough for reads from memory.
const minReaders = 8

// OpenSQLite opens the SQLite database in the file path, which it creates with its
// directory when it is missing; path ":memory:" is for tests. It returns
// store.ErrSchema when something else is in the file.
func OpenSQLite(ctx context.Context, path string, log *zap.Logger) (*Store, error) {
	s, err := openSQLiteStore(ctx, path, false, log)
	return s, wrap(err, "open SQLite database %s", path)
}

// UpgradeSQLite is OpenSQLite, but brings a database of an older version up to date
// (versions 10 to 16), and adds what is missing in one that is.
func UpgradeSQLite(ctx context.Context, path string, log *zap.Logger) (*Store, error) {
	s, err := openSQLiteStore(ctx, path, true, log)
	return s, wrap(err, "upgrade SQLite database %s", path)
}

func openSQLiteStore(ctx context.Context, path string, upgrade bool, log *zap.Logger) (*Store, error) {
	db, err := openSQLite(ctx, path, func(t *tx) error {
		found, err := ensureSchema(t, upgrade)
		if err == nil {
			found.report(log)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return open(ctx, db, log)
}

// sqliteDB has one connection that writes, owned by its writer, and several that
// read. SQLite keeps reads and writes apart (WAL): a read sees what was committed
// when it began and waits for nobody.
type sqliteDB struct {
	// host is how the system calls this machine, as the peer writes into locks.
	host    string
	writing *sql.DB
	conn    *sql.Conn
	writer  *writer
	writes  *statements // of conn, which the writer uses
	// reading is nil for a database in memory, which has the one connection only:
	// reads go through the writer.
	reading *sql.DB
	reads   *statements
}

// openSQLite runs ensure as the first transaction.
func openSQLite(ctx context.Context, path string, ensure func(*tx) error) (_ *sqliteDB, err error) {
	if path != memory {
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			return nil, err
		}
	}
	host, err := os.Hostname()
	if err != nil {
		return nil, err
	}
	db := &sqliteDB{host: host}
	defer func() {
		if err != nil {
			err = errors.Join(err, db.closeConns())
		}
	}()
	if err := db.openWriting(ctx, path, ensure); err != nil {
		return nil, notADatabase(err)
	}
	if path != memory {
		if err := db.openReading(ctx, path); err != nil {
			return nil, err
		}
	}
	db.writer.start()
	return db, nil
}

// openWriting checks what is in the file before it touches anything there: the
// journal mode is written into the file, which may be somebody else's.
func (db *sqliteDB) openWriting(ctx context.Context, path string, ensure func(*tx) error) (err error) {
	if db.writing, err = sqliteHandle(path, "synchronous(FULL)"); err != nil {
		return err
	}
	db.writing.SetMaxOpenConns(1)
	if db.conn, err = db.writing.Conn(ctx); err != nil {
		return err
	}
	db.writes = newStatements(sqliteDialect(), db.conn.PrepareContext)
	db.writer = newWriter(db.writes.in(context.Background()))
	if err := db.writer.first(ctx, ensure); err != nil {
		return err
	}
	if path == memory {
		return nil
	}
	return wrap(db.turnOnWAL(ctx), "turn on WAL")
}

// turnOnWAL waits for others who have just opened the same file: here SQLite itself
// does not.
func (db *sqliteDB) turnOnWAL(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, busyTimeout)
	defer cancel()
	for {
		var mode string
		err := db.conn.QueryRowContext(context.WithoutCancel(ctx), "PRAGMA journal_mode(WAL)").Scan(&mode)
		if err == nil && mode != "wal" {
			err = fmt.Errorf("journal mode is %s, want wal: put the file on a local file system", mode)
		}
		if sqliteCode(err)&0xff != sqlite3.SQLITE_BUSY {
			return err
		}
		retry := time.NewTimer(walPoll)
		select {
		case <-retry.C:
		case <-ctx.Done():
			retry.Stop()
			return err
		}
	}
}

func (db *sqliteDB) openReading(ctx context.Context, path string) (err error) {
	if db.reading, err = sqliteHandle(path, "query_only(ON)"); err != nil {
		return err
	}
	readers := max(minReaders, 2*runtime.GOMAXPROCS(0))
	db.reading.SetMaxOpenConns(readers)
	db.reading.SetMaxIdleConns(readers)
	db.reads = newStatements(sqliteDialect(), db.reading.PrepareContext)
	return db.reading.PingContext(ctx)
}

// sqliteHandle escapes the path, so that a ? in it does not begin the options.
func sqliteHandle(path, pragma string) (*sql.DB, error) {
	options := url.Values{"_pragma": {fmt.Sprintf("busy_timeout(%d)", busyTimeout.Milliseconds()), pragma}}
	dsn := memory
	if path != memory {
		abs, err := filepath.Abs(path)
		if err != nil {
			return nil, err
		}
		dsn = (&url.URL{Scheme: "file", Path: filepath.ToSlash(abs)}).String()
	}
	connector, err := sqlite.NewConnector(dsn + "?" + options.Encode())
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(connector), nil
}

func notADatabase(err error) error {
	if sqliteCode(err)&0xff == sqlite3.SQLITE_NOTADB {
		return fmt.Errorf("%w: the file is no SQLite database; name another file, or one that does not exist: %w",
			store.ErrSchema, err)
	}
	return err
}

// read does not watch ctx while a statement runs: those are short, watching costs
// a goroutine each, and an interrupted connection is thrown away with all it has
// prepared.
func (db *sqliteDB) read(ctx context.Context, fn func(*tx) error) error {
	if db.reading == nil {
		return db.write(ctx, fn)
	}
	if err := db.readable(ctx); err != nil {
		return err
	}
	return fn(db.reads.in(context.WithoutCancel(ctx)))
}

// snapshot prepares its statements on the connection it has. To prepare them for
// all takes one more connection, which is not to be had when every reader waits
// for one.
func (db *sqliteDB) snapshot(ctx context.Context, fn func(*tx) error) error {
	if db.reading == nil {
		return db.write(ctx, fn)
	}
	if err := db.readable(ctx); err != nil {
		return err
	}
	ctx = context.WithoutCancel(ctx)
	moment, err := db.reading.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return err
	}
	err = fn(newStatements(db.reads.d, moment.PrepareContext).in(ctx))
	return errors.Join(err, moment.Rollback())
}

func (db *sqliteDB) readable(ctx context.Context) error {
	select {
	case <-db.writer.stop:
		return errClosed
	default:
		return ctx.Err()
	}
}

func (db *sqliteDB) write(ctx context.Context, fn func(*tx) error) error {
	return db.writer.write(ctx, fn)
}

// once: nobody has to try twice here.
func (db *sqliteDB) once(ctx context.Context, fn func(*tx) error) error {
	return db.write(ctx, fn)
}

// autocommit shares the commits of write.
func (db *sqliteDB) autocommit(ctx context.Context, fn func(*tx) error) error {
	return db.write(ctx, fn)
}

func (db *sqliteDB) close() error {
	db.writer.close()
	return db.closeConns()
}

// closeConns closes what was opened, the writing connection last: it is the one
// that may empty the write-ahead log into the file.
func (db *sqliteDB) closeConns() error {
	var errs []error
	if db.reading != nil {
		errs = append(errs, db.reading.Close())
	}
	if db.writes != nil {
		errs = append(errs, db.writes.close())
	}
	if db.conn != nil {
		errs = append(errs, db.conn.Close())
	}
	if db.writing != nil {
		errs = append(errs, db.writing.Close())
	}
	return errors.Join(errs...)
}

func sqliteDialect() *dialect {
	return &dialect{
		translate: strings.NewReplacer(
			"UNIX_TIMESTAMP()", "unixepoch()",
			"INSERT IGNORE", "INSERT OR IGNORE",
			// A writing transaction has the database to itself.
			" FOR UPDATE", "",
			" LOCK IN SHARE MODE", "",
			// A parameter alone would have the statement compiled anew each time: SQLite
			// wants to know the number when it plans. All plans here follow an index.
			" LIMIT ?", " LIMIT ?+0",
		).Replace,
		isDup: func(err error) bool {
			code := sqliteCode(err)
			return code == sqlite3.SQLITE_CONSTRAINT_UNIQUE || code == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY ||
				code == sqlite3.SQLITE_CONSTRAINT_ROWID
		},
		oneTracker: true,
		tables:     "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') AND substr(name, 1, 7) <> 'sqlite_'",
		columns:    sqliteColumns,
		schema:     sqliteSchema,
		needs:      []string{"lock"},
		upgrade:    sqliteUpgrade(),
		keyRange:   keyrange.Bytewise,
	}
}

// sqliteCode is the extended result code of err, or 0.
func sqliteCode(err error) int {
	if e := (*sqlite.Error)(nil); errors.As(err, &e) {
		return e.Code()
	}
	return 0
}

// pool implements database.
func (db *sqliteDB) pool() store.Pool {
	if db.reading == nil {
		return store.Pool{Limit: 1}
	}
	now := db.reading.Stats()
	return store.Pool{InUse: now.InUse, Idle: now.Idle, Limit: now.MaxOpenConnections}
}
