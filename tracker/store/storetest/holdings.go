package storetest

import (
	"fmt"
	"time"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
)

var holdingChecks = []check{
	{"ManyFilesAreLoadedAtOnce", manyFilesAreLoadedAtOnce},
	{"FilesOnADeviceComeInPages", filesOnADeviceComeInPages},
	{"ReapingQueuesAndForgets", reapingQueuesAndForgets},
	{"ReapingForgetsCopiesOfNoFileToo", reapingForgetsCopiesOfNoFileToo},
	{"ReapingLeavesRowsThatComeDue", reapingLeavesRowsThatComeDue},
	{"ReapingManyIsOneTransaction", reapingManyIsOneTransaction},
}

func manyFilesAreLoadedAtOnce(e env) {
	bare, full := e.put("bare"), e.put("full")
	for _, dev := range []mogile.DevID{300, 20} {
		e.must(e.s.AddCopy(e.ctx, full, dev), "add copy")
	}
	sum := mogile.Checksum{Type: mogile.HashMD5, Sum: []byte("0123456789abcdef")}
	e.must(e.s.SetChecksum(e.ctx, full, sum), "set checksum")
	e.must(e.s.RemoveCopies(e.ctx, bare, 1), "remove copy")
	e.must(e.s.AddCopy(e.ctx, 5000, 1), "add copy of no file")
	known, err := e.s.LoadFiles(e.ctx, append(manyFIDs(), bare, full, full, 5000)...)
	e.must(err, "load files")
	e.same(known, map[mogile.FID]store.Known{
		bare: {File: store.File{FID: bare, Domain: dm, Key: "bare", Length: 5}},
		full: {
			File:    store.File{FID: full, Domain: dm, Key: "full", Length: 5, DevCount: 3},
			Devices: []mogile.DevID{1, 20, 300}, Checksum: sum,
		},
	}, "known files")
	known, err = e.s.LoadFiles(e.ctx)
	e.must(err, "load nothing")
	e.same(len(known), 0, "known files")
}

func filesOnADeviceComeInPages(e env) {
	var fids []mogile.FID
	for i := range 7 {
		fids = append(fids, e.put(mogile.Key(fmt.Sprint(i))))
	}
	e.must(e.s.RemoveCopies(e.ctx, fids[2], 1), "remove copy")
	for dev := range mogile.DevID(3) {
		e.must(e.s.AddCopy(e.ctx, fids[3], dev+1), "add copy")
	}
	e.must(e.s.AddCopy(e.ctx, 5000, 1), "add copy of no file")
	for _, c := range []struct {
		page store.Page
		want []mogile.FID
	}{
		{store.Page{Limit: 3}, []mogile.FID{fids[0], fids[1], fids[3]}},
		{store.Page{Limit: 3, After: fids[3]}, []mogile.FID{fids[4], fids[5], fids[6]}},
		{store.Page{Limit: 3, After: fids[6]}, nil},
		{store.Page{Newest: true, Limit: 3}, []mogile.FID{fids[6], fids[5], fids[4]}},
		{store.Page{Newest: true, Limit: 9, After: fids[4]}, []mogile.FID{fids[3], fids[1], fids[0]}},
		{store.Page{Newest: true, Limit: 9, After: fids[0]}, nil},
		{store.Page{}, nil},
	} {
		files, err := e.s.FilesOn(e.ctx, 1, c.page)
		e.must(err, "list files on a device")
		var got []mogile.FID
		for _, f := range files {
			got = append(got, f.FID)
			e.same(f.Length, int64(5), "length of fid %d", f.FID)
		}
		e.same(got, c.want, "files of page %+v", c.page)
	}
	files, err := e.s.FilesOn(e.ctx, 77, store.Page{Limit: 9})
	e.must(err, "list files on a device without")
	e.same(len(files), 0, "number of files")
}

// replicating has a file on devs 1 and 2, whose first replication is over.
func (e env) replicating(key mogile.Key) mogile.FID {
	e.Helper()
	fid := e.put(key)
	e.must(e.s.AddCopy(e.ctx, fid, 2), "add copy")
	e.must(e.s.Finish(e.ctx, store.ReplicateQueue, store.Item{FID: fid}), "finish")
	return fid
}

func (e env) reap(dev mogile.DevID, limit, want int) {
	e.Helper()
	n, err := e.s.Reap(e.ctx, dev, limit)
	e.must(err, "reap dev %d", dev)
	e.same(n, want, "fids reaped from dev %d", dev)
}

func reapingQueuesAndForgets(e env) {
	e.reap(1, 10, 0)
	fids := []mogile.FID{e.replicating("a"), e.replicating("b"), e.replicating("c")}
	e.reap(1, 0, 0)
	e.reap(1, 2, 2)
	e.reap(1, 2, 1)
	e.reap(1, 2, 0)
	now := e.now()
	for _, fid := range fids {
		e.devices(fid, 2)
		e.devcount(fid, 1)
		row := e.row(store.ReplicateQueue, fid)
		if row.NextTry < now-60 || row.NextTry > now+1 || row.FailCount != 0 {
			e.Errorf("row of fid %d: got %+v; want it due about a second after %d", fid, row, now)
		}
	}
}

func reapingForgetsCopiesOfNoFileToo(e env) {
	for _, dev := range []mogile.DevID{1, 2} {
		e.must(e.s.AddCopy(e.ctx, 99, dev), "add copy")
	}
	e.reap(1, 10, 1)
	e.devices(99, 2)
	e.queued(store.ReplicateQueue, 99, false)
}

func reapingLeavesRowsThatComeDue(e env) {
	fid, parked := e.replicating("key"), e.replicating("other")
	e.enqueue(store.ReplicateQueue, 0, fid, parked)
	e.must(e.s.Postpone(e.ctx, store.ReplicateQueue, fid, time.Hour, 3), "postpone")
	e.must(e.s.Park(e.ctx, store.ReplicateQueue, parked, 3), "park")
	now, before := e.now(), e.row(store.ReplicateQueue, fid)
	e.reap(1, 10, 2)
	before.NextTry-- // by which it is not his any more who has it in hand
	e.same(e.row(store.ReplicateQueue, fid), before, "row")
	e.aheadOf(now, e.row(store.ReplicateQueue, parked), time.Second)
}

func reapingManyIsOneTransaction(e env) {
	var fids []mogile.FID
	for i := range 130 {
		fids = append(fids, e.replicating(mogile.Key(fmt.Sprint(i))))
	}
	e.must(e.s.SetSetting(e.ctx, "skip_devcount", "1"), "set skip_devcount")
	e.reap(1, 120, 120)
	e.must(e.s.UnsetSetting(e.ctx, "skip_devcount"), "unset skip_devcount")
	e.reap(1, 120, 10)
	counts := map[int]int{}
	for _, fid := range fids {
		e.devices(fid, 2)
		f, err := e.s.FileByFID(e.ctx, fid)
		e.must(err, "find fid %d", fid)
		counts[f.DevCount]++
	}
	e.same(counts, map[int]int{1: 10, 2: 120}, "files by devcount")
}
