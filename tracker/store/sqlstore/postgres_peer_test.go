package sqlstore

import (
	"database/sql"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	dbtest "github.com/mogilefs/caddy-mogilefs/tests/database"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
	"github.com/mogilefs/caddy-mogilefs/tracker/store/storetest"
)

// english is a database that sorts as people do.
const english = "ENCODING 'UTF8' LOCALE_PROVIDER icu ICU_LOCALE 'en-US' TEMPLATE template0"

// peerTables are docs/spec/schema.md §1.2 to the letter.
func peerTables() []string {
	letter := strings.NewReplacer(
		"BIGSERIAL", "SERIAL", "VARCHAR(1020)", "VARCHAR(255)", ` COLLATE "C"`, "",
		"fromdevid INT", "fromdevid INT", "devid INT,\n\t\ttype", "devid INT,\n\t\ttype",
		"devid INT", "devid SMALLINT", "hostid INT", "hostid SMALLINT",
		"mb_total BIGINT", "mb_total INT", "mb_used BIGINT", "mb_used INT",
	)
	texts := []string{"CREATE TABLE added_by_the_operator (a INT)"}
	for _, text := range postgresSchema {
		texts = append(texts, letter.Replace(text))
	}
	return append(texts, "INSERT INTO server_settings (field, value) VALUES ('schema_version', '17')")
}

// oldTables have fids of 32 bits everywhere, as the first versions made them.
func oldTables() (texts []string) {
	for _, text := range peerTables() {
		texts = append(texts, strings.ReplaceAll(text, "fid BIGINT", "fid INT"))
	}
	return texts
}

// peerPostgres makes a database with other means than this package's.
func peerPostgres(t testing.TB, how string, texts []string) Postgres {
	t.Helper()
	p := Postgres{DSN: dbtest.Postgres(t).MustCreate(t, how)}
	db, err := sql.Open("pgx", p.DSN)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, text := range texts {
		if _, err := db.Exec(text); err != nil {
			t.Fatalf("%s: got %v; want nil", text, err)
		}
	}
	return p
}

func TestAPostgresOfThePeerKeepsTheContract(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.Store {
		p := peerPostgres(t, english, peerTables())
		p.Charset = "UTF8"
		return mustPostgres(t, p)
	})
}

func TestRivalsForAKeyInAPostgresOfThePeer(t *testing.T) {
	testRivals(t, mustPostgres(t, peerPostgres(t, english, oldTables())))
}

// rowsOfNothing have a NULL wherever one may be.
var rowsOfNothing = []string{
	"INSERT INTO file (fid, dmid, classid, devcount) VALUES (7, 1, 0, 1)",
	"INSERT INTO file_on (fid, devid) VALUES (7, 1)",
	"INSERT INTO tempfile (fid, createtime, classid, dmid) VALUES (9, 1, 0, 1)",
	"INSERT INTO class (dmid, classid, mindevcount) VALUES (1, 1, 2)",
	"INSERT INTO domain (dmid) VALUES (1)",
	"INSERT INTO host (hostid) VALUES (1)",
	"INSERT INTO device (devid, hostid) VALUES (1, 1)",
	"INSERT INTO server_settings (field) VALUES ('fsck_host')",
	"INSERT INTO server_settings (field, value) VALUES ('enable_rebalance', '1')",
	"INSERT INTO file_to_replicate (fid, nexttry, fromdevid) VALUES (7, 2000000000, 3)",
	"INSERT INTO file_to_delete2 (fid, nexttry) VALUES (8, 2000000000)",
	"INSERT INTO file_to_delete (fid) VALUES (10)",
	"INSERT INTO file_to_delete_later (fid, delafter) VALUES (11, 2000000000)",
	"INSERT INTO file_to_queue (fid, type, nexttry) VALUES (7, 1, 5)",
	"INSERT INTO fsck_log (utime) VALUES (5)",
	"INSERT INTO checksum (fid, hashtype, checksum) VALUES (7, 1, '0123456789abcdef')",
	"INSERT INTO lock (lockid, hostname, pid, acquiredat) VALUES (1, 'h', 2, 3)",
	"INSERT INTO file_on_corrupt (fid, devid) VALUES (7, 1)",
	"INSERT INTO unreachable_fids (fid, lastupdate) VALUES (7, 1)",
}

// columnsOf is every column of a database, in words.
func columnsOf(t *testing.T, p Postgres) (columns []string) {
	t.Helper()
	db, err := sql.Open("pgx", p.DSN)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	rows, err := db.Query(`SELECT table_name || '.' || column_name || ' ' || data_type || COALESCE(' ' || character_maximum_length, '') ||
		COALESCE(' ' || collation_name, '') || COALESCE(' = ' || column_default, '') || ' ' || is_nullable
		FROM information_schema.columns WHERE table_schema = 'public' ORDER BY 1`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var c string
		if err := rows.Scan(&c); err != nil {
			t.Fatal(err)
		}
		columns = append(columns, c)
	}
	return columns
}

func TestAPostgresOfThePeerIsTaken(t *testing.T) {
	for name, tables := range map[string][]string{"peer": peerTables(), "old": oldTables()} {
		t.Run(name, func(t *testing.T) {
			p := peerPostgres(t, english, append(tables, rowsOfNothing...))
			before := columnsOf(t, p)
			s := mustPostgres(t, p)
			if diff := cmp.Diff(before, columnsOf(t, p)); diff != "" {
				t.Errorf("columns: got others; want them as they were\n%s", diff)
			}
			testTaken(t, s)
		})
	}
}

// testTaken reads rowsOfNothing.
func testTaken(t *testing.T, s *Store) {
	if f, err := s.FileByFID(t.Context(), 7); err != nil || f.FID != 7 || f.Key != "" || f.Length != 0 {
		t.Errorf("file of NULLs: got %+v, error %v; want fid 7", f, err)
	}
	if _, err := s.FileByFID(t.Context(), 1<<40); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a fid beyond the column: got %v; want %v", err, store.ErrNotFound)
	}
	if u, err := s.Upload(t.Context(), 9); err != nil || u.FID != 9 || u.Devices != nil {
		t.Errorf("upload of NULLs: got %+v, error %v; want fid 9", u, err)
	}
	rows, err := s.LoadTopology(t.Context())
	if err != nil || len(rows.Classes) != 1 || len(rows.Hosts) != 1 || len(rows.Devices) != 1 || len(rows.Domains) != 1 {
		t.Fatalf("topology of NULLs: got %+v, error %v; want a row of each", rows, err)
	}
	if rows.Settings["enable_rebalance"] != "1" || rows.Settings["schema_version"] != "17" {
		t.Errorf("settings: got %v; want those of others untouched", rows.Settings)
	}
	for fid, want := range map[mogile.FID]int64{8: 2000000000, 11: 2000000000} {
		if row, err := s.Queued(t.Context(), store.DeleteQueue, fid); err != nil || row.NextTry != want {
			t.Errorf("deletion of fid %d: got %+v, error %v; want it due at %d", fid, row, err, want)
		}
	}
	if row, err := s.Queued(t.Context(), store.ReplicateQueue, 7); err != nil || row.NextTry != 2000000000 || row.From != 3 {
		t.Errorf("lease of another tracker: got %+v, error %v; want it as it was", row, err)
	}
	if n := number(t, s, "SELECT (SELECT COUNT(*) FROM file_to_delete) + (SELECT COUNT(*) FROM file_to_delete_later)"); n != 0 {
		t.Errorf("rows in legacy queues: got %d; want 0", n)
	}
	if fid, err := s.OpenUpload(t.Context(), store.Upload{Domain: 1, Key: "k"}); err != nil || fid <= 11 {
		t.Errorf("first fid: got %d, error %v; want more than 11", fid, err)
	}
}

func TestFidsOfAnOldPostgresEndWithAWayOut(t *testing.T) {
	p := peerPostgres(t, "", oldTables())
	s := mustPostgres(t, p)
	const last = 1<<31 - 1
	raw(t, s, "SELECT setval('tempfile_fid_seq', 2147483646)")
	if fid, err := s.OpenUpload(t.Context(), store.Upload{}); err != nil || fid != last {
		t.Fatalf("last fid: got %d, error %v; want %d", fid, err, last)
	}
	_, err := s.OpenUpload(t.Context(), store.Upload{})
	if err == nil {
		t.Fatal("open upload: got nil; want an error")
	}
	_, way, ok := strings.Cut(err.Error(), "; run ")
	way, _, ok2 := strings.Cut(way, ": ")
	if !ok || !ok2 {
		t.Fatalf("open upload: got %v; want an error that says what to run", err)
	}
	raw(t, s, strings.Split(way, "; ")...)
	fid, err := s.OpenUpload(t.Context(), store.Upload{Domain: 1, Key: "k"})
	if err != nil || fid != last+1 {
		t.Fatalf("fid after %s: got %d, error %v; want %d", way, fid, err, last+1)
	}
	if err := s.AbandonUpload(t.Context(), fid, 1); err != nil {
		t.Errorf("abandon upload %d: got %v; want nil", fid, err)
	}
	if _, err := s.OpenUpload(t.Context(), store.Upload{FID: 1 << 40}); err != nil {
		t.Errorf("explicit fid: got %v; want nil", err)
	}
}

func TestKeysOfThePeerAreFoundInPostgres(t *testing.T) {
	// What DBD::Pg 3 makes of the bytes of é: a character of each.
	p := peerPostgres(t, "", append(peerTables(),
		"INSERT INTO file (fid, dmid, dkey, classid, devcount) VALUES (7, 1, U&'\\00c3\\00a9', 0, 1)"))
	s := mustPostgres(t, p)
	if f, err := s.FileByKey(t.Context(), 1, "é"); err != nil || f.FID != 7 || f.Key != "é" {
		t.Errorf("key of the peer: got %+v, error %v; want fid 7", f, err)
	}
	if err := s.Rename(t.Context(), 1, "é", "\xff\x80"); err != nil {
		t.Errorf("rename: got %v; want nil", err)
	}
	if n := number(t, s, "SELECT COUNT(*) FROM file WHERE convert_to(dkey, 'UTF8') = '\\xc3bfc280'"); n != 1 {
		t.Errorf("got another key in the table; want a character for each byte")
	}
}

func TestAKeyThatIsNoTextIsNotThere(t *testing.T) {
	p := newPostgres(t)
	p.Charset = "UTF8"
	s := mustPostgres(t, p)
	const bad = "\xff"
	if _, err := s.FileByKey(t.Context(), 1, bad); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("find key: got %v; want %v", err, store.ErrNotFound)
	}
	if _, _, _, err := s.Locate(t.Context(), 1, bad); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("locate: got %v; want %v", err, store.ErrNotFound)
	}
	if _, err := s.Delete(t.Context(), 1, bad); err == nil {
		t.Error("delete: got nil; want an error")
	}
	if keys, err := s.Keys(t.Context(), 1, bad, "", 9); err != nil || len(keys) > 0 {
		t.Errorf("list keys: got %q, error %v; want none", keys, err)
	}
	_, err := s.OpenUpload(t.Context(), store.Upload{Domain: 1, Key: bad})
	if err == nil || errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrDup) {
		t.Errorf("open upload: got %v; want an error of its own", err)
	}
}

func TestTheCharsetIsDoubtedAloud(t *testing.T) {
	insert := func(key string) string {
		return "INSERT INTO file (fid, dmid, dkey, classid, devcount) VALUES (7, 1, " + key + ", 0, 1)"
	}
	for _, c := range []struct{ key, charset, want string }{
		{"'plain'", "", ""},
		{"'plain'", "UTF8", ""},
		{"U&'\\00c3\\00a9'", "", ""},
		{"U&'\\00c3\\00a9'", "UTF8", "leave the charset out"},
		{"U&'\\0436'", "UTF8", ""},
		{"U&'\\0436'", "", "set the charset to UTF8"},
	} {
		p := peerPostgres(t, "", append(peerTables(), insert(c.key)))
		p.Charset = c.charset
		core, logs := observer.New(zapcore.WarnLevel)
		s, err := OpenPostgres(t.Context(), p, zap.New(core))
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		var got []string
		for _, entry := range logs.All() {
			if !strings.Contains(entry.Message, "fsync") { // as the tests' servers run
				got = append(got, entry.Message)
			}
		}
		if (c.want == "") != (len(got) == 0) || !strings.Contains(strings.Join(got, ""), c.want) {
			t.Errorf("key %s, charset %q: got warnings %q; want %q", c.key, c.charset, got, c.want)
		}
	}
}

func TestKeysAreListedInTheOrderOfTheDatabase(t *testing.T) {
	p := peerPostgres(t, english, peerTables())
	p.Charset = "UTF8"
	s := mustPostgres(t, p)
	for i, key := range []string{"b", "B", "a", "a_1", `a\1`, "a%", "A", "é", "e", "f"} {
		raw(t, s, "INSERT INTO file (fid, dmid, dkey, classid, devcount) VALUES ("+mogile.FID(i+1).String()+", 1, '"+key+"', 0, 1)")
	}
	keys := func(prefix, after mogile.Key) []mogile.Key {
		found, err := s.Keys(t.Context(), 1, prefix, after, 100)
		if err != nil {
			t.Errorf("list keys from %q after %q: got %v; want nil", prefix, after, err)
		}
		return found
	}
	all := keys("", "")
	want := []mogile.Key{"a", "A", "b", "B", "e", "é", "f"}
	if got := slices.DeleteFunc(slices.Clone(all), func(k mogile.Key) bool { return !slices.Contains(want, k) }); !slices.Equal(got, want) {
		t.Errorf("order: got %q; want %q", got, want)
	}
	if len(all) != 10 {
		t.Errorf("all keys: got %q; want 10", all)
	}
	for i, key := range all {
		if got := keys("", key); !slices.Equal(got, all[i+1:]) {
			t.Errorf("keys after %q: got %q; want %q", key, got, all[i+1:])
		}
	}
	for _, prefix := range []mogile.Key{"a_", `a\`, "a%"} {
		if got := keys(prefix, ""); len(got) != 1 || !strings.HasPrefix(string(got[0]), string(prefix)) {
			t.Errorf("keys from %q: got %q; want the one", prefix, got)
		}
	}
}
