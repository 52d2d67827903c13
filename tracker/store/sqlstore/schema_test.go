package sqlstore

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"

	"github.com/mogilefs/caddy-mogilefs/tracker/store"
)

func TestANewDatabaseHasTheTablesAndIndexesOfThePeer(t *testing.T) {
	s := mustOpen(t, filepath.Join(t.TempDir(), "new.db"))
	for kind, want := range map[string]string{
		"table": "checksum class device domain file file_on file_on_corrupt file_to_delete file_to_delete2 " +
			"file_to_delete_later file_to_queue file_to_replicate fsck_log host lock server_settings tempfile unreachable_fids",
		"index": "delafter devid file_to_delete2_nexttry lastupdate nexttry status type_nexttry utime",
	} {
		var got []string
		err := s.db.read(t.Context(), func(tx *tx) (err error) {
			got, err = list(tx, single[string], "SELECT name FROM sqlite_master WHERE type = ? AND name NOT LIKE 'sqlite%' ORDER BY name", kind)
			return err
		})
		if diff := cmp.Diff(strings.Fields(want), got); err != nil || diff != "" {
			t.Errorf("every %s: got %v, error %v; want %s\n%s", kind, got, err, want, diff)
		}
	}
	if got := number(t, s, "SELECT COUNT(*) FROM sqlite_master WHERE type = 'table' AND sql LIKE '%AUTOINCREMENT%'"); got != 2 {
		t.Errorf("tables with a sequence: got %d; want 2", got)
	}
}

func TestEveryTableOfTheSchemaIsChecked(t *testing.T) {
	s := mustOpen(t, memory)
	want := []string{"file_on_corrupt", "unreachable_fids", "lock"}
	for _, table := range tables {
		want = append(want, table.name)
	}
	err := s.db.read(t.Context(), func(tx *tx) error {
		found, err := list(tx, single[string], tx.d.tables)
		slices.Sort(found)
		slices.Sort(want)
		if diff := cmp.Diff(want, found); diff != "" {
			t.Errorf("tables: got %v; want %v\n%s", found, want, diff)
		}
		return err
	})
	if err != nil {
		t.Errorf("list tables: got %v; want nil", err)
	}
}

func TestAnUnusableDatabaseIsRefusedAndLeftAlone(t *testing.T) {
	settings := "CREATE TABLE server_settings (field VARCHAR(50) PRIMARY KEY, value TEXT)"
	version := func(v string) string { return "INSERT INTO server_settings VALUES ('schema_version', '" + v + "')" }
	whole := append(append([]string{}, sqliteSchema...), version("17"))
	garbage := filepath.Join(t.TempDir(), "garbage")
	if err := os.WriteFile(garbage, []byte(strings.Repeat("not a database", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		foreign(t, "CREATE TABLE posts (id INT)", "CREATE VIEW a AS SELECT 1"): "a, posts",
		foreign(t, settings):                                            "no schema_version",
		foreign(t, settings, version("15")):                             "found schema_version 15, want 17",
		foreign(t, settings, version("18")):                             "found schema_version 18, want 17",
		foreign(t, "CREATE TABLE server_settings (a INT)"):              "unreadable",
		foreign(t, settings, version("17")):                             "no table domain",
		foreign(t, append(whole, "DROP TABLE checksum")...):             "no table checksum",
		foreign(t, append(whole, "ALTER TABLE class DROP hashtype")...): "table class lacks the column hashtype",
		garbage: "no SQLite database",
	} {
		before := readFile(t, path)
		_, err := OpenSQLite(t.Context(), path, zap.NewNop())
		if !errors.Is(err, store.ErrSchema) || !strings.Contains(err.Error(), want) {
			t.Errorf("open: got %v; want %v with %q", err, store.ErrSchema, want)
		}
		if readFile(t, path) != before {
			t.Errorf("open refused (%v): got a changed file; want it as it was", err)
		}
	}
}

func TestADatabaseOfThePeerIsTaken(t *testing.T) {
	path := foreign(t, append(append([]string{}, sqliteSchema...),
		"INSERT INTO server_settings VALUES ('schema_version', 17)",
		"CREATE TABLE added_by_the_operator (a INT)",
		"INSERT INTO file VALUES (7, 1, NULL, NULL, 0, 1)",
		"INSERT INTO tempfile (fid, createtime, classid, dmid) VALUES (9, 1, 0, 1)",
		"INSERT INTO class VALUES (1, 1, NULL, 2, NULL, NULL)",
		"INSERT INTO domain VALUES (1, NULL)",
		"INSERT INTO host (hostid) VALUES (1)",
		"INSERT INTO device (devid, hostid) VALUES (1, 1)",
		"INSERT INTO server_settings (field) VALUES ('fsck_host')",
	)...)
	s := mustOpen(t, path)
	if f, err := s.FileByFID(t.Context(), 7); err != nil || f.FID != 7 || f.Key != "" || f.Length != 0 {
		t.Errorf("file of NULLs: got %+v, error %v; want fid 7", f, err)
	}
	if u, err := s.Upload(t.Context(), 9); err != nil || u.FID != 9 || u.Devices != nil {
		t.Errorf("upload of NULLs: got %+v, error %v; want fid 9", u, err)
	}
	rows, err := s.LoadTopology(t.Context())
	if err != nil || len(rows.Classes) != 1 || len(rows.Hosts) != 1 || len(rows.Devices) != 1 || len(rows.Domains) != 1 {
		t.Fatalf("topology of NULLs: got %+v, error %v; want a row of each", rows, err)
	}
	if got := rows.Hosts[0].Port; got != 7500 {
		t.Errorf("port of a host of NULLs: got %d; want the column's default", got)
	}
}

func TestTheDirectoryIsCreatedAndThePathTakenLiterally(t *testing.T) {
	for _, name := range []string{"a?mode=memory.db", "b#c.db", "100%41.db", "with space/ü/d.db"} {
		path := filepath.Join(t.TempDir(), "new", name)
		s := mustOpen(t, path)
		if _, err := os.Stat(path); err != nil {
			t.Errorf("open %s: got %v; want the file there", path, err)
		}
		if got := number(t, s, "SELECT COUNT(*) FROM pragma_journal_mode WHERE journal_mode = 'wal'"); got != 1 {
			t.Errorf("open %s: got another journal mode; want wal", path)
		}
		dir, err := os.Stat(filepath.Dir(path))
		if err != nil || dir.Mode().Perm()&0o027 != 0 {
			t.Errorf("directory of %s: got mode %v, error %v; want nothing for others", path, dir.Mode(), err)
		}
	}
}

func TestAFileThatCannotBeOpenedIsAnError(t *testing.T) {
	file := foreign(t)
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{t.TempDir(), filepath.Join(file, "below-a-file")} {
		s, err := OpenSQLite(t.Context(), path, zap.NewNop())
		if err == nil || s != nil || errors.Is(err, store.ErrSchema) || !strings.Contains(err.Error(), path) {
			t.Errorf("open %s: got %v; want an error that names it", path, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := OpenSQLite(ctx, file, zap.NewNop()); !errors.Is(err, context.Canceled) {
		t.Errorf("open with a cancelled context: got %v; want %v", err, context.Canceled)
	}
}

func TestManyMayCreateOneDatabaseAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new.db")
	var wg sync.WaitGroup
	for range 6 {
		wg.Go(func() {
			s, err := OpenSQLite(t.Context(), path, zap.NewNop())
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
