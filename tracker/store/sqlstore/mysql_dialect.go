package sqlstore

import (
	"database/sql"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync/atomic"

	"github.com/go-sql-driver/mysql"

	"github.com/mogilefs/caddy-mogilefs/mogile"
)

// mysqlDialect is complete when [mysqlFacts] has taught it. Statements are in its words
// already.
func mysqlDialect() *dialect {
	return &dialect{
		translate:  func(text string) string { return text },
		isDup:      isMySQLDup,
		isConflict: isMySQLConflict,
		isGone:     isMySQLGone,
		oneByOne:   func(rows int) string { return fmt.Sprintf(" ORDER BY fid LIMIT %d", rows) },
		noText:     isNoMySQLText,
		begin:      []string{"START TRANSACTION"},
		snapshot: []string{
			"SET TRANSACTION ISOLATION LEVEL REPEATABLE READ",
			"START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
		},
		tryLock: tryMySQLLock,
		unlock:  unlockMySQL,
		tables:  "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE()",
		columns: mysqlColumns,
		schema:  mysqlSchema,
		upgrade: mysqlUpgrade(),
	}
}

// mysqlCode is the server's error number, or 0.
func mysqlCode(err error) uint16 {
	if e := (*mysql.MySQLError)(nil); errors.As(err, &e) {
		return e.Number
	}
	return 0
}

func isMySQLDup(err error) bool {
	switch mysqlCode(err) {
	case 1062, 1586: // ER_DUP_ENTRY, ER_DUP_ENTRY_WITH_KEY_NAME
		return true
	}
	return false
}

// isMySQLConflict: a deadlock, which with Galera may show at the commit; a lock not given
// in time; a row that has changed since the transaction's snapshot.
func isMySQLConflict(err error) bool {
	switch mysqlCode(err) {
	case 1213, 1205, 1020: // ER_LOCK_DEADLOCK, ER_LOCK_WAIT_TIMEOUT, ER_CHECKREAD
		return true
	}
	return false
}

// isMySQLGone: besides the connection itself, the server shuts down or killed it; it has
// become read-only, as after a failover; a node of a cluster is not part of it; or
// prepared statements did not survive a change of a table.
func isMySQLGone(err error) bool {
	switch mysqlCode(err) {
	case 1053, 1317, 1927, 3169, 4031, // ER_SERVER_SHUTDOWN, ER_QUERY_INTERRUPTED, ER_CONNECTION_KILLED, ER_SESSION_WAS_KILLED, ER_CLIENT_INTERACTION_TIMEOUT
		1290, 1792, 1836, // ER_OPTION_PREVENTS_STATEMENT, ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION, ER_READ_ONLY_MODE
		1047, 1180, // ER_UNKNOWN_COM_ERROR: "WSREP has not yet prepared node for application use", ER_ERROR_DURING_COMMIT
		1243, 1615: // ER_UNKNOWN_STMT_HANDLER, ER_NEED_REPREPARE
		return true
	}
	return false
}

// isNoMySQLText: bytes that are none in the connection's charset, or that the column's
// does not have.
func isNoMySQLText(err error) bool {
	switch mysqlCode(err) {
	case 1267, 1300, 1366, 3854, 3988: // ER_CANT_AGGREGATE_2COLLATIONS, ER_INVALID_CHARACTER_STRING, ER_TRUNCATED_WRONG_VALUE_FOR_FIELD, ER_CANNOT_CONVERT_STRING, ER_IMPOSSIBLE_STRING_CONVERSION
		return true
	}
	return false
}

// tryMySQLLock takes the peer's locks, which are the server's, not the database's
// (docs/spec/schema.md §7.1).
func tryMySQLLock(t *tx, names ...string) ([]bool, error) {
	return askMySQLLocks(t, "GET_LOCK(?, 0)", names)
}

func unlockMySQL(t *tx, names ...string) ([]bool, error) {
	return askMySQLLocks(t, "RELEASE_LOCK(?)", names)
}

// askMySQLLocks asks the same of each name and reports which of the answers are 1.
func askMySQLLocks(t *tx, what string, names []string) ([]bool, error) {
	args, answers := make([]any, len(names)), make([]any, len(names))
	for i, name := range names {
		args[i], answers[i] = name, new(sql.Null[int])
	}
	err := t.row("SELECT "+repeated(what, ", ", len(names)), args...).Scan(answers...)
	yes := make([]bool, len(names))
	for i, answer := range answers {
		yes[i] = answer.(*sql.Null[int]).V == 1
	}
	return yes, err
}

// passLocked has rows passed over that another tracker has in hand, instead of waiting
// for it, where the server knows the words.
func passLocked(text string) string {
	return strings.Replace(text, " LIMIT ? FOR UPDATE", " LIMIT ? FOR UPDATE SKIP LOCKED", 1)
}

// collatedKeyRange is for keys that compare by a collation, which pads them with blanks
// and may not tell cases apart. LIKE uses the index as far as the collation allows.
func collatedKeyRange(tellCases *atomic.Bool) func(prefix, after mogile.Key) (string, []any) {
	return func(prefix, after mogile.Key) (condition string, args []any) {
		if after != "" {
			condition, args = " AND dkey > ?", []any{after}
		}
		if prefix == "" {
			return condition, args
		}
		pattern := strings.NewReplacer(`|`, `||`, `%`, `|%`, `_`, `|_`).Replace(string(prefix)) + "%"
		condition, args = condition+" AND dkey LIKE ? ESCAPE '|'", append(args, pattern)
		if tellCases.Load() { // besides: it has no index
			condition, args = condition+" AND dkey LIKE BINARY ? ESCAPE '|'", append(args, pattern)
		}
		return condition, args
	}
}

// fids32 are those of a database in which some columns of fids, perhaps not all, have
// 32 bits. INSERT IGNORE would make the greatest number that fits of one that doesn't,
// strict or not, so no upload begins with such a fid.
type fids32 struct{ widen string }

// insert is tx.insert.
func (f fids32) insert(t *tx, _, text string, args []any) (int64, error) {
	res, err := t.result(text, args)
	switch mysqlCode(err) {
	case 0:
	case 1467, 1264, 167: // ER_AUTOINC_READ_FAILED, ER_WARN_DATA_OUT_OF_RANGE, HA_ERR_AUTOINC_ERANGE
		return 0, f.explain(err)
	}
	if err != nil {
		return 0, err
	}
	id, err := res.LastInsertId()
	if err == nil {
		err = f.check(mogile.FID(id))
	}
	return id, err
}

func (f fids32) check(fid mogile.FID) error {
	if fid > math.MaxUint32 {
		return f.explain(fmt.Errorf("fid %d needs more than 32 bits", fid))
	}
	return nil
}

func (f fids32) explain(err error) error {
	return fmt.Errorf("the database has no room for such a fid; run %s: %w", f.widen, err)
}
