package storetest

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
)

var raceChecks = []check{
	{"ManyClosesOfAKeyLeaveOneFile", manyClosesOfAKeyLeaveOneFile},
	{"CloseAndAbandonHaveOneWinner", closeAndAbandonHaveOneWinner},
	{"FidsAreNeverGivenTwice", fidsAreNeverGivenTwice},
	{"ClaimsNeverOverlap", claimsNeverOverlap},
	{"RenamesOntoAKeyHaveOneWinner", renamesOntoAKeyHaveOneWinner},
	{"AWriteThatReturnedIsRead", writeThatReturnedIsRead},
	{"CountedCopiesAreAllCounted", countedCopiesAreAllCounted},
	{"ManyReadAtOnceFromTheStart", manyReadAtOnceFromTheStart},
}

func manyClosesOfAKeyLeaveOneFile(e env) {
	const n = 40
	fids, replaced := make([]mogile.FID, n), make([]mogile.FID, n)
	for i := range fids {
		fids[i] = e.open("key")
	}
	together(n, func(i int) {
		var err error
		if replaced[i], err = e.s.CloseUpload(e.ctx, closing(fids[i], "key")); err != nil {
			e.Errorf("close upload %d: got %v; want nil", fids[i], err)
		}
	})
	winner, err := e.s.FileByKey(e.ctx, dm, "key")
	e.must(err, "find key")
	seen := map[mogile.FID]bool{}
	for _, fid := range replaced {
		if seen[fid] {
			e.Errorf("fid %d: got replaced twice; want once", fid)
		}
		seen[fid] = true
	}
	for _, fid := range fids {
		e.devices(fid, 1)
		e.queued(store.DeleteQueue, fid, fid != winner.FID)
		e.same(seen[fid], fid != winner.FID, "fid %d was replaced", fid)
	}
	files, err := e.s.FilesAfter(e.ctx, 0, n)
	e.must(err, "list files")
	e.same(len(files), 1, "number of files")
}

func closeAndAbandonHaveOneWinner(e env) {
	for range 20 {
		fid := e.open("key")
		errs := make([]error, 2)
		together(2, func(i int) {
			if i == 0 {
				_, errs[i] = e.s.CloseUpload(e.ctx, closing(fid, "key"))
			} else {
				errs[i] = e.s.AbandonUpload(e.ctx, fid, 1)
			}
		})
		closed := errs[0] == nil
		if closed == (errs[1] == nil) {
			e.Fatalf("close and abandon of %d: got %v and %v; want one nil", fid, errs[0], errs[1])
		}
		e.wants(store.ErrNotFound, errors.Join(errs...), "the loser")
		e.queued(store.DeleteQueue, fid, !closed)
		_, err := e.s.FileByFID(e.ctx, fid)
		e.same(err == nil, closed, "fid %d is visible", fid)
	}
}

func fidsAreNeverGivenTwice(e env) {
	const workers, each = 8, 20
	var mu sync.Mutex
	seen := map[mogile.FID]bool{} // guarded by mu
	together(workers, func(int) {
		last := mogile.FID(0)
		for range each {
			fid, err := e.s.OpenUpload(e.ctx, store.Upload{Domain: dm, Key: "key"})
			if err != nil || fid <= last {
				e.Errorf("open upload: got fid %d, error %v; want more than %d", fid, err, last)
				return
			}
			last = fid
			mu.Lock()
			if seen[fid] {
				e.Errorf("fid %d: got it twice; want it once", fid)
			}
			seen[fid] = true
			mu.Unlock()
		}
	})
	e.same(len(seen), workers*each, "number of fids")
}

func claimsNeverOverlap(e env) {
	const rows = 200
	for _, q := range queues {
		fids := make([]mogile.FID, rows)
		for i := range fids {
			fids[i] = mogile.FID(i + 1)
		}
		e.must(e.s.Enqueue(e.ctx, q, 0, fids...), "enqueue")
		var mu sync.Mutex
		claimed := map[mogile.FID]int{} // guarded by mu
		together(8, func(int) {
			for {
				items, err := e.s.Claim(e.ctx, q, 7, time.Hour)
				if err != nil {
					e.Errorf("claim: got %v; want nil", err)
				}
				if len(items) == 0 {
					return
				}
				mu.Lock()
				for _, item := range items {
					claimed[item.FID]++
				}
				mu.Unlock()
			}
		})
		for _, fid := range fids {
			e.same(claimed[fid], 1, "claims of fid %d in %s", fid, q)
		}
	}
}

func renamesOntoAKeyHaveOneWinner(e env) {
	froms := []mogile.Key{"a", "b", "c", "d"}
	for _, key := range froms {
		e.put(key)
	}
	var won atomic.Int32
	together(len(froms), func(i int) {
		switch err := e.s.Rename(e.ctx, dm, froms[i], "to"); {
		case err == nil:
			won.Add(1)
		case !errors.Is(err, store.ErrDup):
			e.Errorf("rename %q: got %v; want nil or %v", froms[i], err, store.ErrDup)
		}
	})
	e.same(won.Load(), int32(1), "renames that succeeded")
	keys, err := e.s.Keys(e.ctx, dm, "", "", 10)
	e.must(err, "list keys")
	e.same(len(keys), len(froms), "number of keys")
}

func writeThatReturnedIsRead(e env) {
	together(8, func(i int) {
		key := mogile.Key('a' + rune(i))
		for range 20 {
			fid, err := e.s.OpenUpload(e.ctx, store.Upload{Domain: dm, Key: key})
			if err == nil {
				_, err = e.s.CloseUpload(e.ctx, closing(fid, key))
			}
			if err != nil {
				e.Errorf("upload %q: got %v; want nil", key, err)
			}
			if f, _, _, err := e.s.Locate(e.ctx, dm, key); err != nil || f.FID != fid {
				e.Errorf("locate %q after its upload: got fid %d, error %v; want fid %d", key, f.FID, err, fid)
			}
		}
	})
}

func countedCopiesAreAllCounted(e env) {
	fid := e.put("key")
	const n = 16
	together(n, func(i int) {
		if err := e.s.AddCopy(e.ctx, fid, mogile.DevID(i+1)); err != nil {
			e.Errorf("add copy: got %v; want nil", err)
		}
	})
	e.devcount(fid, n)
}

// manyReadAtOnceFromTheStart: more readers than a store can have connections, none
// of which was used before.
func manyReadAtOnceFromTheStart(e env) {
	together(100, func(i int) {
		if i%2 == 0 {
			if _, err := e.s.LoadTopology(e.ctx); err != nil {
				e.Errorf("load topology: got %v; want nil", err)
			}
		} else if _, err := e.s.FileByKey(e.ctx, dm, "no"); !errors.Is(err, store.ErrNotFound) {
			e.Errorf("find key: got %v; want %v", err, store.ErrNotFound)
		}
	})
}
