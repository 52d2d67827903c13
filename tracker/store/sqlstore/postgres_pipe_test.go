package sqlstore

import (
	"errors"
	"testing"
	"time"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
)

func TestWhatWasHeldBackIsCommitted(t *testing.T) {
	s := mustPostgres(t, newPostgres(t))
	var fids []mogile.FID
	for fid := range mogile.FID(3*maxHeld + 1) {
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
			for range 2 * maxHeld {
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
	if !errors.Is(err, errAborted) {
		t.Errorf("commit: got %v; want %v", err, errAborted)
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
