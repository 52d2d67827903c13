package sqlstore

import (
	"fmt"
	"strings"

	"go.uber.org/zap"

	"github.com/mogilefs/caddy-mogilefs/tracker/store"
	"github.com/mogilefs/caddy-mogilefs/tracker/store/sqlstore/keyrange"
)

// minPostgres is 9.6, the first with idle_in_transaction_session_timeout; ON CONFLICT and
// SKIP LOCKED came before it.
const minPostgres = 90600

// minPostgresSequence is 10, the first whose sequences have a type.
const minPostgresSequence = 100000

func checkPostgresVersion(t *tx) error {
	n, err := postgresVersion(t)
	if err == nil && n < minPostgres {
		err = fmt.Errorf("%w: found PostgreSQL %d.%d, want 9.6 or later", store.ErrSchema, n/10000, n/100%100)
	}
	return err
}

func postgresVersion(t *tx) (n int, err error) {
	err = t.row("SELECT CAST(current_setting('server_version_num') AS INT)").Scan(&n)
	return n, err
}

// postgresFacts are what differs between databases of the same schema.
type postgresFacts struct {
	fids postgresFIDs
	// server and client are encodings.
	server, client string
	// bytewise: keys sort by their bytes.
	bytewise bool
	// wide and doubled tell how the newest keys were stored: with characters that are
	// no single byte in LATIN1, or with UTF-8 of which each byte became a character.
	wide, doubled bool
	// lossy: the server may lose what it has acknowledged.
	lossy bool
}

func learnPostgres(t *tx) (is postgresFacts, err error) {
	if is.fids, err = learnFIDs(t); err != nil {
		return is, err
	}
	err = t.row(`SELECT current_setting('server_encoding'), current_setting('client_encoding'),
		current_setting('fsync') = 'off'`).Scan(&is.server, &is.client, &is.lossy)
	if err != nil {
		return is, err
	}
	if is.bytewise, err = t.exists(bytewiseColumn); err != nil || is.server != "UTF8" {
		return is, err
	}
	err = t.row(newestKeys).Scan(&is.wide, &is.doubled)
	return is, err
}

// bytewiseColumn finds a row when file.dkey sorts by bytes. The catalog's columns for it
// differ between versions, hence JSON.
const bytewiseColumn = `SELECT 1 FROM pg_attribute a
	JOIN pg_collation c ON c.oid = a.attcollation
	JOIN pg_database d ON d.datname = current_database()
	CROSS JOIN LATERAL (SELECT CASE c.collname WHEN 'default'
		THEN COALESCE(to_jsonb(d)->>'datlocprovider', 'c') ELSE COALESCE(to_jsonb(c)->>'collprovider', 'c') END) p (provider)
	WHERE a.attrelid = CAST('file' AS REGCLASS) AND a.attname = 'dkey' AND (p.provider = 'b'
		OR p.provider = 'c' AND CASE c.collname WHEN 'default' THEN d.datcollate ELSE to_jsonb(c)->>'collcollate' END
			IN ('C', 'POSIX'))`

// newestKeys looks at some, which says enough of how this database is used.
const newestKeys = `SELECT COALESCE(bool_or(dkey ~ '[^\u0001-\u00ff]'), FALSE),
	COALESCE(bool_or(dkey ~ '[\u00c2-\u00f4][\u0080-\u00bf]'), FALSE)
	FROM (SELECT dkey FROM file ORDER BY fid DESC LIMIT 10000) AS newest`

func learnFIDs(t *tx) (f postgresFIDs, err error) {
	err = t.row("SELECT COALESCE(pg_get_serial_sequence('tempfile', 'fid'), '')").Scan(&f.sequence)
	if err != nil {
		return f, err
	}
	if f.sequence == "" {
		return f, fmt.Errorf("%w: found no sequence that belongs to the column tempfile.fid; "+
			"run ALTER SEQUENCE tempfile_fid_seq OWNED BY tempfile.fid, with the name of the one it uses", store.ErrSchema)
	}
	widen, err := list(t, single[string], narrowFIDs())
	if err != nil {
		return f, err
	}
	if n, err := postgresVersion(t); err != nil {
		return f, err
	} else if n >= minPostgresSequence {
		narrow, err := t.exists("SELECT 1 FROM pg_sequence WHERE seqrelid = CAST(CAST(? AS TEXT) AS REGCLASS) AND seqtypid <> CAST('int8' AS REGTYPE)", f.sequence)
		if err != nil {
			return f, err
		}
		if narrow {
			widen = append(widen, "ALTER SEQUENCE "+f.sequence+" AS BIGINT")
		}
	}
	f.widen = strings.Join(widen, "; ")
	return f, nil
}

// narrowFIDs lists what would make every column of fids a BIGINT.
func narrowFIDs() string {
	var names []string
	for _, table := range tables {
		names = append(names, "'"+table.name+"'")
	}
	return `SELECT 'ALTER TABLE ' || CAST(c.oid AS REGCLASS) || ' ALTER fid TYPE BIGINT'
		FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
		WHERE a.attname = 'fid' AND a.atttypid <> CAST('int8' AS REGTYPE) AND c.relkind IN ('r', 'p')
		AND pg_table_is_visible(c.oid) AND c.relname IN (` + strings.Join(names, ", ") + `) ORDER BY c.relname`
}

// teach completes the dialect.
func (is postgresFacts) teach(d *dialect) {
	d.holdFIDs = []string{holdTempfile}
	d.moveFIDs, d.insert = is.fids.moveFIDs, is.fids.insert
	d.groups, d.returning = true, true
	switch {
	case !is.bytewise:
		d.keyRange = likeKeyRange
	case is.server == "UTF8" && is.client != "LATIN1":
		d.keyRange = utf8KeyRange
	default:
		d.keyRange = keyrange.Bytewise
	}
}

// warn says what is most likely not what the operator wants.
func (is postgresFacts) warn(log *zap.Logger) {
	switch {
	case is.client == "LATIN1" && is.wide:
		log.Warn("keys in this database were not stored by a Perl tracker with DBD::Pg 3, or not by it alone, "+
			"and can't be read: set the charset to UTF8", zap.String("client_encoding", is.client))
	case is.client != "LATIN1" && is.doubled && !is.wide:
		log.Warn("keys in this database look as if a Perl tracker with DBD::Pg 3 had stored them, "+
			"and would not be found: leave the charset out", zap.String("client_encoding", is.client))
	}
	if is.lossy {
		log.Warn("the server runs with fsync off: when its machine fails, it loses files that were acknowledged")
	}
}
