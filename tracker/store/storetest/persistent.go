package storetest

import (
	"sync"
	"testing"
	"time"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
)

// RunPersistent tests what outlives a store. open opens the store at the place, a
// directory of the test's own that is empty at first; it may be open there already.
func RunPersistent(t *testing.T, open func(t *testing.T, place string) store.Store) {
	for name, run := range map[string]func(*twice){
		"EverythingIsThereAfterAReopen":          everythingIsThereAfterAReopen,
		"FidsAreNotReusedAfterAReopen":           fidsAreNotReusedAfterAReopen,
		"TwoStoresSeeEachOthersWrites":           twoStoresSeeEachOthersWrites,
		"TwoStoresNeverGiveTheSameFid":           twoStoresNeverGiveTheSameFid,
		"LocksExcludeAcrossStores":               locksExcludeAcrossStores,
		"ALockIsFreeWhenTheOtherStoreReleasesIt": lockIsFreeWhenTheOtherStoreReleasesIt,
	} {
		t.Run(name, func(t *testing.T) {
			place := t.TempDir()
			run(&twice{T: t, open: func() env {
				return newEnv(t, open(t, place))
			}})
		})
	}
}

// twice is a test that opens one store more than once.
type twice struct {
	*testing.T
	open func() env
}

// reopen is a restart: the old store is gone before the new one comes.
func (w *twice) reopen(e env) env {
	w.Helper()
	e.must(e.s.Close(), "close")
	return w.open()
}

func everythingIsThereAfterAReopen(w *twice) {
	e := w.open()
	fid, opened, id := e.put("key"), e.open("opened"), e.domain("images")
	e.class(mogile.Class{Domain: id, Name: "thumb", MinDevCount: 2})
	e.host(aHost("node", "10.0.0.1"))
	e.must(e.s.SetSetting(e.ctx, "skip_mkcol", "1"), "set setting")
	e.must(e.s.Park(e.ctx, store.ReplicateQueue, fid, 3), "park")
	topology, row := e.load(), e.row(store.ReplicateQueue, fid)

	e = w.reopen(e)
	e.visible("key", fid)
	e.devices(fid, 1)
	_, err := e.s.Upload(e.ctx, opened)
	e.must(err, "find upload")
	e.same(e.load(), topology, "topology")
	e.same(e.row(store.ReplicateQueue, fid), row, "parked row")
	e.must(e.s.Close(), "close")
}

func fidsAreNotReusedAfterAReopen(w *twice) {
	e := w.open()
	last := e.put("key")
	for range 3 {
		_, err := e.s.Delete(e.ctx, dm, "key")
		e.must(err, "delete")
		e.must(e.s.Finish(e.ctx, store.DeleteQueue, store.Item{FID: last}), "finish deletion")
		e.must(e.s.Finish(e.ctx, store.ReplicateQueue, store.Item{FID: last}), "finish replication")
		e.must(e.s.RemoveCopies(e.ctx, last, 1), "remove copy")
		e = w.reopen(e)
		fid := e.put("key")
		if fid <= last {
			e.Errorf("fid after a restart: got %d; want more than %d, which was deleted", fid, last)
		}
		last = fid
	}
	e.must(e.s.Close(), "close")
}

func twoStoresSeeEachOthersWrites(w *twice) {
	a, b := w.open(), w.open()
	defer b.s.Close()
	fid := a.put("key")
	b.visible("key", fid)
	_, err := b.s.Delete(b.ctx, dm, "key")
	b.must(err, "delete")
	a.visible("key", 0)
	a.must(a.s.Close(), "close the first")
	b.put("key")
}

func twoStoresNeverGiveTheSameFid(w *twice) {
	stores := []env{w.open(), w.open()}
	var mu sync.Mutex
	seen := map[mogile.FID]bool{} // guarded by mu
	const each = 30
	together(len(stores)*2, func(i int) {
		for range each {
			fid := stores[i%2].open("key")
			mu.Lock()
			if seen[fid] {
				w.Errorf("fid %d: got it twice; want it once", fid)
			}
			seen[fid] = true
			mu.Unlock()
		}
	})
	w.Logf("%d fids", len(seen))
	for _, e := range stores {
		e.must(e.s.Close(), "close")
	}
}

func locksExcludeAcrossStores(w *twice) {
	a, b := w.open(), w.open()
	defer a.s.Close()
	defer b.s.Close()
	release := a.lock("name")
	_, err := b.s.Lock(b.ctx, "name", 30*time.Millisecond)
	b.wants(store.ErrLocked, err, "lock what the other store holds")
	release()
	b.lock("name")()
}

func lockIsFreeWhenTheOtherStoreReleasesIt(w *twice) {
	a, b := w.open(), w.open()
	defer a.s.Close()
	defer b.s.Close()
	release := a.lock("name")
	got := make(chan error, 1)
	go func() {
		second, err := b.s.Lock(b.ctx, "name", patience)
		if err == nil {
			second()
		}
		got <- err
	}()
	release()
	b.must(<-got, "lock with a wait")
}
