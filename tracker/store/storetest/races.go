package storetest

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
)

var raceChecks = []check{
	{"ManyClosesOfAKeyLeaveOneFile", manyClosesOfAKeyLeaveOneFile},
	{"CloseAndAbandonHaveOneWinner", closeAndAbandonHaveOneWinner},
	{"NoFileComesIntoADomainThatGoes", noFileComesIntoADomainThatGoes},
	{"NoFileComesIntoAClassThatGoes", noFileComesIntoAClassThatGoes},
	{"NoClassComesIntoADomainThatGoes", noClassComesIntoADomainThatGoes},
	{"FidsAreNeverGivenTwice", fidsAreNeverGivenTwice},
	{"ClaimsNeverOverlap", claimsNeverOverlap},
	{"RenamesOntoAKeyHaveOneWinner", renamesOntoAKeyHaveOneWinner},
	{"AWriteThatReturnedIsRead", writeThatReturnedIsRead},
	{"CountedCopiesAreAllCounted", countedCopiesAreAllCounted},
	{"ManyReadAtOnceFromTheStart", manyReadAtOnceFromTheStart},
	{"ManyWhoLocateAtOnceFindTheirOwn", manyWhoLocateAtOnceFindTheirOwn},
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

// rounds is how often two that race are let loose on each other.
const rounds = 30

// noFileComesIntoADomainThatGoes: several uploads end at the moment in which their domain
// is deleted. Either it stays, or no file came.
func noFileComesIntoADomainThatGoes(e env) {
	const closers = 3
	e.home()
	for range rounds {
		id := e.domain("going")
		var fids [closers]mogile.FID
		for i := range fids {
			fids[i] = e.open("key")
		}
		errs := make([]error, closers+1)
		together(closers+1, func(i int) {
			if i == closers {
				errs[i] = e.s.DeleteDomain(e.ctx, "going")
				return
			}
			_, errs[i] = e.s.CloseUpload(e.ctx, store.Closing{FID: fids[i], Dev: 1, Domain: id, Key: mogile.Key('a' + rune(i))})
		})
		deleted := errs[closers] == nil
		if !deleted {
			e.wants(store.ErrHasFiles, errs[closers], "delete domain")
		}
		for i, fid := range fids {
			_, err := e.s.FileByFID(e.ctx, fid)
			e.same(err == nil, errs[i] == nil, "fid %d is visible", fid)
			if deleted {
				e.wants(store.ErrNoDomain, errs[i], "close into a domain that was deleted")
			}
		}
		for i := range fids {
			if errs[i] == nil {
				_, err := e.s.Delete(e.ctx, id, mogile.Key('a'+rune(i)))
				e.must(err, "delete file")
			}
		}
		if !deleted {
			e.must(e.s.DeleteDomain(e.ctx, "going"), "delete domain")
		}
	}
}

func noFileComesIntoAClassThatGoes(e env) {
	e.home()
	for range rounds {
		class := e.class(mogile.Class{Domain: dm, Name: "going", MinDevCount: 1})
		c := closing(e.open("key"), "key")
		c.Class = class
		errs := make([]error, 2)
		together(2, func(i int) {
			if i == 0 {
				_, errs[i] = e.s.CloseUpload(e.ctx, c)
			} else {
				errs[i] = e.s.DeleteClass(e.ctx, dm, class)
			}
		})
		e.must(errs[0], "close upload")
		f, err := e.s.FileByFID(e.ctx, c.FID)
		e.must(err, "find fid %d", c.FID)
		if deleted := errs[1] == nil; deleted != (f.Class == 0) {
			e.Fatalf("got a file of class %d and, from the deletion of class %d, %v; want it there or the default", f.Class, class, errs[1])
		}
		if errs[1] != nil {
			e.wants(store.ErrHasFiles, errs[1], "delete class")
			e.must(e.s.SetClass(e.ctx, c.FID, 0), "set class")
			e.must(e.s.DeleteClass(e.ctx, dm, class), "delete class")
		}
	}
}

func noClassComesIntoADomainThatGoes(e env) {
	e.home()
	for range rounds {
		id := e.domain("going")
		errs := make([]error, 2)
		together(2, func(i int) {
			if i == 0 {
				_, errs[i] = e.s.CreateClass(e.ctx, mogile.Class{Domain: id, Name: "class", MinDevCount: 1})
			} else {
				errs[i] = e.s.DeleteDomain(e.ctx, "going")
			}
		})
		if errs[1] == nil {
			e.wants(store.ErrNoDomain, errs[0], "create a class of a domain that was deleted")
			e.same(len(e.load().Classes), 0, "number of classes")
			continue
		}
		e.must(errs[0], "create class")
		e.wants(store.ErrHasClasses, errs[1], "delete domain")
		e.must(e.s.DeleteClass(e.ctx, id, 1), "delete class")
		e.must(e.s.DeleteDomain(e.ctx, "going"), "delete domain")
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
		e.enqueue(q, 0, fids...)
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
	e.home()
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

// A store may answer several at once: each gets what he asked for, in his domain, also
// when others ask for what is not there, or for the same.
func manyWhoLocateAtOnceFindTheirOwn(e env) {
	const n = 40
	e.home()
	other := e.domain("other")
	fids := map[mogile.Key]mogile.FID{} // of every second key that is asked for
	for i := range n {
		fids[mogile.Key(fmt.Sprint("key", i))] = e.put(mogile.Key(fmt.Sprint("key", i)))
	}
	twin, err := e.s.OpenUpload(e.ctx, store.Upload{Domain: other, Key: "key1", Devices: []mogile.DevID{2}})
	e.must(err, "open upload in another domain")
	_, err = e.s.CloseUpload(e.ctx, store.Closing{FID: twin, Dev: 2, Domain: other, Key: "key1", Length: 7})
	e.must(err, "close upload in another domain")
	sum := mogile.Checksum{Type: mogile.HashMD5, Sum: make([]byte, 16)}
	e.must(e.s.SetChecksum(e.ctx, twin, sum), "set checksum of fid %d", twin)
	together(8*n, func(i int) {
		key := mogile.Key(fmt.Sprint("key", i%(2*n)))
		f, devs, sum, err := e.s.Locate(e.ctx, dm, key)
		if fid := fids[key]; fid == 0 {
			e.wants(store.ErrNotFound, err, "locate %q", key)
		} else if err != nil || f.FID != fid || f.Key != key || len(devs) != 1 || devs[0] != 1 || !sum.IsZero() {
			e.Errorf("locate %q: got %+v on %v with %v, %v; want fid %d on device 1", key, f, devs, sum, err, fid)
		}
		f, devs, sum, err = e.s.Locate(e.ctx, other, "key1")
		if err != nil || f.FID != twin || len(devs) != 1 || devs[0] != 2 || sum.IsZero() {
			e.Errorf("locate in another domain: got %+v on %v with %v, %v; want fid %d on device 2", f, devs, sum, err, twin)
		}
	})
}
