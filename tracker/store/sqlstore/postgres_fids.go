package sqlstore

import (
	"fmt"

	"github.com/mogilefs/caddy-mogilefs/mogile"
)

// holdTempfile waits for those who are adding to tempfile, and keeps others from it. The
// number of a row is taken under the lock that its INSERT has on the table, so nobody
// takes one meanwhile; and a sequence is no part of a transaction, so that without it a
// number that was set could be less than one that was just given.
const holdTempfile = "LOCK TABLE tempfile IN SHARE ROW EXCLUSIVE MODE"

// postgresFIDs is the sequence of tempfile.
type postgresFIDs struct {
	// sequence is its name, quoted where it has to be.
	sequence string
	// widen is what makes room for more fids than 2^31-1, or empty.
	widen string
}

// moveFIDs implements dialect.
func (f postgresFIDs) moveFIDs(t *tx, fid mogile.FID) error {
	var last mogile.FID
	err := t.row("SELECT CASE WHEN is_called THEN last_value ELSE last_value - 1 END FROM " + f.sequence).Scan(&last)
	if err != nil || last >= fid {
		return err
	}
	if err := t.all([]string{holdTempfile}); err != nil {
		return err
	}
	err = t.row("SELECT setval(s, GREATEST(nextval(s), ?)) FROM (SELECT CAST(CAST(? AS TEXT) AS REGCLASS) AS s) AS sequence",
		fid, f.sequence).Scan(&last)
	return f.explain(err)
}

// insert is insertReturning, with a word on the end of all numbers.
func (f postgresFIDs) insert(t *tx, column, text string, args []any) (int64, error) {
	id, err := insertReturning(t, column, text, args)
	return id, f.explain(err)
}

// explain says what to do when the sequence is at its end (2200H) or beyond what a
// column holds (22003).
func (f postgresFIDs) explain(err error) error {
	if code := postgresCode(err); f.widen != "" && (code == "2200H" || code == "22003") {
		return fmt.Errorf("the database has no number left for another file; run %s: %w", f.widen, err)
	}
	return err
}
