package sqlstore

import (
	"fmt"
	"strings"
	"sync/atomic"

	"go.uber.org/zap"

	"github.com/mogilefs/caddy-mogilefs/tracker/store"
	"github.com/mogilefs/caddy-mogilefs/tracker/store/sqlstore/keyrange"
)

// Versions as major*10000+minor*100+patch: from these on, one connection may hold several
// locks (MySQL 5.7, MariaDB 10.0.2), rows can be passed over, and an INSERT can tell its rows.
const (
	minMySQL, minMariaDB                 = 50700, 100002
	mysqlSkipsLocked, mariaDBSkipsLocked = 80001, 100600
	mariaDBReturns                       = 100500
)

// mysqlFacts are what differs between servers, and between databases of the same schema.
type mysqlFacts struct {
	version     int
	mariaDB     bool
	byStatement bool // replicas get statements, not rows
	lossy       bool // the server may lose what it has acknowledged
	galera      bool

	keyBytes bool // file.dkey is a binary string: any bytes, compared as such
	// collation of file.dkey otherwise, of which tellsCases says something.
	collation  string
	widen      string // what makes room for fids beyond 2^32-1, or empty
	notInnoDB  []string
	shortIndex bool // the unique index on file.dkey has only a part of it
}

func learnServer(t *tx) (is mysqlFacts, err error) {
	var version, format, galera string
	var flush, synced, logs int
	err = t.row(`SELECT VERSION(), @@global.innodb_flush_log_at_trx_commit, @@global.sync_binlog,
		@@global.log_bin, @@session.binlog_format`).Scan(&version, &flush, &synced, &logs, &format)
	if err != nil {
		return is, err
	}
	is.mariaDB = strings.Contains(strings.ToLower(version), "mariadb")
	is.version = mysqlVersion(version)
	is.byStatement = logs != 0 && format == "STATEMENT"
	if err := is.check(version); err != nil {
		return is, err
	}
	if is.mariaDB {
		if err := t.row("SELECT COALESCE(MAX(variable_value), 'OFF') FROM information_schema.global_variables WHERE variable_name = 'wsrep_on'").Scan(&galera); err != nil {
			return is, err
		}
	}
	is.galera = galera == "ON"
	// A cluster's other nodes have what this one loses.
	is.lossy = flush != 1 && !is.galera
	return is, nil
}

func (is mysqlFacts) check(version string) error {
	least := minMySQL
	if is.mariaDB {
		least = minMariaDB
	}
	if is.version < least {
		return fmt.Errorf("%w: found server version %s, want MySQL 5.7, MariaDB 10.0.2 or later", store.ErrSchema, version)
	}
	return nil
}

// mysqlVersion reads 10.11.14-MariaDB as 101114. Some MariaDB servers have 5.5.5- before it,
// for the sake of old replicas.
func mysqlVersion(text string) int {
	var major, minor, patch int
	_, _ = fmt.Sscanf(strings.TrimPrefix(text, "5.5.5-"), "%d.%d.%d", &major, &minor, &patch)
	return major*10000 + minor*100 + patch
}

func (is *mysqlFacts) learnTables(t *tx) (err error) {
	var kind string
	err = t.row(`SELECT data_type, COALESCE(collation_name, '') FROM information_schema.columns
		WHERE table_schema = DATABASE() AND table_name = 'file' AND column_name = 'dkey'`).Scan(&kind, &is.collation)
	if err != nil {
		return err
	}
	is.keyBytes = kind == "varbinary"
	narrow, err := list(t, single[string], `SELECT CONCAT('ALTER TABLE ', table_name, ' MODIFY fid BIGINT UNSIGNED', IF(is_nullable = 'NO', ' NOT NULL', ''),
		IF(extra = 'auto_increment', ' AUTO_INCREMENT', '')) FROM information_schema.columns
		WHERE table_schema = DATABASE() AND column_name = 'fid' AND data_type <> 'bigint'
		AND table_name IN (`+tableNames()+") ORDER BY table_name")
	if err != nil {
		return err
	}
	is.widen = strings.Join(narrow, "; ")
	is.notInnoDB, err = list(t, single[string], `SELECT table_name FROM information_schema.tables
		WHERE table_schema = DATABASE() AND engine <> 'InnoDB' AND table_name IN (`+tableNames()+") ORDER BY table_name")
	if err != nil {
		return err
	}
	is.shortIndex, err = t.exists(`SELECT 1 FROM information_schema.statistics WHERE table_schema = DATABASE()
		AND table_name = 'file' AND column_name = 'dkey' AND sub_part IS NOT NULL LIMIT 1`)
	return err
}

// tableNames lists the names of tables in quotes.
func tableNames() string {
	var names []string
	for _, table := range tables {
		names = append(names, "'"+table.name+"'")
	}
	return strings.Join(names, ", ")
}

// teach completes the dialect and the setup of connections.
func (is mysqlFacts) teach(d *dialect, c *mysqlConnector) {
	if !is.byStatement { // such a server refuses to log what was changed by committed reads
		c.setup = append(c.setup, readCommitted)
	}
	d.locksGaps, d.refersToAll = is.byStatement, true
	if is.version >= mysqlSkipsLocked && !is.mariaDB || is.version >= mariaDBSkipsLocked {
		d.translate = passLocked
	}
	// Elsewhere, not all that fails is undone, or rows are locked that nobody wants.
	d.groups = len(is.notInnoDB) == 0 && !is.byStatement
	d.returning = is.mariaDB && is.version >= mariaDBReturns
	if is.widen != "" {
		f := fids32{widen: is.widen}
		d.insert, d.checkFID = f.insert, f.check
	}
	if d.keyRange = keyrange.Bytewise; !is.keyBytes {
		d.tellCases = new(atomic.Bool)
		d.keyRange = collatedKeyRange(d.tellCases)
	}
}

// warn says what is most likely not what the operator wants.
func (is mysqlFacts) warn(log *zap.Logger) {
	if is.lossy {
		log.Warn("the server does not sync each commit: when its machine fails, it loses files that were acknowledged",
			zap.String("way_out", "SET GLOBAL innodb_flush_log_at_trx_commit = 1"))
	}
	if len(is.notInnoDB) > 0 {
		log.Warn("tables without transactions: a crash can lose files that were acknowledged",
			zap.Strings("tables", is.notInnoDB), zap.String("way_out", "ALTER TABLE … ENGINE = InnoDB"))
	}
	if is.shortIndex {
		log.Warn("the unique index on file.dkey has only the beginning of each key: two keys that begin alike count as one")
	}
	if !is.keyBytes {
		log.Info("keys compare by a collation", zap.String("collation", is.collation))
	}
}
