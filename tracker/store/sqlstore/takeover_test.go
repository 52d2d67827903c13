package sqlstore

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tests/legacy"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
)

func TestANewFidIsAboveTheMaximumOfEveryTable(t *testing.T) {
	for _, insert := range []string{
		"INSERT INTO file (fid, dmid, dkey, classid, devcount) VALUES (500, 1, 'k', 0, 1)",
		"INSERT INTO tempfile (fid, createtime, classid, dmid) VALUES (500, 0, 0, 1)",
		"INSERT INTO file_on (fid, devid) VALUES (500, 1)",
		"INSERT INTO file_to_delete (fid) VALUES (500)",
		"INSERT INTO file_to_delete2 (fid, nexttry) VALUES (500, 0)",
		"INSERT INTO file_to_delete_later (fid, delafter) VALUES (500, 0)",
	} {
		path := filepath.Join(t.TempDir(), "db")
		s := mustOpen(t, path)
		raw(t, s, insert)
		s.Close()
		s = mustOpen(t, path)
		fid, err := s.OpenUpload(t.Context(), store.Upload{})
		if err != nil || fid != 501 {
			t.Errorf("first fid after %s: got %d, error %v; want 501", insert, fid, err)
		}
	}
}

func TestLegacyQueuesAreDrainedAtOpen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	s := mustOpen(t, path)
	raw(t, s,
		"INSERT INTO file_to_delete (fid) VALUES (1), (2)",
		"INSERT INTO file_to_delete_later (fid, delafter) VALUES (2, 5), (3, 2000000000)",
		"INSERT INTO file_to_delete2 (fid, nexttry, failcount) VALUES (1, 7, 9)")
	s.Close()
	s = mustOpen(t, path)
	for fid, want := range map[mogile.FID]store.QueueRow{
		1: {FID: 1, NextTry: 7, FailCount: 9},
		3: {FID: 3, NextTry: 2000000000},
	} {
		if got, err := s.Queued(t.Context(), store.DeleteQueue, fid); err != nil || got != want {
			t.Errorf("row of fid %d: got %+v, error %v; want %+v", fid, got, err, want)
		}
	}
	items, err := s.Claim(t.Context(), store.DeleteQueue, 10, time.Hour)
	if err != nil || len(items) != 2 || items[1].FID != 2 {
		t.Errorf("claim: got %+v, error %v; want fids 1 and 2", items, err)
	}
	if n := number(t, s, "SELECT (SELECT COUNT(*) FROM file_to_delete) + (SELECT COUNT(*) FROM file_to_delete_later)"); n != 0 {
		t.Errorf("rows in legacy queues: got %d; want 0", n)
	}
}

func TestLeasesOfADeadPredecessorComeBackAtOpen(t *testing.T) {
	for _, q := range []store.QueueName{store.ReplicateQueue, store.DeleteQueue} {
		path := filepath.Join(t.TempDir(), "db")
		s := mustOpen(t, path)
		if err := s.Enqueue(t.Context(), q, 0, 1); err != nil {
			t.Fatal(err)
		}
		if items, err := s.Claim(t.Context(), q, 10, peerLease*time.Second); err != nil || len(items) != 1 {
			t.Fatalf("claim: got %v, error %v; want one item", items, err)
		}
		later := s.Enqueue(t.Context(), q, 2*peerLease*time.Second, 2)
		parked := errors.Join(s.Enqueue(t.Context(), q, 0, 3), s.Park(t.Context(), q, 3, 0))
		if err := errors.Join(later, parked); err != nil {
			t.Fatal(err)
		}
		s.Close()
		s = mustOpen(t, path)
		items, err := s.Claim(t.Context(), q, 10, time.Hour)
		if err != nil || len(items) != 1 || items[0].FID != 1 {
			t.Errorf("claim from %s after a restart: got %v, error %v; want fid 1 alone", q, items, err)
		}
	}
}

// openAndVisible leaves what a peer leaves when it refuses an explicit fid.
func openAndVisible(t *testing.T) *Store {
	s := mustOpen(t, memory)
	raw(t, s,
		"INSERT INTO domain (dmid, namespace) VALUES (1, 'd')",
		"INSERT INTO file (fid, dmid, dkey, length, classid, devcount) VALUES (5, 1, 'k', 1, 0, 1)",
		"INSERT INTO file_on (fid, devid) VALUES (5, 1)",
		"INSERT INTO tempfile (fid, createtime, classid, dmid, devids) VALUES (5, 0, 0, 1, '2,3')")
	return s
}

func TestClosingAVisibleFidIsADuplicate(t *testing.T) {
	s := openAndVisible(t)
	_, err := s.CloseUpload(t.Context(), store.Closing{FID: 5, Dev: 2, Domain: 1, Key: "k"})
	if !errors.Is(err, store.ErrDup) {
		t.Errorf("close of a visible fid: got %v; want %v", err, store.ErrDup)
	}
	if _, err := s.Upload(t.Context(), 5); err != nil {
		t.Errorf("upload after a refused close: got %v; want it there", err)
	}
	if f, devs, _, err := s.Locate(t.Context(), 1, "k"); err != nil || f.FID != 5 || len(devs) != 1 {
		t.Errorf("locate: got %+v on %v, error %v; want fid 5 on dev 1", f, devs, err)
	}
}

func TestAVisibleFidIsNeverDoomedWithItsUpload(t *testing.T) {
	for what, end := range map[string]func(*Store) error{
		"abandon": func(s *Store) error { return s.AbandonUpload(t.Context(), 5, 2) },
		"sweep": func(s *Store) error {
			_, err := s.SweepUploads(t.Context(), time.Hour, 10)
			return err
		},
	} {
		s := openAndVisible(t)
		if err := end(s); err != nil {
			t.Errorf("%s: got %v; want nil", what, err)
		}
		if _, err := s.Queued(t.Context(), store.DeleteQueue, 5); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("deletion of fid 5 after %s: got %v; want %v", what, err, store.ErrNotFound)
		}
		if _, err := s.Upload(t.Context(), 5); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("upload after %s: got %v; want %v", what, err, store.ErrNotFound)
		}
		if devs, err := s.Devices(t.Context(), 5); err != nil || len(devs) != 1 {
			t.Errorf("devices after %s: got %v, error %v; want dev 1 alone", what, devs, err)
		}
	}
}

func TestThePreferredSourceIsRead(t *testing.T) {
	s := mustOpen(t, memory)
	raw(t, s, "INSERT INTO file_to_replicate (fid, nexttry, fromdevid, flags) VALUES (1, 0, 42, 3)")
	row, err := s.Queued(t.Context(), store.ReplicateQueue, 1)
	if want := (store.QueueRow{FID: 1, From: 42, Flags: 3}); err != nil || row != want {
		t.Errorf("row: got %+v, error %v; want %+v", row, err, want)
	}
	items, err := s.Claim(t.Context(), store.ReplicateQueue, 1, time.Hour)
	if err != nil || len(items) != 1 || items[0].From != 42 {
		t.Errorf("claim: got %+v, error %v; want one from dev 42", items, err)
	}
}

func TestAnExplicitFidLeavesRoomForOthers(t *testing.T) {
	s := mustOpen(t, memory)
	for _, fid := range []mogile.FID{maxExplicitFID + 1, 1<<63 - 1, 1<<64 - 1} {
		if _, err := s.OpenUpload(t.Context(), store.Upload{FID: fid}); err == nil || errors.Is(err, store.ErrDup) {
			t.Errorf("open upload as %d: got %v; want an error of its own", fid, err)
		}
	}
	if fid, err := s.OpenUpload(t.Context(), store.Upload{FID: maxExplicitFID}); err != nil || fid != maxExplicitFID {
		t.Errorf("open upload as the greatest: got %d, error %v; want %d", fid, err, uint64(maxExplicitFID))
	}
	if fid, err := s.OpenUpload(t.Context(), store.Upload{}); err != nil || fid != maxExplicitFID+1 {
		t.Errorf("open upload after the greatest: got %d, error %v; want one more", fid, err)
	}
}

func TestOneBadRowDoesNotStopTheSweep(t *testing.T) {
	s := mustOpen(t, memory)
	raw(t, s, "INSERT INTO tempfile (fid, createtime, classid, dmid, devids) VALUES (5, 0, 0, 1, '2,x,,7'), (6, 0, 0, 1, '3')")
	if n, err := s.SweepUploads(t.Context(), time.Hour, 10); err != nil || n != 2 {
		t.Errorf("sweep: got %d, error %v; want 2", n, err)
	}
	if devs, err := s.Devices(t.Context(), 5); err != nil || !slices.Equal(devs, []mogile.DevID{2, 7}) {
		t.Errorf("devices: got %v, error %v; want 2 and 7", devs, err)
	}
}

func TestNumbersThatDoNotFitAreRefused(t *testing.T) {
	s := mustOpen(t, memory)
	raw(t, s,
		"INSERT INTO domain VALUES (65535, 'last')",
		"INSERT INTO class (dmid, classid, classname, mindevcount) VALUES (1, 255, 'last', 1)",
		"INSERT INTO host (hostid, hostname) VALUES (16777215, 'last')")
	_, domain := s.CreateDomain(t.Context(), "one more")
	_, class := s.CreateClass(t.Context(), mogile.Class{Domain: 1, Name: "one more"})
	_, host := s.CreateHost(t.Context(), mogile.Host{Name: "one more"})
	for what, err := range map[string]error{"domain": domain, "class": class, "host": host} {
		if err == nil || errors.Is(err, store.ErrDup) {
			t.Errorf("create a %s beyond the last number: got %v; want an error of its own", what, err)
		}
	}
}

func TestANewFidIsAboveAllOfAnOldDatabase(t *testing.T) {
	legacy.Each(t, legacy.Current(), func(t *testing.T, d *legacy.Database) {
		s := mustOpenLegacy(t, d, false)
		fid, err := s.OpenUpload(t.Context(), store.Upload{Domain: 1, Key: "new"})
		if err != nil || fid != d.HighestFID()+1 {
			t.Errorf("first fid: got %d, error %v; want %d", fid, err, d.HighestFID()+1)
		}
	})
}

// TestOpeningAnOldDatabaseChangesLittle: what a peer beside us has claimed stays claimed.
func TestOpeningAnOldDatabaseChangesLittle(t *testing.T) {
	legacy.Each(t, legacy.Current(), func(t *testing.T, d *legacy.Database) {
		columns, rows := d.Columns(t), d.Dump(t, drained(d)...)
		doomed := d.Texts(t, "SELECT fid FROM file_to_delete2 UNION SELECT fid FROM file_to_delete UNION SELECT fid FROM file_to_delete_later ORDER BY 1")
		mustOpenLegacy(t, d, false)
		if diff := cmp.Diff(rows, d.Dump(t, drained(d)...)); diff != "" {
			t.Errorf("rows: got others; want them as they were\n%s", diff)
		}
		if diff := cmp.Diff(columns, d.Columns(t)); diff != "" {
			t.Errorf("columns: got others; want them as they were\n%s", diff)
		}
		if got := d.Texts(t, "SELECT fid FROM file_to_delete2 ORDER BY fid"); !slices.Equal(got, doomed) {
			t.Errorf("doomed fids: got %v; want %v", got, doomed)
		}
		if n := d.Number(t, "SELECT (SELECT COUNT(*) FROM file_to_delete) + (SELECT COUNT(*) FROM file_to_delete_later)"); n != 0 {
			t.Errorf("rows in legacy queues: got %d; want 0", n)
		}
	})
}

func TestLargeLegacyQueuesAreDrainedInPortions(t *testing.T) {
	const more = 2*portion + 7
	for name, kind := range kinds {
		t.Run(name, func(t *testing.T) {
			d := legacy.NewEmpty(t, legacy.Variant{Kind: kind})
			for _, insert := range []string{"file_to_delete (fid) VALUES ", "file_to_delete_later (delafter, fid) VALUES "} {
				var rows []string
				for fid := range more {
					row := fmt.Sprintf("(%d)", fid+1)
					if strings.Contains(insert, "delafter") {
						row = fmt.Sprintf("(%d, %d)", 2_000_000_000, more+fid)
					}
					rows = append(rows, row)
				}
				d.Do(t, "INSERT INTO "+insert+strings.Join(rows, ", "))
			}
			s := mustOpenLegacy(t, d, false)
			due := number(t, s, "SELECT COUNT(*) FROM file_to_delete2 WHERE nexttry <= UNIX_TIMESTAMP() AND failcount = 0")
			later := number(t, s, "SELECT COUNT(*) FROM file_to_delete2 WHERE nexttry = 2000000000")
			// One fid was in both: it is due.
			if due != more || later != more-1 {
				t.Errorf("rows to delete: got %d due and %d later; want %d and %d", due, later, more, more-1)
			}
			if n := number(t, s, "SELECT (SELECT COUNT(*) FROM file_to_delete) + (SELECT COUNT(*) FROM file_to_delete_later)"); n != 0 {
				t.Errorf("rows in legacy queues: got %d; want 0", n)
			}
		})
	}
}
