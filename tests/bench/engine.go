package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/mogilefs/caddy-mogilefs/tests/database"
)

// engine is a kind of database that trackers are measured on. Its server, if it has
// one, keeps its promises: a commit is on disk before it is answered.
type engine struct {
	name   string // in tables and on the command line
	word   string // in a Caddyfile
	driver string // of database/sql
	// numbers is what stands behind FROM for a column seq of all numbers between two.
	numbers string
	// padded is the number seq with leading zeros, ten digits in all.
	padded string
	// settle is said when many rows were inserted, so that statistics are right.
	settle []string
	// start is nil when a database is a file.
	start   func(dir string, options ...string) (*database.Server, error)
	options []string
	// pidFile asks where a server's process id is written.
	pidFile string

	dir    string
	server *database.Server
	pid    int // 0: the database is in the tracker's process
	made   int // how many databases
}

// bufferPool is the memory that a server keeps pages in: all of a hundred thousand
// files, and most of ten million.
const bufferPool = "2G"

var engines = []*engine{
	{
		name: "MariaDB", word: "mysql", driver: "mysql",
		numbers: "(SELECT seq FROM seq_%d_to_%d) s",
		padded:  "LPAD(seq, 10, '0')",
		settle:  []string{"ANALYZE TABLE file, file_on"},
		start:   database.StartMariaDB,
		options: []string{
			"--innodb-flush-log-at-trx-commit=1", "--innodb-buffer-pool-size=" + bufferPool,
			"--innodb-log-file-size=1G",
		},
		pidFile: "SELECT @@pid_file",
	},
	{
		name: "SQLite", word: "sqlite", driver: "sqlite",
		numbers: "(WITH RECURSIVE n(seq) AS (VALUES (%d) UNION ALL SELECT seq + 1 FROM n WHERE seq < %d) SELECT seq FROM n) s",
		padded:  "printf('%010d', seq)",
	},
	{
		name: "PostgreSQL", word: "postgres", driver: "pgx",
		numbers: "generate_series(%d, %d) AS s(seq)",
		padded:  "LPAD(seq::text, 10, '0')",
		settle:  []string{"VACUUM ANALYZE"},
		start:   database.StartPostgres,
		options: []string{
			"-c", "fsync=on", "-c", "full_page_writes=on", "-c", "synchronous_commit=on",
			"-c", "shared_buffers=" + bufferPool + "B", "-c", "max_wal_size=8GB",
		},
		pidFile: "SELECT setting || '/postmaster.pid' FROM pg_settings WHERE name = 'data_directory'",
	},
}

// enginesOf are those that a list of names names.
func enginesOf(list string) ([]*engine, error) {
	var found []*engine
	for name := range strings.SplitSeq(list, ",") {
		for _, e := range engines {
			if strings.EqualFold(e.name, name) {
				found = append(found, e)
			}
		}
	}
	if len(found) != strings.Count(list, ",")+1 {
		return nil, fmt.Errorf("unknown database in %q: want some of mariadb, sqlite, postgresql", list)
	}
	return found, nil
}

// open starts the server in a directory below dir.
func (e *engine) open(ctx context.Context, dir string) (err error) {
	e.dir = filepath.Join(dir, strings.ToLower(e.name))
	if err := os.MkdirAll(e.dir, 0o755); err != nil {
		return err
	}
	if e.start == nil {
		return nil
	}
	if e.server, err = e.start(e.dir, e.options...); err != nil {
		return err
	}
	if e.pid, err = e.findPID(ctx); err != nil {
		return errors.Join(fmt.Errorf("find the process of %s: %w", e.name, err), e.close())
	}
	return nil
}

func (e *engine) findPID(ctx context.Context) (int, error) {
	var path string
	if err := e.server.Admin().QueryRowContext(ctx, e.pidFile).Scan(&path); err != nil {
		return 0, err
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	first, _, _ := strings.Cut(string(text), "\n")
	return strconv.Atoi(first)
}

// close stops the server.
func (e *engine) close() error {
	if e.server == nil {
		return nil
	}
	err := e.server.Stop()
	e.server = nil
	return err
}

// create makes an empty database and returns what a Caddyfile calls it by.
func (e *engine) create() (dsn string, err error) {
	e.made++
	if e.server == nil {
		return filepath.Join(e.dir, fmt.Sprintf("%d.db", e.made)), nil
	}
	return e.server.Create("")
}

// connect opens a database behind the tracker's back.
func (e *engine) connect(dsn string) (*sql.DB, error) { return sql.Open(e.driver, dsn) }
