package vitals

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"

	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	_ "modernc.org/sqlite" // the driver

	"github.com/mogilefs/caddy-mogilefs/tracker/store/sqlstore/dsn"
)

// Login is where a server's database is, and who asks: DSN, User and Password mean what they
// mean to the tracker's store.
type Login struct{ DSN, User, Password string }

// mysqlSettings are the variables that matter; a server that lacks one passes it over.
const mysqlSettings = `SHOW GLOBAL VARIABLES WHERE Variable_name IN ('version', 'innodb_flush_log_at_trx_commit', 'sync_binlog',
	'log_bin', 'binlog_format', 'max_connections', 'max_allowed_packet', 'wait_timeout', 'read_only', 'wsrep_on')`

// MySQL asks a MySQL or MariaDB server.
func MySQL(ctx context.Context, l Login) (map[string]string, error) {
	config, _, err := dsn.MySQL(l.DSN)
	if err != nil {
		return nil, err
	}
	config.User, config.Passwd = cmp.Or(l.User, config.User), cmp.Or(l.Password, config.Passwd)
	config.Timeout, config.ReadTimeout = within, within
	config.Logger = mysql.Logger(&mysql.NopLogger{}) // what goes wrong is an error
	connector, err := mysql.NewConnector(config)
	if err != nil {
		return nil, err
	}
	return ask(ctx, sql.OpenDB(connector), func(a *asking) error {
		if err := a.pairs(mysqlSettings); err != nil {
			return err
		}
		for _, q := range [][2]string{
			{Clock, "SELECT UNIX_TIMESTAMP()"},
			{"character_set_database", "SELECT @@character_set_database"},
			{KeyCollation, `SELECT MAX(collation_name) FROM information_schema.columns
				WHERE table_schema = DATABASE() AND table_name = 'file' AND column_name = 'dkey'`},
		} {
			if err := a.one(q[0], q[1]); err != nil {
				return err
			}
		}
		if err := a.column(NotInnoDB, `SELECT table_name FROM information_schema.tables
			WHERE table_schema = DATABASE() AND engine <> 'InnoDB' ORDER BY table_name`); err != nil {
			return err
		}
		return a.tables("SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = 'server_settings'")
	})
}

// Postgres asks a PostgreSQL server.
func Postgres(ctx context.Context, l Login) (map[string]string, error) {
	config, err := pgx.ParseConfig(dsn.Libpq(l.DSN))
	if err != nil {
		return nil, err
	}
	config.User, config.Password = cmp.Or(l.User, config.User), cmp.Or(l.Password, config.Password)
	config.ConnectTimeout = within
	return ask(ctx, stdlib.OpenDB(*config), func(a *asking) error {
		err := a.pairs(`SELECT name, setting FROM pg_settings WHERE name IN ('fsync', 'full_page_writes', 'synchronous_commit',
			'max_connections', 'server_encoding', 'default_transaction_isolation', 'default_transaction_read_only')`)
		if err != nil {
			return err
		}
		for _, q := range [][2]string{
			{Version, "SELECT current_setting('server_version')"},
			{Clock, "SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) AS BIGINT)"},
			{"standby", "SELECT CASE WHEN pg_is_in_recovery() THEN 'on' ELSE 'off' END"},
		} {
			if err := a.one(q[0], q[1]); err != nil {
				return err
			}
		}
		return a.tables("SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = ANY (current_schemas(false)) AND table_name = 'server_settings'")
	})
}

// SQLite looks into a file. It creates none.
func SQLite(ctx context.Context, path string) (map[string]string, error) {
	switch _, err := os.Stat(path); {
	case errors.Is(err, fs.ErrNotExist):
		return map[string]string{Missing: "yes"}, nil
	case err != nil:
		return nil, fmt.Errorf("look at %s: %w", path, err)
	}
	where := url.URL{Scheme: "file", Path: filepath.ToSlash(path), RawQuery: "_pragma=busy_timeout(5000)&_pragma=query_only(ON)"}
	db, err := sql.Open("sqlite", where.String())
	if err != nil {
		return nil, err
	}
	return ask(ctx, db, func(a *asking) error {
		for _, q := range [][2]string{{Version, "SELECT sqlite_version()"}, {"journal_mode", "PRAGMA journal_mode"}} {
			if err := a.one(q[0], q[1]); err != nil {
				return err
			}
		}
		return a.tables("SELECT COUNT(*) FROM sqlite_master WHERE name = 'server_settings'")
	})
}
