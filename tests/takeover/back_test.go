package takeover

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tests/legacy"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
)

// TestTheOldTrackerGoesOnWhereOursEnds: after ours has done all it can to a database, an
// old tracker starts, reads every row, and works.
func TestTheOldTrackerGoesOnWhereOursEnds(t *testing.T) {
	for name, v := range legacy.Current() {
		t.Run(name, func(t *testing.T) {
			nodes, at := startNodes(t)
			v.Nodes = at
			d := legacy.New(t, v)
			columns := d.Columns(t)
			k, stop := newTracker(t, open(t, d), resting)
			uploads := doAll(t, d, nodes, k)
			stop()
			checkColumnsStay(t, columns, d.Columns(t))
			old := d.Tracker(t, "old.example.com")
			complaints, err := old.Audit(t.Context(), d.HighestFID())
			if err != nil || len(complaints) > 0 {
				t.Errorf("rows that the old tracker can't read: got %q, error %v; want none", complaints, err)
			}
			for key, fid := range uploads {
				if got, err := old.Find(t.Context(), 1, key); err != nil || got != fid {
					t.Errorf("find %q: got %d, error %v; want %d", key, got, err, fid)
				}
			}
			for _, f := range d.Files() {
				if _, gone := uploads[f.Key]; gone || f.Domain != legacy.Images || f.Key == "photos/003.jpg" || f.Key == "photos/004.jpg" {
					continue // replaced, deleted or renamed
				}
				if got, err := old.Find(t.Context(), 1, f.Key); err != nil || got != f.FID {
					t.Errorf("find %q: got %d, error %v; want %d", f.Key, got, err, f.FID)
				}
			}
			goOn(t, old, maxFID(uploads))
		})
	}
}

func maxFID(uploads map[mogile.Key]mogile.FID) mogile.FID {
	return slices.Max(slices.Collect(maps.Values(uploads)))
}

// doAll gives all commands that write, and returns the keys that it stored.
func doAll(t *testing.T, d *legacy.Database, nodes []*node, k talk) map[mogile.Key]mogile.FID {
	t.Helper()
	uploads := map[mogile.Key]mogile.FID{}
	for i := range 5 {
		// The first two replace old ones.
		key := mogile.Key(fmt.Sprintf("photos/%03d.jpg", []int{1, 2, 901, 902, 903}[i]))
		fid, err := k.upload(t.Context(), nodes, legacy.Images, key)
		if err != nil {
			t.Fatal(err)
		}
		uploads[key] = fid
	}
	on := func(args ...string) []string { return append([]string{"domain", "images"}, args...) }
	k.ok(t, "delete", on("key", "photos/003.jpg")...)
	k.ok(t, "rename", on("from_key", "photos/004.jpg", "to_key", "renamed/ÿ")...)
	uploads["renamed/ÿ"] = 4
	k.ok(t, "updateclass", on("key", "photos/005.jpg", "class", "original")...)
	k.ok(t, "create_open", on("key", "never closed", "multi_dest", "1")...)
	k.ok(t, "create_class", on("class", "sums", "mindevcount", "3", "replpolicy", "MultipleHosts(3)", "hashtype", "SHA-1")...)
	k.ok(t, "update_class", on("class", "thumb", "mindevcount", "2", "hashtype", "MD5")...)
	k.ok(t, "create_domain", "domain", "another")
	k.ok(t, "create_host", "host", "node10", "ip", "127.0.0.20", "port", "7500", "status", "down")
	k.ok(t, "update_host", "host", "node3", "status", "readonly")
	k.ok(t, "create_device", "hostname", "node10", "devid", "40", "state", "drain")
	k.ok(t, "set_state", "host", "node2", "device", "5", "state", "dead")
	k.ok(t, "set_weight", "host", "node2", "device", "5", "weight", "200")
	k.ok(t, "set_server_setting", "key", "memcache_ttl", "value", "60")
	k.ok(t, "fsck_stop")
	k.ok(t, "fsck_reset", "policy_only", "1", "startpos", "3")
	k.ok(t, "fsck_clearlog")
	k.ok(t, "rebalance_stop")
	k.ok(t, "replicate_now")
	return uploads
}

// checkColumnsStay: 2.73 names its columns, so that others may come, but none may go.
func checkColumnsStay(t *testing.T, before, after []string) {
	t.Helper()
	for _, c := range before {
		if !slices.Contains(after, c) {
			t.Errorf("column %q: got none; want it as it was", c)
		}
	}
}

// goOn is a day of the old tracker, after a fid that ours gave last.
func goOn(t *testing.T, old *legacy.Tracker, last mogile.FID) {
	t.Helper()
	ctx := t.Context()
	fid, err := old.Open(ctx, store.Upload{Domain: 1, Key: "old again", Class: 1, Devices: []mogile.DevID{1, 2}})
	if err != nil || fid <= last {
		t.Fatalf("old open: got %d, error %v; want more than %d", fid, err, last)
	}
	_, err = old.Close(ctx, store.Closing{FID: fid, Dev: 1, Domain: 1, Key: "old again", Length: 3})
	found, missing := old.Find(ctx, 1, "old again")
	if err := errors.Join(err, missing); err != nil || found != fid {
		t.Errorf("old close: got fid %d, error %v; want %d", found, err, fid)
	}
	for _, q := range []store.QueueName{store.ReplicateQueue, store.DeleteQueue} {
		items, err := old.Claim(ctx, q, 10)
		if err != nil || len(items) == 0 {
			t.Errorf("old claim from %s: got %v, error %v; want what ours had queued", q, items, err)
		}
	}
	if _, err := old.ClaimWork(ctx, store.FsckWork, 10); err != nil {
		t.Errorf("old claim of fsck work: got %v; want nil", err)
	}
	if swept, err := old.Sweep(ctx); err != nil || !slices.Contains(swept, legacy.StaleUpload) {
		t.Errorf("old sweep: got %v, error %v; want the stale upload", swept, err)
	}
	if saved, err := old.SaveUsage(ctx, 1, 30000, 200, 1700000000); err != nil || !saved {
		t.Errorf("old usage: got %v, error %v; want it saved, as nobody has the lock", saved, err)
	}
	err = errors.Join(
		old.Rename(ctx, 1, "old again", "old still"), old.SetClass(ctx, fid, 2), old.SetSetting(ctx, "skip_mkcol", "1"),
		old.SetHostState(ctx, "node3", mogile.HostDown), deleteIt(ctx, old, "old still"),
	)
	if err != nil {
		t.Errorf("old commands: got %v; want nil", err)
	}
	if err := old.CheckVersion(ctx); err != nil {
		t.Errorf("old start: got %v; want nil", err)
	}
}

func deleteIt(ctx context.Context, old *legacy.Tracker, key mogile.Key) error {
	_, err := old.Delete(ctx, 1, key)
	return err
}
