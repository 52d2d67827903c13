package sqlstore

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	dbtest "github.com/mogilefs/caddy-mogilefs/tests/database"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
	"github.com/mogilefs/caddy-mogilefs/tracker/store/sqlstore/pipe"
)

func TestWhatWasHeldBackIsCommitted(t *testing.T) {
	s := mustPostgres(t, newPostgres(t))
	var fids []mogile.FID
	for fid := range mogile.FID(3*pipe.MaxHeld + 1) {
		fids = append(fids, fid+1)
	}
	if err := s.Enqueue(t.Context(), store.DeleteQueue, 0, fids...); err != nil {
		t.Fatal(err)
	}
	if n := number(t, s, "SELECT COUNT(*) FROM file_to_delete2"); n != int64(len(fids)) {
		t.Errorf("rows after the commit: got %d; want %d", n, len(fids))
	}
	if items, err := s.Claim(t.Context(), store.DeleteQueue, len(fids), time.Hour); err != nil || len(items) != len(fids) {
		t.Errorf("claim: got %d items, error %v; want all", len(items), err)
	}
}

// insertHeld holds back a row for the delete queue; that of fid 0 breaks a rule.
func insertHeld(t *tx, fid mogile.FID) error {
	_, err := t.exec("INSERT IGNORE INTO file_to_delete2 (fid, nexttry) VALUES (?, 0)", fid)
	return err
}

func TestWhatWasHeldBackFailsTheNextStatement(t *testing.T) {
	s := mustPostgres(t, newPostgres(t))
	raw(t, s, "ALTER TABLE file_to_delete2 ADD CHECK (fid > 0)")
	for what, next := range map[string]func(*tx) error{
		"commit": func(*tx) error { return nil },
		"insert": func(t *tx) error { _, err := t.exec("INSERT INTO file_on (fid, devid) VALUES (?, 1)", 7); return err },
		"select": func(t *tx) error { var n int; return t.row("SELECT COUNT(*) FROM file").Scan(&n) },
		"many": func(t *tx) (err error) {
			for range 2 * pipe.MaxHeld {
				err = errors.Join(err, insertHeld(t, 8))
			}
			return err
		},
	} {
		err := s.db.write(t.Context(), func(t *tx) error {
			if err := insertHeld(t, 9); err != nil {
				return err
			}
			if err := insertHeld(t, 0); err != nil {
				return err
			}
			return next(t)
		})
		if postgresCode(err) != "23514" { // check_violation
			t.Errorf("%s after a row that breaks a rule: got %v; want the rule", what, err)
		}
		if n := number(t, s, "SELECT (SELECT COUNT(*) FROM file_to_delete2) + (SELECT COUNT(*) FROM file_on)"); n != 0 {
			t.Errorf("%s after a row that breaks a rule: got %d rows; want none", what, n)
		}
	}
}

func TestAnErrorThatNobodyMindsIsNoCommit(t *testing.T) {
	s := mustPostgres(t, newPostgres(t))
	err := s.db.write(t.Context(), func(t *tx) error {
		if _, err := t.exec("INSERT INTO file_on (fid, devid) VALUES (7, 1)"); err != nil {
			return err
		}
		_, err := t.exec("SELECT 1 / 0")
		if err == nil {
			return errors.New("got nil; want an error")
		}
		return nil
	})
	if !errors.Is(err, pipe.ErrAborted) {
		t.Errorf("commit: got %v; want %v", err, pipe.ErrAborted)
	}
	if devs, err := s.Devices(t.Context(), 7); err != nil || len(devs) != 0 {
		t.Errorf("devices: got %v, error %v; want none", devs, err)
	}
}

func TestNothingIsSentForNothing(t *testing.T) {
	s := mustPostgres(t, newPostgres(t))
	commits := func() int64 { return number(t, s, "SELECT txid_current()::BIGINT") }
	before := commits()
	for range 10 {
		if err := s.db.write(t.Context(), func(*tx) error { return nil }); err != nil {
			t.Errorf("write of nothing: got %v; want nil", err)
		}
		if err := s.db.write(t.Context(), func(*tx) error { return store.ErrDup }); !errors.Is(err, store.ErrDup) {
			t.Errorf("write of nothing: got %v; want %v", err, store.ErrDup)
		}
	}
	if got := commits() - before; got != 1 {
		t.Errorf("transactions: got %d; want the one that counts them", got)
	}
}

func TestPlansGrowWithTheTables(t *testing.T) {
	server := dbtest.OwnPostgres(t, "-c", "autovacuum=off")
	s := mustPostgres(t, Postgres{DSN: server.MustCreate(t, ""), Connections: 1})
	find := func() {
		if _, err := s.FileByKey(t.Context(), 1, "k"); !errors.Is(err, store.ErrNotFound) {
			t.Fatalf("find key: got %v; want %v", err, store.ErrNotFound)
		}
	}
	for range 10 { // as often as it takes the server to keep a plan
		find()
	}
	raw(t, s, `INSERT INTO file (fid, dmid, dkey, length, classid, devcount)
		SELECT n, 1, 'key/' || n, 0, 0, 1 FROM generate_series(1, 10000) AS n`)
	eventually(t, "the index of keys is used", func() bool {
		find()
		return strings.Contains(planOf(t, s, "FROM file f WHERE f.dmid = $1 AND f.dkey = $2"), "file_dmid_dkey_key")
	})
}

// planOf is the plan that the one connection of s has for a prepared statement.
func planOf(t *testing.T, s *Store, text string) string {
	t.Helper()
	var plan []string
	err := s.db.read(t.Context(), func(tx *tx) error {
		var name string
		err := tx.row("SELECT name FROM pg_prepared_statements WHERE statement LIKE '%' || ?", text).Scan(&name)
		if err == nil {
			plan, err = list(tx, single[string], "EXPLAIN EXECUTE "+name+" (1, 'k')")
		}
		return err
	})
	if err != nil {
		t.Fatalf("plan of %s: got %v; want nil", text, err)
	}
	return strings.Join(plan, "\n")
}
