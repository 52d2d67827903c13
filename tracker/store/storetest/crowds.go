package storetest

import (
	"errors"
	"fmt"
	"sync"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
)

// A store may serve many callers with the same statements. Each must be served as if he
// were alone.
var crowdChecks = []check{
	{"ManyOpensAtOnceEachGetAnUploadOfTheirOwn", manyOpensEachGetTheirOwn},
	{"ManyClosesAtOnceEachPublishTheirOwn", manyClosesEachPublishTheirOwn},
	{"ManyClosesOfOneUploadHaveOneWinner", manyClosesOfOneUploadHaveOneWinner},
	{"OneBadCloseSpoilsNoOther", oneBadCloseSpoilsNoOther},
	{"ManyDeletesAtOnceEachDeleteTheirOwn", manyDeletesEachDeleteTheirOwn},
	{"ManyWhoChangeAFewKeysLoseNothing", manyWhoChangeAFewKeysLoseNothing},
}

// crowd is more than are served together.
const crowd = 100

// manyOpensEachGetTheirOwn: some uploads say the same, and are told apart by their fid alone.
func manyOpensEachGetTheirOwn(e env) {
	e.home()
	var fids [crowd]mogile.FID
	upload := func(i int) store.Upload {
		return store.Upload{
			Domain: mogile.DomainID(1 + i%2), Key: mogile.Key(fmt.Sprint("key", i%7)), Class: mogile.ClassID(i % 3),
			Devices: []mogile.DevID{mogile.DevID(1 + i%5), 9},
		}
	}
	together(crowd, func(i int) {
		var err error
		if fids[i], err = e.s.OpenUpload(e.ctx, upload(i)); err != nil {
			e.Errorf("open upload: got %v; want nil", err)
		}
	})
	seen := map[mogile.FID]bool{}
	for i, fid := range fids {
		if seen[fid] {
			e.Errorf("fid %d: got it twice; want it once", fid)
		}
		seen[fid] = true
		got, err := e.s.Upload(e.ctx, fid)
		e.must(err, "find upload %d", fid)
		want := upload(i)
		want.FID, want.Created = fid, got.Created
		e.same(got, want, "upload %d", fid)
	}
	swept, err := e.s.SweepUploads(e.ctx, olderThanTheFuture, 2*crowd)
	e.must(err, "sweep")
	e.same(swept, crowd, "uploads that are open")
}

// manyClosesEachPublishTheirOwn: in two domains and several classes, one of which is gone,
// some with a checksum, some over a file that is there.
func manyClosesEachPublishTheirOwn(e env) {
	e.home()
	other := e.domain("other")
	class := e.class(mogile.Class{Domain: other, Name: "class", MinDevCount: 1})
	var all [crowd]store.Closing
	old := map[int]mogile.FID{}
	for i := range all {
		key := mogile.Key(fmt.Sprint("key", i))
		if i%10 == 3 {
			old[i] = e.put(key)
		}
		c := closing(e.open(key), key)
		c.Dev, c.Length = mogile.DevID(1+i%5), int64(i)
		if i%4 == 1 {
			c.Checksum = mogile.Checksum{Type: mogile.HashMD5, Sum: fmt.Appendf(nil, "%016d", i)}
		}
		if i%3 == 2 {
			c.Others = []mogile.DevID{6, mogile.DevID(7 + i%2)}
		}
		if i%2 == 0 {
			c.Domain, c.Class = other, class+mogile.ClassID(i%4/2)
		}
		all[i] = c
	}
	together(crowd, func(i int) {
		if u, err := e.s.Upload(e.ctx, all[i].FID); err != nil || u.Key != all[i].Key {
			e.Errorf("find upload %d: got %+v, %v; want that of %q", all[i].FID, u, err, all[i].Key)
		}
		if replaced, err := e.s.CloseUpload(e.ctx, all[i]); err != nil || replaced != old[i] {
			e.Errorf("close upload %d: got %d replaced, %v; want %d", all[i].FID, replaced, err, old[i])
		}
	})
	for i, c := range all {
		want := store.File{FID: c.FID, Domain: c.Domain, Key: c.Key, Length: c.Length, Class: c.Class, DevCount: 1 + len(c.Others)}
		if want.Class != class {
			want.Class = 0
		}
		f, devs, sum, err := e.s.Locate(e.ctx, c.Domain, c.Key)
		e.must(err, "locate %q", c.Key)
		e.same(f, want, "file of %q", c.Key)
		e.same(devs, append([]mogile.DevID{c.Dev}, c.Others...), "devices of %q", c.Key)
		e.same(sum.Equal(c.Checksum), true, "checksum of %q is its own", c.Key)
		e.queued(store.ReplicateQueue, c.FID, true)
		e.queued(store.DeleteQueue, c.FID, false)
		if old[i] != 0 {
			e.queued(store.DeleteQueue, old[i], true)
		}
		_, err = e.s.Upload(e.ctx, c.FID)
		e.wants(store.ErrNotFound, err, "find upload %d after its close", c.FID)
	}
}

func manyClosesOfOneUploadHaveOneWinner(e env) {
	for range 5 {
		fid := e.open("key")
		var errs [20]error
		together(len(errs), func(i int) { _, errs[i] = e.s.CloseUpload(e.ctx, closing(fid, "key")) })
		won := 0
		for _, err := range errs {
			if err == nil {
				won++
			} else {
				e.wants(store.ErrNotFound, err, "close by a loser")
			}
		}
		e.same(won, 1, "closes that won")
		e.visible("key", fid)
		e.queued(store.DeleteQueue, fid, false)
	}
}

func oneBadCloseSpoilsNoOther(e env) {
	var fids [crowd]mogile.FID
	for i := range fids {
		fids[i] = e.open(mogile.Key(fmt.Sprint("key", i)))
	}
	together(crowd, func(i int) {
		c, want := closing(fids[i], mogile.Key(fmt.Sprint("key", i))), error(nil)
		switch i % 20 {
		case 7:
			c.Domain, want = 99, store.ErrNoDomain
		case 13:
			c.FID, want = fids[crowd-1]+mogile.FID(i), store.ErrNotFound
		}
		if _, err := e.s.CloseUpload(e.ctx, c); !errors.Is(err, want) {
			e.Errorf("close upload %d: got %v; want %v", c.FID, err, want)
		}
	})
	for i, fid := range fids {
		_, err := e.s.Upload(e.ctx, fid)
		e.same(err == nil, i%20 == 7 || i%20 == 13, "upload %d is open", fid)
		_, err = e.s.FileByFID(e.ctx, fid)
		e.same(err != nil, i%20 == 7 || i%20 == 13, "fid %d is no file", fid)
	}
}

// manyDeletesEachDeleteTheirOwn: each key twice, and some that no file has.
func manyDeletesEachDeleteTheirOwn(e env) {
	const keys = crowd / 2
	fids := make([]mogile.FID, keys)
	for i := range fids {
		if i%10 != 3 {
			fids[i] = e.put(mogile.Key(fmt.Sprint("key", i)))
		}
	}
	stays := e.put("stays")
	var got [crowd]mogile.FID
	together(crowd, func(i int) {
		var err error
		if got[i], err = e.s.Delete(e.ctx, dm, mogile.Key(fmt.Sprint("key", i%keys))); err != nil {
			e.wants(store.ErrNotFound, err, "delete key%d", i%keys)
		}
	})
	for i, fid := range fids {
		first, second := got[i], got[i+keys]
		if max(first, second) != fid || min(first, second) != 0 {
			e.Errorf("delete key%d twice: got fids %d and %d; want %d once", i, first, second, fid)
		}
		e.visible(mogile.Key(fmt.Sprint("key", i)), 0)
		if fid != 0 {
			e.queued(store.DeleteQueue, fid, true)
		}
	}
	e.visible("stays", stays)
	e.queued(store.DeleteQueue, stays, false)
}

// manyWhoChangeAFewKeysLoseNothing: every fid that was closed is visible or doomed in the end.
func manyWhoChangeAFewKeysLoseNothing(e env) {
	e.home()
	var mu sync.Mutex
	ended := map[mogile.FID]int{} // by fid: how often it was replaced or deleted; guarded by mu
	note := func(fid mogile.FID, times int) {
		mu.Lock()
		defer mu.Unlock()
		if fid != 0 {
			ended[fid] += times
		}
	}
	together(crowd/2, func(i int) {
		for round := range 3 {
			key := mogile.Key(fmt.Sprint("key", (i+round)%9))
			fid, err := e.s.OpenUpload(e.ctx, store.Upload{Domain: dm, Key: key, Devices: []mogile.DevID{1}})
			if err != nil {
				e.Errorf("open upload of %q: got %v; want nil", key, err)
				return
			}
			replaced, err := e.s.CloseUpload(e.ctx, closing(fid, key))
			if err != nil {
				e.Errorf("close upload %d of %q: got %v; want nil", fid, key, err)
				return
			}
			note(fid, 0)
			note(replaced, 1)
			if i%3 == 0 {
				deleted, err := e.s.Delete(e.ctx, dm, key)
				if err != nil && !errors.Is(err, store.ErrNotFound) {
					e.Errorf("delete %q: got %v; want nil or %v", key, err, store.ErrNotFound)
				}
				note(deleted, 1)
			}
		}
	})
	for fid, times := range ended {
		_, err := e.s.FileByFID(e.ctx, fid)
		visible := err == nil
		if times > 1 || visible == (times == 1) {
			e.Errorf("fid %d: got replaced or deleted %d times, visible %t; want one or the other", fid, times, visible)
		}
		e.queued(store.DeleteQueue, fid, !visible)
		e.devices(fid, 1)
		_, err = e.s.Upload(e.ctx, fid)
		e.wants(store.ErrNotFound, err, "find upload %d after its close", fid)
	}
}
