package sqlstore

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	dbtest "github.com/mogilefs/caddy-mogilefs/tests/database"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
	"github.com/mogilefs/caddy-mogilefs/tracker/store/storetest"
)

// The usual defaults of servers: neither tells cases apart, both pad with blanks.
const (
	swedish = "CHARACTER SET latin1 COLLATE latin1_swedish_ci"
	general = "CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci"
)

// onCollations runs a test on databases as the peer makes them.
func onCollations(t *testing.T, test func(t *testing.T, how string)) {
	for name, how := range map[string]string{"swedish": swedish, "general": general} {
		t.Run(name, func(t *testing.T) { test(t, how) })
	}
}

// TestAMySQLOfThePeerKeepsTheContract connects to latin1 tables as the peer did that made
// them: over utf8mb4, the suite's keys beyond latin1 have no place there. Each byte is a
// character then, of which the suite's longest keys have more than a peer's column holds.
func TestAMySQLOfThePeerKeepsTheContract(t *testing.T) {
	storetest.Run(t, onPeer(general))
}

// Collations differ in what is one key.
func TestAMySQLOfThePeerInSwedishKeepsTheContract(t *testing.T) {
	storetest.RunSome(t, onPeer(swedish), "Files", "Uploads", "Names")
}

func onPeer(how string) func(t *testing.T) store.Store {
	return func(t *testing.T) store.Store {
		m := peerMySQL(t, dbtest.MariaDB(t), how, append(mysqlPeerTables(),
			"ALTER TABLE file MODIFY dkey VARCHAR(510)", "ALTER TABLE tempfile MODIFY dkey VARCHAR(510)")...)
		m.Charset, _, _ = strings.Cut(strings.TrimPrefix(how, "CHARACTER SET "), " ")
		return mustMySQL(t, m)
	}
}

// TestAMySQLWhoseReplicasGetStatementsKeepsTheContract is about rows that a statement may
// lock beyond those it changes.
func TestAMySQLWhoseReplicasGetStatementsKeepsTheContract(t *testing.T) {
	server := dbtest.OwnMariaDB(t, "--log-bin=bin", "--server-id=1", "--binlog-format=STATEMENT")
	storetest.RunSome(t, func(t *testing.T) store.Store {
		return mustMySQL(t, MySQL{DSN: server.MustCreate(t, "")})
	}, "Copies", "Holdings", "Uploads", "Races", "Crowds", "Queue", "Work")
}

// fooOnPeer is a store of the peer's with the key Foo in it.
func fooOnPeer(t *testing.T, how string) *Store {
	t.Helper()
	return mustMySQL(t, peerMySQL(t, dbtest.MariaDB(t), how, append(mysqlPeerTables(),
		"INSERT INTO domain (dmid, namespace) VALUES (1, 'images')", fileRow(7, "Foo", 1))...))
}

// TestKeysAreTheSameAsTheDatabaseSays: what a peer beside us takes for one key is one here.
func TestKeysAreTheSameAsTheDatabaseSays(t *testing.T) {
	onCollations(t, func(t *testing.T, how string) {
		s := fooOnPeer(t, how)
		for _, key := range []mogile.Key{"foo", "FOO", "Foo ", "foo  "} {
			if f, _, _, err := s.Locate(t.Context(), 1, key); err != nil || f.FID != 7 || f.Key != "Foo" {
				t.Errorf("locate %q: got %+v, error %v; want Foo", key, f, err)
			}
		}
		if err := s.Rename(t.Context(), 1, "foo", "fOO"); err != nil {
			t.Errorf("rename to itself in other cases: got %v; want nil", err)
		}
		fid, err := s.OpenUpload(t.Context(), store.Upload{Domain: 1, Key: "foo"})
		if err != nil {
			t.Fatal(err)
		}
		replaced, err := s.CloseUpload(t.Context(), store.Closing{FID: fid, Dev: 1, Domain: 1, Key: "foo", Length: 2})
		if err != nil || replaced != 7 {
			t.Errorf("upload: got %d replaced, error %v; want 7", replaced, err)
		}
		if gone, err := s.Delete(t.Context(), 1, "FOO "); err != nil || gone != fid {
			t.Errorf("delete: got %d, error %v; want %d", gone, err, fid)
		}
		if n := number(t, s, "SELECT COUNT(*) FROM file"); n != 0 {
			t.Errorf("files: got %d; want none", n)
		}
	})
}

func TestKeysOfAPeerAreListedInPortions(t *testing.T) {
	onCollations(t, func(t *testing.T, how string) {
		s := fooOnPeer(t, how)
		for i, key := range []string{"a_1", "a%2", "a|3", `a\4`, "A5", "b", "Food", "fop"} {
			raw(t, s, fileRow(10+i, strings.ReplaceAll(key, `\`, `\\`), 1))
		}
		all := mustKeys(t, s, "", "")
		if len(all) != 9 {
			t.Fatalf("keys: got %q; want 9", all)
		}
		for i, key := range all {
			if got := mustKeys(t, s, "", key); !slices.Equal(got, all[i+1:]) {
				t.Errorf("keys after %q: got %q; want %q", key, got, all[i+1:])
			}
		}
		for _, prefix := range []mogile.Key{"a_", "a%", "a|", `a\`} {
			if got := mustKeys(t, s, prefix, ""); len(got) != 1 || got[0][:2] != prefix {
				t.Errorf("keys from %q: got %q; want one", prefix, got)
			}
		}
		if got := mustKeys(t, s, "fo", ""); len(got) != 3 {
			t.Errorf("keys from fo in any case: got %q; want 3", got)
		}
		setAll(t, s, map[string]string{"case_sensitive_list_keys": "1"})
		if got := mustKeys(t, s, "fo", ""); !slices.Equal(got, []mogile.Key{"fop"}) {
			t.Errorf("keys from fo when cases are told apart: got %q; want fop", got)
		}
		setAll(t, s, map[string]string{"case_sensitive_list_keys": "0"})
		if got := mustKeys(t, s, "fo", ""); len(got) != 3 {
			t.Errorf("keys from fo in any case again: got %q; want 3", got)
		}
	})
}

func mustKeys(t *testing.T, s *Store, prefix, after mogile.Key) []mogile.Key {
	t.Helper()
	keys, err := s.Keys(t.Context(), 1, prefix, after, 100)
	if err != nil {
		t.Errorf("list keys from %q after %q: got %v; want nil", prefix, after, err)
	}
	return keys
}

func TestBytesThatAreNoTextAreNotInAMySQLOfThePeer(t *testing.T) {
	onCollations(t, func(t *testing.T, how string) {
		s := fooOnPeer(t, how)
		const bad = "bad\xff\xfe"
		_, _, _, err := s.Locate(t.Context(), 1, bad)
		_, keyErr := s.FileByKey(t.Context(), 1, bad)
		_, gone := s.Delete(t.Context(), 1, bad)
		for what, err := range map[string]error{"locate": err, "find": keyErr, "delete": gone, "rename": s.Rename(t.Context(), 1, bad, "x")} {
			if !errors.Is(err, store.ErrNotFound) {
				t.Errorf("%s: got %v; want %v", what, err, store.ErrNotFound)
			}
		}
		if keys := mustKeys(t, s, bad, ""); len(keys) > 0 {
			t.Errorf("list keys: got %q; want none", keys)
		}
		if _, err := s.OpenUpload(t.Context(), store.Upload{Domain: 1, Key: bad}); err == nil || errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrDup) {
			t.Errorf("open upload: got %v; want an error of its own", err)
		}
		if err := s.Rename(t.Context(), 1, "Foo", bad); err == nil || errors.Is(err, store.ErrNotFound) {
			t.Errorf("rename to it: got %v; want an error of its own", err)
		}
		if f, err := s.FileByFID(t.Context(), 7); err != nil || f.Key != "Foo" {
			t.Errorf("the file: got %+v, error %v; want it as it was", f, err)
		}
	})
}

func TestAMySQLOfThePeerIsTaken(t *testing.T) {
	var rows []string
	for _, text := range rowsOfNothing {
		if !strings.Contains(text, "INTO lock") { // others have that table
			rows = append(rows, text)
		}
	}
	testTaken(t, mustMySQL(t, peerMySQL(t, dbtest.MariaDB(t), swedish, append(mysqlPeerTables(), rows...)...)))
}

func TestWhatAnOperatorShouldKnowOfAMySQLIsSaid(t *testing.T) {
	for want, text := range map[string]string{
		"tables without transactions":    "ALTER TABLE file_on ENGINE = MyISAM",
		"only the beginning of each key": "ALTER TABLE file DROP INDEX dkey, ADD UNIQUE dkey (dmid, dkey(100))",
		"does not sync each commit":      "SELECT 1", // as the tests' servers run
	} {
		m := peerMySQL(t, dbtest.MariaDB(t), general, append(mysqlPeerTables(), text)...)
		core, logs := observer.New(zapcore.WarnLevel)
		s, err := OpenMySQL(t.Context(), m, zap.New(core))
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if logs.FilterMessageSnippet(want).Len() != 1 {
			t.Errorf("%s: got %v in the log; want %q once", text, logs.All(), want)
		}
	}
}

func TestIdentityTellsNoSecret(t *testing.T) {
	for dsn, want := range map[string]string{
		"me:hush@tcp(db1:3307)/mogilefs":                 "mysql tcp db1:3307/mogilefs",
		"DBI:mysql:mogilefs:host=db1;password=hush":      "mysql tcp db1:3306/mogilefs",
		"me:hush@unix(/run/mysqld.sock)/mogilefs?tls=no": "",
	} {
		got, err := MySQL{DSN: dsn, Password: "hush"}.Identity()
		if want != "" && (err != nil || got != want) || strings.Contains(fmt.Sprint(got, err), "hush") {
			t.Errorf("%s: got %q, error %v; want %q", dsn, got, err, want)
		}
	}
}
