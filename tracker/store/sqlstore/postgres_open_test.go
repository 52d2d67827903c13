package sqlstore

import (
	"database/sql"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
)

func TestANewPostgresHasTheTablesAndIndexesOfThePeer(t *testing.T) {
	s := mustPostgres(t, newPostgres(t))
	for kind, want := range map[string]string{
		"r": "checksum class device domain file file_on file_on_corrupt file_to_delete file_to_delete2 " +
			"file_to_delete_later file_to_queue file_to_replicate fsck_log host lock server_settings tempfile unreachable_fids",
		"i": "device_status file_devcount file_on_devid file_to_delete2_nexttry file_to_delete_later_delafter " +
			"file_to_replicate_nexttry fsck_log_utime type_nexttry unreachable_fids_lastupdate",
	} {
		var got []string
		err := s.db.read(t.Context(), func(tx *tx) (err error) {
			got, err = list(tx, single[string], `SELECT relname FROM pg_class WHERE relkind = CAST(? AS TEXT)::"char"
				AND relnamespace = 'public'::REGNAMESPACE AND relname NOT LIKE '%key' ORDER BY relname COLLATE "C"`, kind)
			return err
		})
		if diff := cmp.Diff(strings.Fields(want), got); err != nil || diff != "" {
			t.Errorf("relations of kind %s: got %v, error %v; want %s\n%s", kind, got, err, want, diff)
		}
	}
	if n := number(t, s, `SELECT COUNT(*) FROM information_schema.columns WHERE table_schema = 'public'
		AND column_name = 'fid' AND data_type <> 'bigint'`); n != 0 {
		t.Errorf("narrow columns of fids: got %d; want none", n)
	}
}

func TestAnUnusablePostgresIsRefusedAndLeftAlone(t *testing.T) {
	settings := "CREATE TABLE server_settings (field VARCHAR(50) PRIMARY KEY, value TEXT)"
	version := func(v string) string { return "INSERT INTO server_settings VALUES ('schema_version', '" + v + "')" }
	for want, texts := range map[string][]string{
		"(a, posts)":                            {"CREATE TABLE posts (id INT)", "CREATE VIEW a AS SELECT 1"},
		"no schema_version":                     {settings},
		"found schema_version 15, want 17":      {settings, version("15")},
		"found schema_version 18, want 17":      {settings, version("18")},
		"unreadable":                            {"CREATE TABLE server_settings (a INT)"},
		"no table domain":                       {settings, version("17")},
		"no table checksum":                     append(peerTables(), "DROP TABLE checksum"),
		"table class lacks the column hashtype": append(peerTables(), "ALTER TABLE class DROP hashtype"),
		"no sequence that belongs to":           append(peerTables(), "ALTER SEQUENCE tempfile_fid_seq OWNED BY NONE"),
	} {
		p := peerPostgres(t, "", texts)
		before := columnsOf(t, p)
		_, err := OpenPostgres(t.Context(), p, zap.NewNop())
		if !errors.Is(err, store.ErrSchema) || !strings.Contains(err.Error(), want) {
			t.Errorf("open: got %v; want %v with %q", err, store.ErrSchema, want)
		}
		if diff := cmp.Diff(before, columnsOf(t, p)); diff != "" {
			t.Errorf("open refused (%v): got a changed database; want it as it was\n%s", err, diff)
		}
	}
}

func TestManyMayCreateOnePostgresAtOnce(t *testing.T) {
	p := newPostgres(t)
	var wg sync.WaitGroup
	for range 6 {
		wg.Go(func() {
			s, err := OpenPostgres(t.Context(), p, zap.NewNop())
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

func TestAPostgresThatIsNotThereIsAnErrorWithoutThePassword(t *testing.T) {
	for _, dsn := range []string{
		"postgres://mogile:hush@127.0.0.1:1/mogilefs",
		"postgres://mogile:hush@127.0.0.1:port/mogilefs",
		"DBI:Pg:dbname=mogilefs;host=127.0.0.1;port=1;password=hush",
	} {
		s, err := OpenPostgres(t.Context(), Postgres{DSN: dsn, Password: "hush"}, zap.NewNop())
		if err == nil || s != nil || errors.Is(err, store.ErrSchema) || strings.Contains(err.Error(), "hush") {
			t.Errorf("open %s: got %v; want an error without the password", dsn, err)
		}
	}
}

func TestWhatIsAcknowledgedIsOnDiskWhateverTheServerSays(t *testing.T) {
	p := newPostgres(t)
	db, err := sql.Open("pgx", p.DSN)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(`DO $$BEGIN EXECUTE 'ALTER DATABASE ' || current_database() || ' SET synchronous_commit = off'; END$$`); err != nil {
		t.Fatal(err)
	}
	s := mustPostgres(t, p)
	if n := number(t, s, "SELECT COUNT(*) FROM pg_settings WHERE name = 'synchronous_commit' AND setting = 'on'"); n != 1 {
		t.Error("synchronous_commit: got off; want on")
	}
	p.DSN += "&synchronous_commit=off"
	s = mustPostgres(t, p)
	if n := number(t, s, "SELECT COUNT(*) FROM pg_settings WHERE name = 'synchronous_commit' AND setting = 'off'"); n != 1 {
		t.Error("synchronous_commit that the DSN turns off: got on; want off")
	}
}

func TestExplicitFidsMoveTheSequenceForwardOnly(t *testing.T) {
	p := newPostgres(t)
	stores := []*Store{mustPostgres(t, p), mustPostgres(t, p)}
	var mu sync.Mutex
	given := map[mogile.FID]int{} // guarded by mu
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			s := stores[worker%2]
			for i := range 40 {
				var u store.Upload
				if i%4 == 0 {
					u.FID = mogile.FID(1000*(i+1) + worker*37)
				}
				fid, err := s.OpenUpload(t.Context(), u)
				if u.FID != 0 && errors.Is(err, store.ErrDup) {
					continue // the sequence has passed it
				}
				if err != nil || u.FID != 0 && fid != u.FID {
					t.Errorf("open upload as %d: got %d, error %v; want nil", u.FID, fid, err)
				}
				mu.Lock()
				given[fid]++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	for fid, times := range given {
		if times != 1 {
			t.Errorf("fid %d: got it %d times; want once", fid, times)
		}
	}
}

func TestFidsOfThePeerAreNeverGivenAgain(t *testing.T) {
	s := mustPostgres(t, newPostgres(t))
	// An explicit fid of the peer leaves the sequence behind.
	raw(t, s, `INSERT INTO tempfile (fid, createtime, classid, dmid) SELECT n, 0, 0, 1 FROM generate_series(1, 50) AS n`,
		"INSERT INTO file_on (fid, devid) VALUES (60, 1)")
	var got []mogile.FID
	for range 3 {
		fid, err := s.OpenUpload(t.Context(), store.Upload{})
		if err != nil {
			t.Fatalf("open upload: got %v; want nil", err)
		}
		got = append(got, fid)
	}
	if got[0] <= 60 || !slices.IsSorted(got) {
		t.Errorf("fids: got %v; want rising ones above 60", got)
	}
}

// TestHotStatementsUseIndexes: with a time that the server has to take anew for each row, or
// a number wider than its column, they would not.
func TestHotStatementsUseIndexes(t *testing.T) {
	s := mustPostgres(t, newPostgres(t))
	condition, args := s.db.database.(*serverDB).d.keyRange("a", "")
	for text, c := range map[string]struct {
		args []any
		want string
	}{
		"SELECT fid FROM file_to_replicate WHERE nexttry <= UNIX_TIMESTAMP() ORDER BY nexttry LIMIT ? FOR UPDATE": {
			[]any{10}, "Index Cond: (nexttry <="},
		"SELECT devid FROM file_on WHERE fid = ?": {[]any{7}, "Index Cond: (fid ="},
		"SELECT dkey FROM file WHERE dmid = ?" + condition + " ORDER BY dkey LIMIT ?": {
			append(append([]any{1}, args...), 10), "AND (dkey >= 'a'::text) AND (dkey < 'b'::text))"},
	} {
		var plan []string
		err := s.db.write(t.Context(), func(tx *tx) (err error) {
			if _, err := tx.exec("SET LOCAL enable_seqscan = off"); err != nil { // the tables are empty
				return err
			}
			plan, err = list(tx, single[string], "EXPLAIN "+text, c.args...)
			return err
		})
		if err != nil || !strings.Contains(strings.Join(plan, "\n"), c.want) {
			t.Errorf("%s: got error %v and the plan\n%s\nwant one with %q", text, err, strings.Join(plan, "\n"), c.want)
		}
	}
}
