package sqlstore

import (
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"go.uber.org/zap"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	dbtest "github.com/mogilefs/caddy-mogilefs/tests/database"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
)

// newMySQL is where a new database on the shared server is.
func newMySQL(t testing.TB) MySQL {
	t.Helper()
	return MySQL{DSN: dbtest.MariaDB(t).MustCreate(t, "")}
}

// mysqlPeerTables is what the peer creates: names and keys have the character set of the
// database (docs/spec/schema.md §1).
func mysqlPeerTables() []string {
	var texts []string
	for _, text := range mysqlSchema {
		texts = append(texts, strings.NewReplacer(
			"VARBINARY(1020)", "VARCHAR(255)", "VARBINARY(255)", "VARCHAR(255)", "VARBINARY(50)", "VARCHAR(50)",
		).Replace(text))
	}
	return append(texts, "INSERT INTO server_settings (field, value) VALUES ('schema_version', '17')")
}

// peerMySQL is a database on the server that the statements have filled.
func peerMySQL(t testing.TB, server *dbtest.Server, how string, texts ...string) MySQL {
	t.Helper()
	m := MySQL{DSN: server.MustCreate(t, how)}
	db, err := sql.Open("mysql", m.DSN)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1) // for SET NAMES
	for _, text := range texts {
		if _, err := db.Exec(text); err != nil {
			t.Fatalf("%s: got %v; want nil", text, err)
		}
	}
	return m
}

func TestRivalsForAKeyInMySQL(t *testing.T) { testRivals(t, mustMySQL(t, newMySQL(t))) }

func TestRivalsForAKeyWhereReplicasGetStatements(t *testing.T) {
	server := dbtest.OwnMariaDB(t, "--log-bin=bin", "--server-id=1", "--binlog-format=STATEMENT")
	testRivals(t, mustMySQL(t, MySQL{DSN: server.MustCreate(t, "")}))
}

func TestAnUnusableMySQLIsRefused(t *testing.T) {
	settings := "CREATE TABLE server_settings (field VARCHAR(50) PRIMARY KEY, value TEXT)"
	version := func(v string) string { return "INSERT INTO server_settings VALUES ('schema_version', '" + v + "')" }
	for want, texts := range map[string][]string{
		"(a, posts)":                            {"CREATE TABLE posts (id INT)", "CREATE VIEW a AS SELECT 1"},
		"no schema_version":                     {settings},
		"found schema_version 15, want 17":      {settings, version("15")},
		"found schema_version 18, want 17":      {settings, version("18")},
		"no table domain":                       {settings, version("17")},
		"no table checksum":                     append(mysqlPeerTables(), "DROP TABLE checksum"),
		"table class lacks the column hashtype": append(mysqlPeerTables(), "ALTER TABLE class DROP hashtype"),
	} {
		m := peerMySQL(t, dbtest.MariaDB(t), "", texts...)
		_, err := OpenMySQL(t.Context(), m, zap.NewNop())
		if !errors.Is(err, store.ErrSchema) || !strings.Contains(err.Error(), want) {
			t.Errorf("open: got %v; want %v with %q", err, store.ErrSchema, want)
		}
	}
}

func TestManyMayCreateOneMySQLAtOnce(t *testing.T) {
	m := newMySQL(t)
	var wg sync.WaitGroup
	for range 6 {
		wg.Go(func() {
			s, err := OpenMySQL(t.Context(), m, zap.NewNop())
			if err != nil {
				t.Errorf("open: got %v; want nil", err)
				return
			}
			if err := s.Close(); err != nil {
				t.Errorf("close: got %v; want nil", err)
			}
		})
	}
	wg.Wait()
}

func TestAMySQLThatIsNotThereIsAnErrorWithoutThePassword(t *testing.T) {
	_, err := OpenMySQL(t.Context(), MySQL{DSN: "me:hush@tcp(127.0.0.1:1)/mogilefs"}, zap.NewNop())
	if err == nil || strings.Contains(err.Error(), "hush") || !strings.Contains(err.Error(), "127.0.0.1:1") {
		t.Errorf("open: got %v; want an error with the address, without the password", err)
	}
}

// TestAFidThatSomeTableCannotHoldIsRefused: tables that a peer has added later may have
// wider fids than the first, or narrower ones (docs/spec/schema.md §2.1).
func TestAFidThatSomeTableCannotHoldIsRefused(t *testing.T) {
	narrow := func(tables ...string) []string {
		texts := mysqlPeerTables()
		for _, table := range tables {
			texts = append(texts, "ALTER TABLE "+table+" MODIFY fid INT UNSIGNED NOT NULL"+
				map[bool]string{true: " AUTO_INCREMENT"}[table == "tempfile"])
		}
		return append(texts, "INSERT INTO domain (dmid, namespace) VALUES (1, 'd')")
	}
	const last = 1<<32 - 1
	for want, texts := range map[string][]string{
		"ALTER TABLE tempfile MODIFY fid BIGINT UNSIGNED NOT NULL AUTO_INCREMENT": narrow("tempfile"),
		"ALTER TABLE file_on MODIFY fid BIGINT UNSIGNED NOT NULL":                 narrow("file_on"),
	} {
		s := mustMySQL(t, peerMySQL(t, dbtest.MariaDB(t), "", texts...))
		u := store.Upload{FID: last - 1, Domain: 1, Key: "k"}
		if _, err := s.OpenUpload(t.Context(), u); err != nil {
			t.Errorf("open upload of fid %d: got %v; want nil", u.FID, err)
		}
		for _, fid := range []mogile.FID{last + 1, 0, 0, 0} {
			u.FID = fid
			got, err := s.OpenUpload(t.Context(), u)
			if err == nil && got == last {
				continue
			}
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("open upload of fid %d: got %d, error %v; want one with %s", fid, got, err, want)
			}
		}
		if n := number(t, s, "SELECT COUNT(*) FROM tempfile WHERE fid > 4294967295"); n != 0 {
			t.Errorf("uploads under fids that not all tables hold: got %d; want none", n)
		}
	}
}

func TestALockOutlivesTheServersPatience(t *testing.T) {
	server := dbtest.OwnMariaDB(t, "--wait-timeout=1")
	s := mustMySQL(t, MySQL{DSN: server.MustCreate(t, "")})
	release, err := s.Lock(t.Context(), "held", 0)
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	var got int
	// It waits for longer than a connection may be idle there.
	if err := server.Admin().QueryRow("SELECT GET_LOCK('held', 3)").Scan(&got); err != nil || got != 0 {
		t.Errorf("lock that a store holds: got %d, error %v; want 0", got, err)
	}
}

// TestNothingIsCutWhateverTheMode: without strict modes, servers cut what does not fit.
func TestNothingIsCutWhateverTheMode(t *testing.T) {
	server := dbtest.OwnMariaDB(t, "--sql-mode=")
	s := mustMySQL(t, peerMySQL(t, server, "", append(mysqlPeerTables(), "INSERT INTO domain (dmid, namespace) VALUES (1, 'd')")...))
	long := mogile.Key(strings.Repeat("k", 256))
	if fid, err := s.OpenUpload(t.Context(), store.Upload{Domain: 1, Key: long}); err == nil {
		t.Errorf("open upload of a key that is too long: got fid %d; want an error", fid)
	}
	var devs []mogile.DevID
	for i := range 20 {
		devs = append(devs, mogile.DevID(1000+i))
	}
	if fid, err := s.OpenUpload(t.Context(), store.Upload{Domain: 1, Key: "k", Devices: devs}); err == nil {
		t.Errorf("open upload for more devices than the column holds: got fid %d; want an error", fid)
	}
	if n := number(t, s, "SELECT COUNT(*) FROM tempfile"); n != 0 {
		t.Errorf("uploads: got %d; want none", n)
	}
}

// TestKeysComeBackAsAPeerStoredThem: a peer's bytes reach the column by way of the charset
// of its connection, and have to come back by the same (docs/spec/schema.md §2.3).
func TestKeysComeBackAsAPeerStoredThem(t *testing.T) {
	for _, c := range []struct{ charset, tables, key, stored string }{
		{"utf8mb4", "latin1", "caf\xc3\xa9", "636166E9"},
		{"latin1", "latin1", "caf\xc3\xa9", "636166C3A9"},
		{"latin1", "utf8", "caf\xc3\xa9", "636166C383C2A9"},
		{"latin1", "latin1", "\xff\xfe\x80", "FFFE80"},
		{"utf8mb4", "utf8mb4", "\xe6\x97\xa5\xf0\x9f\x98\x80", "E697A5F09F9880"},
	} {
		m := peerMySQL(t, dbtest.MariaDB(t), "CHARACTER SET "+c.tables, append(mysqlPeerTables(),
			"INSERT INTO domain (dmid, namespace) VALUES (1, 'd')",
			"SET NAMES "+c.charset, "INSERT INTO file (fid, dmid, dkey, length, classid, devcount) VALUES (1, 1, '"+c.key+"', 1, 0, 1)")...)
		m.Charset = c.charset
		s := mustMySQL(t, m)
		f, err := s.FileByKey(t.Context(), 1, mogile.Key(c.key))
		if err != nil || f.FID != 1 || f.Key != mogile.Key(c.key) {
			t.Errorf("find %q over %s in %s: got %+v, error %v; want fid 1", c.key, c.charset, c.tables, f, err)
		}
		if n := number(t, s, fmt.Sprintf("SELECT COUNT(*) FROM file WHERE HEX(dkey) = '%s'", c.stored)); n != 1 {
			t.Errorf("%q over %s in %s: got it stored otherwise; want %s", c.key, c.charset, c.tables, c.stored)
		}
		keys, err := s.Keys(t.Context(), 1, mogile.Key(c.key[:1]), "", 9)
		if c.charset == "latin1" && (err != nil || len(keys) != 1) {
			t.Errorf("list keys from %q: got %q, error %v; want one", c.key[:1], keys, err)
		}
	}
}
