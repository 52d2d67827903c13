package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
	"github.com/mogilefs/caddy-mogilefs/tracker/store/sqlstore/company"
)

// failing is a database that fails the statement after the next n of groups, and no other.
type failing struct {
	database
	n      int
	failed bool
}

func (f *failing) once(ctx context.Context, fn func(*tx) error) error {
	return f.database.once(ctx, func(t *tx) error {
		works := t.stmt
		t.stmt = func(text string) (*sql.Stmt, error) {
			if f.n--; f.n == -1 {
				f.failed = true
				return nil, errInjected
			}
			return works(text)
		}
		return fn(t)
	})
}

// serverDump is every row of every table that groups change.
func serverDump(t *testing.T, s *Store) (rows []string) {
	t.Helper()
	err := s.db.read(t.Context(), func(tx *tx) error {
		for _, table := range tables {
			found, err := list(tx, single[string], "SELECT CONCAT_WS(' ', '"+table.name+"', "+table.columns+") FROM "+table.name+" ORDER BY 1")
			if err != nil {
				return err
			}
			rows = append(rows, found...)
		}
		return nil
	})
	if err != nil {
		t.Fatalf("dump: %v", err)
	}
	return rows
}

func guests[Q, A any](asks ...Q) (group []*company.Guest[Q, A]) {
	for _, q := range asks {
		group = append(group, &company.Guest[Q, A]{Asks: q})
	}
	return group
}

// groupChanges are those of groups, in a database with the files a, b, c and the uploads
// 11, 12, 13.
func groupChanges() map[string]func(database) error {
	sum := mogile.Checksum{Type: mogile.HashMD5, Sum: []byte("0123456789abcdef")}
	return map[string]func(database) error{
		"opens": func(db database) error {
			return openAll(db, guests[store.Upload, mogile.FID](
				store.Upload{Domain: 1, Key: "a"}, store.Upload{Domain: 1, Key: "b"}, store.Upload{Domain: 1, Key: "b"}))
		},
		"closes": func(db database) error {
			return closeAll(db, guests[store.Closing, mogile.FID](
				store.Closing{FID: 13, Dev: 1, Domain: 1, Key: "d", Class: 1, Checksum: sum},
				store.Closing{FID: 11, Dev: 2, Domain: 2, Key: "e"}, store.Closing{FID: 12, Dev: 1, Domain: 1, Key: "f"}))
		},
		"adds": func(db database) error {
			return addAll(db, guests[copyRow, struct{}](copyRow{2, 1}, copyRow{1, 2}, copyRow{9, 1}, copyRow{1, 1}, copyRow{1, 2}))
		},
		"deletes": func(db database) error {
			return deleteAll(db, guests[domainKey, mogile.FID](domainKey{1, "c"}, domainKey{1, "a"}, domainKey{1, "none"}))
		},
	}
}

func fillForGroups(t *testing.T, s *Store) {
	raw(t, s, "INSERT INTO domain (dmid, namespace) VALUES (1, 'one'), (2, 'two')",
		"INSERT INTO class (dmid, classid, classname, mindevcount) VALUES (1, 1, 'class', 2)")
	for i, key := range []string{"a", "b", "c"} {
		raw(t, s, fmt.Sprintf("INSERT INTO file (fid, dmid, dkey, length, classid, devcount) VALUES (%d, 1, '%s', 1, 0, 1)", i+1, key))
	}
	for fid := 11; fid <= 13; fid++ {
		raw(t, s, fmt.Sprintf("INSERT INTO tempfile (fid, createtime, classid, dmid, dkey, devids) VALUES (%d, 1, 0, 1, 'k', '1,2')", fid))
	}
	raw(t, s, "INSERT INTO file_to_delete (fid) VALUES (13)")
	if err := s.db.write(t.Context(), raiseFIDs); err != nil {
		t.Fatal(err)
	}
}

// onServerStores runs a test on a new store of each kind of server.
func onServerStores(t *testing.T, test func(t *testing.T, s *Store)) {
	t.Run("MySQL", func(t *testing.T) { test(t, mustMySQL(t, newMySQL(t))) })
	t.Run("Postgres", func(t *testing.T) { test(t, mustPostgres(t, newPostgres(t))) })
}

// TestAGroupThatFailsAtAnyStatementChangesNothing fails statement 0, 1, 2 … of each kind of
// group until none fails.
func TestAGroupThatFailsAtAnyStatementChangesNothing(t *testing.T) {
	onServerStores(t, func(t *testing.T, s *Store) {
		fillForGroups(t, s)
		for name, change := range groupChanges() {
			for i := 0; ; i++ {
				before := serverDump(t, s)
				db := &failing{database: s.db, n: i}
				err := change(db)
				if !db.failed {
					if err != nil || cmp.Equal(serverDump(t, s), before) {
						t.Errorf("%s without a failure: got error %v; want nil and a change", name, err)
					}
					if i < 3 {
						t.Errorf("%s: got %d statements; want some", name, i)
					}
					break
				}
				if !errors.Is(err, errInjected) {
					t.Errorf("%s, statement %d failed: got %v; want %v", name, i, err, errInjected)
				}
				if diff := cmp.Diff(before, serverDump(t, s)); diff != "" {
					t.Errorf("%s, statement %d failed: got a changed database; want it as before\n%s", name, i, diff)
				}
			}
		}
	})
}

// TestWhatIsNoPlainCaseUndoesAGroup: each of these is one of three closes.
func TestWhatIsNoPlainCaseUndoesAGroup(t *testing.T) {
	onServerStores(t, func(t *testing.T, s *Store) {
		fillForGroups(t, s)
		before := serverDump(t, s)
		for what, c := range map[string]store.Closing{
			"an upload that is closed twice":  {FID: 11, Dev: 1, Domain: 1, Key: "f"},
			"an upload that is none":          {FID: 99, Dev: 1, Domain: 1, Key: "f"},
			"a domain that is gone":           {FID: 13, Dev: 1, Domain: 9, Key: "f"},
			"a key that comes twice":          {FID: 13, Dev: 1, Domain: 1, Key: "d"},
			"a key that a file has meanwhile": {FID: 13, Dev: 1, Domain: 1, Key: "a"},
		} {
			err := closeAll(s.db, guests[store.Closing, mogile.FID](
				store.Closing{FID: 11, Dev: 1, Domain: 1, Key: "d"}, store.Closing{FID: 12, Dev: 2, Domain: 1, Key: "e"}, c))
			if err == nil || errors.Is(err, errUnknownOutcome) {
				t.Errorf("%s: got %v; want an error that undid all", what, err)
			}
			if diff := cmp.Diff(before, serverDump(t, s)); diff != "" {
				t.Errorf("%s: got a changed database; want it as before\n%s", what, diff)
			}
		}
	})
}

func TestOpensOfAGroupFindALaggingSequence(t *testing.T) {
	onServerStores(t, func(t *testing.T, s *Store) {
		fillForGroups(t, s)
		raw(t, s, "INSERT INTO file_on (fid, devid) VALUES (15, 1)") // 14 is next
		before := serverDump(t, s)
		err := openAll(s.db, guests[store.Upload, mogile.FID](store.Upload{Domain: 1}, store.Upload{Domain: 1}))
		if !errors.Is(err, errLagging) {
			t.Errorf("got %v; want %v", err, errLagging)
		}
		if diff := cmp.Diff(before, serverDump(t, s)); diff != "" {
			t.Errorf("got a changed database; want it as before\n%s", diff)
		}
	})
}

func TestCopiesOfAGroupAreCounted(t *testing.T) {
	onServerStores(t, func(t *testing.T, s *Store) {
		fillForGroups(t, s)
		raw(t, s, "INSERT INTO file_on (fid, devid) VALUES (2, 7)")
		// One is twice among them, one is there already, one is of no visible file.
		copies := guests[copyRow, struct{}](copyRow{2, 7}, copyRow{1, 2}, copyRow{9, 1}, copyRow{1, 1}, copyRow{1, 2}, copyRow{2, 3})
		if err := addAll(s.db, copies); err != nil {
			t.Fatal(err)
		}
		on, err := s.DevicesOf(t.Context(), 1, 2, 3, 9)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(map[mogile.FID][]mogile.DevID{1: {1, 2}, 2: {3, 7}, 9: {1}}, on); diff != "" {
			t.Errorf("copies: want - got +\n%s", diff)
		}
		for fid, want := range map[mogile.FID]int{1: 2, 2: 2, 3: 1} {
			if f, err := s.FileByFID(t.Context(), fid); err != nil || f.DevCount != want {
				t.Errorf("fid %d: got devcount %d, %v; want %d", fid, f.DevCount, err, want)
			}
		}
	})
}

func TestWhoLoadsInAGroupGetsHisOwnFile(t *testing.T) {
	onServerStores(t, func(t *testing.T, s *Store) {
		fillForGroups(t, s)
		raw(t, s, "INSERT INTO file_on (fid, devid) VALUES (2, 7), (2, 3), (9, 1)")
		group := guests[mogile.FID, store.Known](3, 9, 2, 2)
		for _, g := range group {
			g.Ctx = t.Context()
		}
		if err := loadAll(s.db, group); err != nil {
			t.Fatal(err)
		}
		if group[1].In {
			t.Error("a fid that is no visible file: got it taken in; want it apart")
		}
		for i, want := range map[int]store.Known{
			0: {File: store.File{FID: 3, Domain: 1, Key: "c", Length: 1, DevCount: 1}},
			2: {File: store.File{FID: 2, Domain: 1, Key: "b", Length: 1, DevCount: 1}, Devices: []mogile.DevID{3, 7}},
			3: {File: store.File{FID: 2, Domain: 1, Key: "b", Length: 1, DevCount: 1}, Devices: []mogile.DevID{3, 7}},
		} {
			if diff := cmp.Diff(want, group[i].Got); !group[i].In || diff != "" {
				t.Errorf("guest %d: got in %t; want - got +\n%s", i, group[i].In, diff)
			}
		}
	})
}

func TestWhoOverwritesIsNotTakenIn(t *testing.T) {
	onServerStores(t, func(t *testing.T, s *Store) {
		fillForGroups(t, s)
		group := guests[store.Closing, mogile.FID](
			store.Closing{FID: 11, Domain: 1, Key: "a"}, store.Closing{FID: 12, Domain: 2, Key: "a"}, store.Closing{FID: 13, Domain: 1, Key: "A"})
		fresh, others := ofNewKeys(s.db, group)
		if len(others) != 1 || others[0] != group[0] || len(fresh) != 2 {
			t.Errorf("got %d with new keys, %d others; want 2, and the one whose key has a file", len(fresh), len(others))
		}
	})
}
