package sqlstore

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
	"github.com/mogilefs/caddy-mogilefs/tracker/store/sqlstore/pipe"
)

// postgresDialect is complete when [postgresFacts] has taught it.
//
// A transaction sees what others have committed when each of its statements begins. A
// statement that waited for a row goes on with what became of that row, and sees nothing
// of a row that came in its place.
func postgresDialect(host string) *dialect {
	locks := postgresLocks{host: int32(lockID(host))}
	return &dialect{
		translate:  postgresWords,
		isDup:      func(err error) bool { return postgresCode(err) == "23505" },
		insert:     insertReturning,
		orNothing:  " ON CONFLICT DO NOTHING RETURNING fid", // not as pipe.OrNothing has it: who adds asks whether
		isConflict: isPostgresConflict,
		isGone:     isPostgresGone,
		noText:     func(err error) bool { return postgresCode(err) == "22021" },
		begin:      []string{"BEGIN ISOLATION LEVEL READ COMMITTED"},
		queue:      postgresQueue,
		snapshot:   []string{"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"},
		tryLock:    locks.tryLock,
		unlock:     locks.unlock,
		tables:     postgresTables,
		columns:    postgresColumns,
		schema:     postgresSchema,
		upgrade:    postgresUpgrade(),
	}
}

// postgresQueue: the lock goes with the transaction.
var postgresQueue = []string{
	"BEGIN ISOLATION LEVEL READ COMMITTED",
	fmt.Sprintf("SELECT pg_advisory_xact_lock(%d, %d)", allHosts, lockID("mogilefs:queue")),
}

// postgresCode is the SQLSTATE of err, or empty.
func postgresCode(err error) string {
	if e := (*pgconn.PgError)(nil); errors.As(err, &e) {
		return e.Code
	}
	return ""
}

// isPostgresConflict: serialization_failure, deadlock_detected, lock_not_available.
func isPostgresConflict(err error) bool {
	switch postgresCode(err) {
	case "40001", "40P01", "55P03":
		return true
	}
	return false
}

// isPostgresGone: besides the connection itself, the server shuts down, has crashed or
// starts; it has become read-only, as after a failover; or a column has got another
// type, which this connection's prepared statements don't survive.
func isPostgresGone(err error) bool {
	code := postgresCode(err)
	switch code {
	case "57P01", "57P02", "57P03", "25006":
		return true
	case "0A000":
		return strings.Contains(err.Error(), "cached plan must not change result type")
	}
	return strings.HasPrefix(code, "08")
}

// insertReturning is tx.insert. An error would end the transaction; a duplicate is none
// in these words.
func insertReturning(t *tx, column, text string, args []any) (id int64, err error) {
	err = t.row(text+pipe.OrNothing+" RETURNING "+column, args...).Scan(&id)
	if errors.Is(err, store.ErrNotFound) {
		err = store.ErrDup
	}
	return id, err
}

var (
	// postgresTime is when the server got the statement. clock_timestamp() would hide a
	// comparison from the indexes, and now() stands still in a transaction.
	postgresTime = strings.NewReplacer(
		"UNIX_TIMESTAMP()", "FLOOR(EXTRACT(EPOCH FROM statement_timestamp()))::BIGINT",
		// Rows that another tracker has in hand are passed over, not waited for.
		" LIMIT ? FOR UPDATE", " LIMIT ? FOR UPDATE SKIP LOCKED",
		// Enough to keep the row: only its end waits, no other change of it.
		" LOCK IN SHARE MODE", " FOR KEY SHARE",
	)
	// A fid may be greater than an old column holds, which is for the server to say:
	// then it is right again once the column was widened.
	fidCompared = regexp.MustCompile(`\b(fid|logid) (=|>|>=|<|<=|IN) \(?\?`)
	fidInserted = regexp.MustCompile(`\(fid\b[^()]*\)\s+VALUES \(\?`)
	replaced    = regexp.MustCompile(`(?s)^REPLACE INTO \w+ \((\w+)((?:, \w+)*)\)`)
)

// postgresWords translates.
func postgresWords(text string) string {
	text = postgresTime.Replace(text)
	toBigint := func(m string) string { return m + "::BIGINT" }
	text = fidCompared.ReplaceAllStringFunc(text, toBigint)
	text = fidInserted.ReplaceAllStringFunc(text, toBigint)
	if rest, ok := strings.CutPrefix(text, "INSERT IGNORE "); ok {
		text = "INSERT " + rest + pipe.OrNothing
	}
	if columns := replaced.FindStringSubmatch(text); columns != nil {
		text = "INSERT" + strings.TrimPrefix(text, "REPLACE") + upsert(columns[1], columns[2])
	}
	return numbered(text)
}

// upsert replaces the row with the key; others is ", a, b".
func upsert(key, others string) string {
	var set []string
	for _, column := range strings.Split(others, ", ")[1:] {
		set = append(set, column+" = EXCLUDED."+column)
	}
	return " ON CONFLICT (" + key + ") DO UPDATE SET " + strings.Join(set, ", ")
}

// numbered gives every parameter its number. No text of this package has a question
// mark in quotes.
func numbered(text string) string {
	var b strings.Builder
	for n := 1; ; n++ {
		before, after, found := strings.Cut(text, "?")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		b.WriteString("$" + strconv.Itoa(n))
		text = after
	}
}

// likeKeyRange is for a database whose order is a language's: keys with one prefix don't
// lie together there.
func likeKeyRange(prefix, after mogile.Key) (string, []any) {
	pattern := strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(string(prefix)) + "%"
	return " AND dkey LIKE ? AND dkey > ?", []any{pattern, after}
}

// utf8KeyRange is the bytewise one where keys have to be UTF-8, so that the end of the
// range has to be, too. A prefix that is not has no keys.
func utf8KeyRange(prefix, after mogile.Key) (string, []any) {
	condition, args := " AND dkey > ?", []any{after}
	if after < prefix {
		condition, args = " AND dkey >= ?", []any{prefix}
	}
	if end := utf8PrefixEnd(prefix); end != "" {
		condition, args = condition+" AND dkey < ?", append(args, end)
	}
	return condition, args
}

func utf8PrefixEnd(prefix mogile.Key) mogile.Key {
	for prefix != "" {
		last, size := utf8.DecodeLastRuneInString(string(prefix))
		prefix = prefix[:len(prefix)-size]
		switch last {
		case utf8.MaxRune:
			continue
		case 0xd7ff: // surrogates are no characters
			last = 0xdfff
		}
		return prefix + mogile.Key(last+1)
	}
	return ""
}
