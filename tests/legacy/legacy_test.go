package legacy_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tests/database"
	"github.com/mogilefs/caddy-mogilefs/tests/legacy"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
)

func TestMain(m *testing.M) { database.Main(m) }

func TestAnOldDatabaseIsWhole(t *testing.T) {
	legacy.Each(t, legacy.Current(), func(t *testing.T, d *legacy.Database) {
		checkTables(t, d)
		checkKeys(t, d)
	})
}

// checkTables: every table has rows.
func checkTables(t *testing.T, d *legacy.Database) {
	t.Helper()
	rows := d.Dump(t)
	for _, table := range []string{
		"domain", "class", "file", "tempfile", "file_on", "file_on_corrupt", "file_to_delete", "file_to_delete_later",
		"file_to_delete2", "unreachable_fids", "host", "device", "server_settings", "file_to_replicate", "file_to_queue",
		"fsck_log", "checksum",
	} {
		has := slices.ContainsFunc(rows, func(row string) bool { return strings.HasPrefix(row, table+" ") })
		if missing := slices.Contains(d.Without, table); has == missing {
			t.Errorf("rows in %s: got %v; want %v", table, has, !missing)
		}
	}
}

func TestOlderVersionsLackWhatCameLater(t *testing.T) {
	for version, lacks := range map[int]string{10: "file_to_queue", 14: "checksum"} {
		legacy.Each(t, legacy.Older(version), func(t *testing.T, d *legacy.Database) {
			columns := strings.Join(d.Columns(t), "\n")
			if strings.Contains(columns, lacks+" ") {
				t.Errorf("version %d: got a table %s; want none", version, lacks)
			}
			if strings.Contains(columns, "class hashtype") {
				t.Errorf("version %d: got class.hashtype; want it from 15 on", version)
			}
		})
	}
}

// checkKeys: what was stored through the old tracker's connection comes back so.
func checkKeys(t *testing.T, d *legacy.Database) {
	t.Helper()
	tr := d.Tracker(t, "old")
	for _, f := range d.Files() {
		if fid, err := tr.Find(t.Context(), legacy.DomainID(f.Domain), f.Key); err != nil || fid != f.FID {
			t.Errorf("find %q: got %d, error %v; want %d", f.Key, fid, err, f.FID)
		}
	}
	var listed []mogile.Key
	for after := mogile.Key(""); ; {
		some, err := tr.Keys(t.Context(), legacy.DomainID(legacy.Images), "", after, 7)
		if err != nil {
			t.Fatal(err)
		}
		if listed = append(listed, some...); len(some) < 7 {
			break
		}
		after = some[6]
	}
	for _, f := range d.Files() {
		// What sorts before blanks is less than the empty key to a collation that pads.
		unlisted := d.Kind == legacy.MySQL && f.Key[0] < ' '
		if f.Domain == legacy.Images && slices.Contains(listed, f.Key) == unlisted {
			t.Errorf("%q in the list: got %v; want %v", f.Key, unlisted, !unlisted)
		}
	}
}

func TestTheOldTrackerDoesWhatTheReferenceDoes(t *testing.T) {
	legacy.Each(t, legacy.Current(), func(t *testing.T, d *legacy.Database) {
		tr, other := d.Tracker(t, "old"), d.Tracker(t, "old")
		fid, err := tr.Open(t.Context(), store.Upload{Domain: 1, Key: "new", Class: 1, Devices: []mogile.DevID{1, 2}})
		if err != nil || fid <= d.HighFID() {
			t.Fatalf("open: got %d, error %v; want more than %d", fid, err, d.HighFID())
		}
		c := store.Closing{FID: fid, Dev: 1, Domain: 1, Key: "photos/001.jpg", Length: 5}
		if replaced, err := tr.Close(t.Context(), c); err != nil || replaced != 1 {
			t.Errorf("close: got %d replaced, error %v; want 1", replaced, err)
		}
		if _, err := other.Close(t.Context(), c); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("close again: got %v; want %v", err, store.ErrNotFound)
		}
		first, err := tr.Claim(t.Context(), store.DeleteQueue, 100)
		if err != nil || !slices.ContainsFunc(first, func(i store.Item) bool { return i.FID == 1 }) {
			t.Errorf("claim: got %v, error %v; want fid 1 among them", first, err)
		}
		if second, err := other.Claim(t.Context(), store.DeleteQueue, 100); err != nil || len(second) != 0 {
			t.Errorf("claim what is leased: got %v, error %v; want none", second, err)
		}
		if err := tr.Lock(t.Context(), "mgfs:test", 0); err != nil {
			t.Fatal(err)
		}
		if err := other.Lock(t.Context(), "mgfs:test", time.Millisecond); !errors.Is(err, store.ErrLocked) {
			t.Errorf("lock what another has: got %v; want %v", err, store.ErrLocked)
		}
		if err := errors.Join(tr.Unlock(t.Context()), other.Lock(t.Context(), "mgfs:test", 0), other.Unlock(t.Context())); err != nil {
			t.Errorf("lock what another gave back: got %v; want nil", err)
		}
		if swept, err := tr.Sweep(t.Context()); err != nil || !slices.Contains(swept, legacy.StaleUpload) || slices.Contains(swept, legacy.YoungUpload) {
			t.Errorf("sweep: got %v, error %v; want the stale uploads", swept, err)
		}
	})
}
