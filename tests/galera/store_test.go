package galera

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
	"github.com/mogilefs/caddy-mogilefs/tracker/store/sqlstore"
)

// stores are two trackers' stores, each on its own node.
type stores struct {
	cluster
	all []*sqlstore.Store
}

// TestStoresOnACluster has a store of ours on each node: what is promised to hold on one
// server has to hold on two that think they are one.
func TestStoresOnACluster(t *testing.T) {
	c := startCluster(t)
	s := stores{cluster: c}
	for _, dsn := range []string{c.dsn, c.dsnB()} {
		// A read must see what the other node has committed before.
		opened, err := sqlstore.OpenMySQL(t.Context(), sqlstore.MySQL{DSN: dsn + "?wsrep_sync_wait=7", Timeout: 10 * time.Second}, zap.NewNop())
		must(t, err)
		s.all = append(s.all, opened)
	}
	_, err := s.all[0].CreateDomain(t.Context(), "images")
	must(t, err)
	for _, test := range []struct {
		name string
		run  func(*testing.T, stores)
	}{
		{"every upload has a fid of its own", ownFIDs},
		{"rivals for one key leave one file and no orphan", rivals},
		{"work is claimed once", claimedOnce},
		{"the heavier node's store goes on alone", storeGoesOn},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, s) })
	}
	for _, st := range s.all {
		must(t, st.Close())
	}
	must(t, c.b.Stop())
	must(t, c.a.Stop())
}

// put makes a file of the key.
func put(ctx context.Context, s *sqlstore.Store, key mogile.Key) (mogile.FID, error) {
	fid, err := s.OpenUpload(ctx, store.Upload{Domain: 1, Key: key, Devices: []mogile.DevID{1}})
	if err != nil {
		return 0, err
	}
	_, err = s.CloseUpload(ctx, store.Closing{FID: fid, Dev: 1, Domain: 1, Key: key, Length: 1})
	return fid, err
}

func ownFIDs(t *testing.T, s stores) {
	const each = 40
	var mu sync.Mutex
	keys := map[mogile.FID]mogile.Key{} // guarded by mu
	var g errgroup.Group
	for n, st := range s.all {
		for i := range each {
			g.Go(func() error {
				key := mogile.Key(fmt.Sprintf("own/%d/%d", n, i))
				fid, err := put(t.Context(), st, key)
				mu.Lock()
				defer mu.Unlock()
				if other := keys[fid]; other != "" {
					t.Errorf("fid %d: got both %q and %q", fid, other, key)
				}
				keys[fid] = key
				return err
			})
		}
	}
	must(t, g.Wait())
	for fid, key := range keys {
		for n, st := range s.all {
			f, err := st.FileByKey(t.Context(), 1, key)
			if err != nil || f.FID != fid {
				t.Errorf("key %q on node %d: got fid %d, %v; want %d", key, n, f.FID, err, fid)
			}
		}
	}
}

func rivals(t *testing.T, s stores) {
	const each = 24
	var mu sync.Mutex
	var fids []mogile.FID // guarded by mu
	var g errgroup.Group
	for _, st := range s.all {
		for range each {
			g.Go(func() error {
				fid, err := put(t.Context(), st, "contested")
				mu.Lock()
				defer mu.Unlock()
				fids = append(fids, fid)
				return err
			})
		}
	}
	must(t, g.Wait())
	winner, err := s.all[1].FileByKey(t.Context(), 1, "contested")
	must(t, err)
	for _, fid := range fids {
		_, err := s.all[0].Queued(t.Context(), store.DeleteQueue, fid)
		switch {
		case fid == winner.FID && !errors.Is(err, store.ErrNotFound):
			t.Errorf("fid %d, which has the key: got %v; want no row to delete it", fid, err)
		case fid != winner.FID && err != nil:
			t.Errorf("fid %d, which lost: got %v; want a row to delete it", fid, err)
		}
	}
	if n := ask(t, s.onA, "SELECT COUNT(*) FROM tempfile"); n != "0" {
		t.Errorf("uploads: got %s; want 0", n)
	}
}

func claimedOnce(t *testing.T, s stores) {
	const items = 500
	var fids []mogile.FID
	for i := range items {
		fids = append(fids, mogile.FID(1_000_000+i))
	}
	exec(t, s.onA, "DELETE FROM file_to_replicate")
	must(t, s.all[0].Enqueue(t.Context(), store.ReplicateQueue, 0, fids...))
	var mu sync.Mutex
	claimed := map[mogile.FID]int{} // guarded by mu
	var g errgroup.Group
	for _, st := range s.all {
		g.Go(func() error {
			for {
				got, err := st.Claim(t.Context(), store.ReplicateQueue, 20, time.Hour)
				if err != nil || len(got) == 0 {
					return err
				}
				mu.Lock()
				for _, item := range got {
					claimed[item.FID]++
				}
				mu.Unlock()
			}
		})
	}
	must(t, g.Wait())
	for _, fid := range fids {
		if claimed[fid] != 1 {
			t.Errorf("fid %d: claimed %d times; want once", fid, claimed[fid])
		}
	}
}

// storeGoesOn kills node b. What a caller of a is told may be an error while the cluster
// finds out; then work goes on, and nothing that was acknowledged is gone.
func storeGoesOn(t *testing.T, s stores) {
	before, err := put(t.Context(), s.all[1], "before")
	must(t, err)
	must(t, s.b.Kill())
	ctx, cancel := context.WithTimeout(t.Context(), giveUpWithin)
	defer cancel()
	for {
		_, err := put(ctx, s.all[0], "after")
		if err == nil {
			break
		}
		if ctx.Err() != nil {
			t.Fatalf("upload through the node that is left: got %v", err)
		}
		t.Logf("while the cluster finds out: %v", err)
	}
	f, err := s.all[0].FileByKey(t.Context(), 1, "before")
	if err != nil || f.FID != before {
		t.Errorf("what the dead node acknowledged: got fid %d, %v; want %d", f.FID, err, before)
	}
	if _, err := s.all[1].FileByKey(t.Context(), 1, "before"); err == nil {
		t.Error("the dead node's store: got an answer; want an error")
	}
	must(t, s.b.Restart())
	ctx, cancel = context.WithTimeout(t.Context(), giveUpWithin)
	defer cancel()
	for {
		if f, err := s.all[1].FileByKey(ctx, 1, "after"); err == nil && f.FID != 0 {
			return
		} else if ctx.Err() != nil {
			t.Fatalf("the node that came back: got %v; want the key", err)
		}
	}
}

// dsnB is the same database on node b.
func (c cluster) dsnB() string { return strings.Replace(c.dsn, c.a.Addr(), c.b.Addr(), 1) }
