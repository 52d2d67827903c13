package vitals

import (
	"database/sql"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/mogilefs/caddy-mogilefs/tests/database"
)

func TestMain(m *testing.M) { database.Main(m) }

// peerTables are as many of MogileFS's tables as are asked for anything.
var peerTables = []string{
	"CREATE TABLE server_settings (field VARCHAR(50) PRIMARY KEY, value TEXT)",
	"INSERT INTO server_settings VALUES ('schema_version', '16')",
	"CREATE TABLE device (devid INT PRIMARY KEY, status VARCHAR(8))",
	"CREATE TABLE file_on (fid INT, devid INT)",
	"CREATE TABLE file (fid INT PRIMARY KEY, dkey VARCHAR(255))",
	"INSERT INTO device VALUES (1, 'alive'), (2, 'dead'), (3, 'dead'), (10, 'dead')",
	"INSERT INTO file_on VALUES (1, 1), (1, 2), (2, 10)",
}

func fill(t *testing.T, driver, dsn string) {
	t.Helper()
	db, err := sql.Open(driver, dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, text := range peerTables {
		if _, err := db.Exec(text); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
	}
}

func want(t *testing.T, got map[string]string, err error, names map[string]string) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range names {
		if got[name] != value {
			t.Errorf("%s: got %q; want %q", name, got[name], value)
		}
	}
}

func wantClock(t *testing.T, got map[string]string) {
	t.Helper()
	clock, err := strconv.ParseInt(got[Clock], 10, 64)
	if off := time.Since(time.Unix(clock, 0)).Abs(); err != nil || off > time.Minute {
		t.Errorf("got clock %q; want about the time that it is", got[Clock])
	}
}

func TestMariaDBTellsHowItIs(t *testing.T) {
	server := database.OwnMariaDB(t, "--innodb-flush-log-at-trx-commit=2", "--log-bin=bin", "--server-id=1",
		"--binlog-format=STATEMENT", "--max-connections=40", "--wait-timeout=33")
	dsn := server.MustCreate(t, "CHARACTER SET latin1")
	empty, err := MySQL(t.Context(), Login{DSN: dsn})
	want(t, empty, err, map[string]string{Schema: "", "character_set_database": "latin1", NotInnoDB: ""})
	fill(t, "mysql", dsn)
	got, err := MySQL(t.Context(), Login{DSN: dsn})
	want(t, got, err, map[string]string{
		Schema: "16", DeadWithFiles: "2,10", "innodb_flush_log_at_trx_commit": "2", "log_bin": "ON", "binlog_format": "STATEMENT",
		"max_connections": "40", "wait_timeout": "33", "read_only": "OFF", KeyCollation: "latin1_swedish_ci",
	})
	wantClock(t, got)
	if _, err := MySQL(t.Context(), Login{DSN: dsn, Password: "wrong"}); err == nil {
		t.Error("with a wrong password: got nil; want an error")
	}
}

func TestATableWithoutTransactionsIsNamed(t *testing.T) {
	dsn := database.MariaDB(t).MustCreate(t, "")
	fill(t, "mysql", dsn)
	db, err := sql.Open("mysql", dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec("ALTER TABLE file_on ENGINE = Aria"); err != nil {
		t.Fatal(err)
	}
	got, err := MySQL(t.Context(), Login{DSN: dsn})
	want(t, got, err, map[string]string{NotInnoDB: "file_on"})
}

func TestPostgresTellsHowItIs(t *testing.T) {
	dsn := database.OwnPostgres(t, "-c", "fsync=off", "-c", "max_connections=40").MustCreate(t, "")
	empty, err := Postgres(t.Context(), Login{DSN: dsn})
	want(t, empty, err, map[string]string{Schema: "", "fsync": "off", "standby": "off"})
	fill(t, "pgx", dsn)
	got, err := Postgres(t.Context(), Login{DSN: dsn})
	want(t, got, err, map[string]string{
		Schema: "16", DeadWithFiles: "2,10", "max_connections": "40", "default_transaction_isolation": "read committed",
	})
	wantClock(t, got)
}

func TestSQLiteIsLookedIntoAndNotCreated(t *testing.T) {
	path := filepath.Join(t.TempDir(), "odd name?.db")
	got, err := SQLite(t.Context(), path)
	want(t, got, err, map[string]string{Missing: "yes"})
	if _, err := os.Stat(path); err == nil {
		t.Error("the file is there now; want none")
	}
	path = filepath.Join(t.TempDir(), "mogilefs.db")
	fill(t, "sqlite", path)
	got, err = SQLite(t.Context(), path)
	want(t, got, err, map[string]string{Schema: "16", DeadWithFiles: "2,10", "journal_mode": "delete", Missing: ""})
}
