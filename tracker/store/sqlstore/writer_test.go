package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
)

// idleWriter is a writer that nobody has started, with room for n who wait.
func idleWriter(t *testing.T, n int) (*Store, *writer) {
	t.Helper()
	s := mustOpen(t, filepath.Join(t.TempDir(), "db"))
	db := s.db.database.(*sqliteDB)
	db.writer.close()
	w := newWriter(db.writer.tx)
	w.queue = make(chan *change, n)
	db.writer = w
	w.wg.Go(func() { <-w.stop }) // what Close waits for
	return s, w
}

// runGroup runs the changes as one group.
func runGroup(t *testing.T, w *writer, changes ...*change) (errs []error) {
	t.Helper()
	for _, c := range changes[1:] {
		w.queue <- c
	}
	w.group(changes[0])
	for i, c := range changes {
		select {
		case err := <-c.done:
			errs = append(errs, err)
		default:
			t.Fatalf("change %d of %d: got no answer; want one", i, len(changes))
		}
	}
	return errs
}

func addDomain(t *testing.T, id int) *change {
	return newChange(t.Context(), func(tx *tx) error {
		_, err := tx.exec("INSERT INTO domain (dmid, namespace) VALUES (?, ?)", id, fmt.Sprint(id))
		return err
	})
}

func TestAnErrorUndoesOnlyItsOwnChange(t *testing.T) {
	s, w := idleWriter(t, 5)
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	mine := errors.New("mine")
	errs := runGroup(t, w,
		addDomain(t, 1),
		newChange(t.Context(), func(tx *tx) error {
			if _, err := tx.exec("INSERT INTO domain (dmid, namespace) VALUES (2, 'undone')"); err != nil {
				return err
			}
			return mine
		}),
		newChange(cancelled, func(*tx) error {
			t.Error("a change whose context is over: got run; want it skipped")
			return nil
		}),
		addDomain(t, 1),
		addDomain(t, 3),
	)
	for i, want := range []error{nil, mine, context.Canceled, store.ErrDup, nil} {
		if !errors.Is(errs[i], want) {
			t.Errorf("change %d: got %v; want %v", i, errs[i], want)
		}
	}
	if got := number(t, s, "SELECT SUM(dmid) FROM domain"); got != 4 {
		t.Errorf("sum of domains: got %d; want 1 and 3", got)
	}
}

func TestAFailedCommitIsEverybodysError(t *testing.T) {
	s, w := idleWriter(t, 3)
	db := s.db.database.(*sqliteDB)
	if _, err := db.conn.ExecContext(t.Context(), "PRAGMA foreign_keys(ON)"); err != nil {
		t.Fatal(err)
	}
	err := w.first(t.Context(), func(tx *tx) error {
		_, err := tx.exec("CREATE TABLE late (dmid INT REFERENCES domain DEFERRABLE INITIALLY DEFERRED)")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	violate := newChange(t.Context(), func(tx *tx) error {
		_, err := tx.exec("INSERT INTO late VALUES (99)")
		return err
	})
	for i, err := range runGroup(t, w, addDomain(t, 1), violate, addDomain(t, 1), addDomain(t, 2)) {
		if err == nil || errors.Is(err, store.ErrDup) {
			t.Errorf("change %d: got %v; want the error of the commit", i, err)
		}
	}
	if got := number(t, s, "SELECT COUNT(*) FROM domain"); got != 0 {
		t.Errorf("domains after a failed commit: got %d; want 0", got)
	}
	if errs := runGroup(t, w, addDomain(t, 1)); errs[0] != nil {
		t.Errorf("change after a failed commit: got %v; want nil", errs[0])
	}
}

func TestALostTransactionIsEverybodysError(t *testing.T) {
	s, w := idleWriter(t, 3)
	lose := newChange(t.Context(), func(tx *tx) error {
		_, err := tx.exec("INSERT OR ROLLBACK INTO domain (dmid, namespace) VALUES (1, 'again')")
		return err
	})
	for i, err := range runGroup(t, w, addDomain(t, 1), lose) {
		if err == nil {
			t.Errorf("change %d: got nil; want the error that ended the transaction", i)
		}
	}
	if got := number(t, s, "SELECT COUNT(*) FROM domain"); got != 0 {
		t.Errorf("domains after a lost transaction: got %d; want 0", got)
	}
	if errs := runGroup(t, w, addDomain(t, 1), addDomain(t, 2)); errors.Join(errs...) != nil {
		t.Errorf("changes after a lost transaction: got %v; want nil", errs)
	}
}

func TestAGroupIsBounded(t *testing.T) {
	s, w := idleWriter(t, maxGroup)
	changes := make([]*change, maxGroup+1)
	for i := range changes {
		changes[i] = addDomain(t, i+1)
	}
	if errs := runGroup(t, w, changes[:maxGroup]...); errors.Join(errs...) != nil {
		t.Errorf("a full group: got %v; want nil", errs)
	}
	for _, c := range changes[1:] {
		w.queue <- c
	}
	w.group(changes[0])
	if got := len(w.queue); got != 1 {
		t.Errorf("changes that wait for the next group: got %d; want 1", got)
	}
	if got := number(t, s, "SELECT COUNT(*) FROM domain"); got != maxGroup {
		t.Errorf("domains: got %d; want %d", got, maxGroup)
	}
}

func TestTheOutcomeIsWaitedForWhenTheContextEnds(t *testing.T) {
	s := mustOpen(t, filepath.Join(t.TempDir(), "db"))
	ctx, cancel := context.WithCancel(t.Context())
	err := s.db.write(ctx, func(tx *tx) error {
		cancel()
		_, err := tx.exec("INSERT INTO domain (dmid, namespace) VALUES (1, 'one')")
		return err
	})
	if err != nil {
		t.Errorf("write whose context ended on the way: got %v; want nil", err)
	}
	if got := number(t, s, "SELECT COUNT(*) FROM domain"); got != 1 {
		t.Errorf("domains: got %d; want 1", got)
	}
}

func TestAReadSeesOnlyWhatIsCommitted(t *testing.T) {
	s := mustOpen(t, filepath.Join(t.TempDir(), "db"))
	err := s.db.write(t.Context(), func(tx *tx) error {
		if _, err := tx.exec("INSERT INTO domain (dmid, namespace) VALUES (1, 'one')"); err != nil {
			return err
		}
		if got := number(t, s, "SELECT COUNT(*) FROM domain"); got != 0 {
			t.Errorf("domains before the commit: got %d; want 0", got)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	err = s.db.snapshot(t.Context(), func(tx *tx) error {
		for range 2 {
			var n int
			if err := tx.row("SELECT COUNT(*) FROM domain").Scan(&n); err != nil || n != 1 {
				t.Errorf("domains in a snapshot: got %d, error %v; want 1", n, err)
			}
			raw(t, s, "DELETE FROM domain")
		}
		return nil
	})
	if err != nil {
		t.Errorf("snapshot: got %v; want nil", err)
	}
}

// TestAFullDiskLosesNothing: uploads fail while there is no room, those that were
// acknowledged stay, and all goes on when there is room again.
func TestAFullDiskLosesNothing(t *testing.T) {
	s := mustOpen(t, filepath.Join(t.TempDir(), "db"))
	limit := func(pages int64) {
		t.Helper()
		err := s.db.write(t.Context(), func(tx *tx) error {
			return tx.row(fmt.Sprintf("PRAGMA max_page_count(%d)", pages)).Scan(new(int64))
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	raw(t, s, "INSERT INTO domain (dmid, namespace) VALUES (1, 'd')")
	limit(number(t, s, "SELECT page_count FROM pragma_page_count") + 3)
	var acked []mogile.Key
	var failed error
	for i := 0; failed == nil; i++ {
		key := mogile.Key(fmt.Sprintf("%0200d", i))
		fid, err := s.OpenUpload(t.Context(), store.Upload{Domain: 1, Key: key})
		if err == nil {
			_, err = s.CloseUpload(t.Context(), store.Closing{FID: fid, Dev: 1, Domain: 1, Key: key})
		}
		if failed = err; err == nil {
			acked = append(acked, key)
		}
	}
	if code := sqliteCode(failed); code != 13 || len(acked) == 0 {
		t.Errorf("upload %d on a full disk: got %v; want SQLITE_FULL after some", len(acked), failed)
	}
	for _, key := range acked {
		if _, err := s.FileByKey(t.Context(), 1, key); err != nil {
			t.Errorf("find acknowledged key %s: got %v; want nil", key, err)
		}
	}
	limit(1 << 30)
	if _, err := s.OpenUpload(t.Context(), store.Upload{Domain: 1}); err != nil {
		t.Errorf("upload when there is room again: got %v; want nil", err)
	}
}
