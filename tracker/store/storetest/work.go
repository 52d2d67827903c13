package storetest

import (
	"time"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
)

var workChecks = []check{
	{"WorkIsApartByKind", workIsApartByKind},
	{"WorkThatIsQueuedKeepsItsRow", workThatIsQueuedKeepsItsRow},
	{"MuchWorkIsQueuedAtOnce", muchWorkIsQueuedAtOnce},
	{"AllRowsAreReleased", forQueues(allRowsAreReleased)},
	{"TheClockGoesForward", clockGoesForward},
	{"TheHighestFidIsThatOfAFile", highestFidIsThatOfAFile},
}

func (e env) work(fid mogile.FID) []store.WorkRow {
	e.Helper()
	rows, err := e.s.WorkRows(e.ctx, fid)
	e.must(err, "find work on fid %d", fid)
	return rows
}

func (e env) clock() int64 {
	e.Helper()
	now, err := e.s.Now(e.ctx)
	e.must(err, "read the clock")
	return now
}

func workIsApartByKind(e env) {
	e.same(len(e.work(7)), 0, "number of rows")
	e.must(e.s.EnqueueWork(e.ctx), "enqueue nothing")
	e.must(e.s.EnqueueWork(e.ctx,
		store.WorkRow{FID: 7, Kind: store.RebalanceWork, Dev: 16777215, Arg: "1,2,3"},
		store.WorkRow{FID: 7, Kind: store.FsckWork},
		store.WorkRow{FID: 8, Kind: store.FsckWork, NextTry: 5, FailCount: 6, Flags: 7},
		store.WorkRow{FID: 9, Kind: store.RebalanceWork, Delay: time.Hour},
	), "enqueue")
	if now, late := e.clock()+3600, e.work(9)[0]; late.NextTry > now || late.NextTry < now-60 {
		e.Errorf("row %+v: got nexttry %d; want about %d", late, late.NextTry, now)
	}
	rows := e.work(7)
	for _, row := range append(rows, e.work(8)...) {
		if now := e.clock(); row.NextTry > now || row.NextTry < now-60 {
			e.Errorf("row %+v: got nexttry %d; want about %d", row, row.NextTry, now)
		}
	}
	e.same(rows, []store.WorkRow{
		{FID: 7, Kind: store.FsckWork, NextTry: rows[0].NextTry},
		{FID: 7, Kind: store.RebalanceWork, Dev: 16777215, Arg: "1,2,3", NextTry: rows[1].NextTry},
	}, "rows of fid 7")
	for kind, want := range map[store.WorkKind]int64{store.FsckWork: 2, store.RebalanceWork: 2, 9: 0} {
		n, err := e.s.WorkLength(e.ctx, kind)
		e.must(err, "count work")
		e.same(n, want, "rows of kind %d", kind)
	}
}

func workThatIsQueuedKeepsItsRow(e env) {
	row := store.WorkRow{FID: 7, Kind: store.RebalanceWork, Dev: 1, Arg: "2"}
	e.must(e.s.EnqueueWork(e.ctx, row), "enqueue")
	before := e.work(7)
	row.Dev, row.Arg = 3, "4"
	e.must(e.s.EnqueueWork(e.ctx, row), "enqueue again")
	e.same(e.work(7), before, "row")
}

func muchWorkIsQueuedAtOnce(e env) {
	rows := []store.WorkRow{{FID: 7, Kind: store.FsckWork}, {FID: 7, Kind: store.FsckWork}}
	for _, fid := range manyFIDs() {
		rows = append(rows, store.WorkRow{FID: fid, Kind: store.FsckWork})
	}
	e.must(e.s.EnqueueWork(e.ctx, rows...), "enqueue")
	n, err := e.s.WorkLength(e.ctx, store.FsckWork)
	e.must(err, "count work")
	e.same(n, int64(many), "rows")
}

func allRowsAreReleased(e env, q store.QueueName) {
	release := func(want int64) {
		e.Helper()
		n, err := e.s.ReleaseAll(e.ctx, q)
		e.must(err, "release all in %s", q)
		e.same(n, want, "released")
	}
	release(0)
	e.enqueue(q, 0, 1)
	e.enqueue(q, time.Hour, 2, 3)
	e.must(e.s.Park(e.ctx, q, 3, 9), "park")
	release(2)
	for _, fid := range []mogile.FID{1, 2, 3} {
		e.queued(q, fid, true)
	}
	e.same(e.row(q, 3).FailCount, 9, "failcount of what was parked")
	release(0)
	e.claim(q, 9, time.Hour, e.due(q, 1, 2, 3)...)
	release(3) // claimed rows, too
}

// due is the fids in the order they became due in.
func (e env) due(q store.QueueName, fids ...mogile.FID) []mogile.FID {
	e.Helper()
	var order []mogile.FID
	for _, fid := range fids {
		at := len(order)
		for at > 0 && e.row(q, order[at-1]).NextTry > e.row(q, fid).NextTry {
			at--
		}
		order = append(order[:at], append([]mogile.FID{fid}, order[at:]...)...)
	}
	return order
}

func clockGoesForward(e env) {
	before := e.clock()
	u, err := e.s.Upload(e.ctx, e.open("key"))
	e.must(err, "find upload")
	if after := e.clock(); u.Created < before || u.Created > after {
		e.Errorf("an upload between %d and %d was created at %d; want it between", before, after, u.Created)
	}
}

func highestFidIsThatOfAFile(e env) {
	is := func(want mogile.FID) {
		e.Helper()
		got, err := e.s.MaxFID(e.ctx)
		e.must(err, "find highest fid")
		e.same(got, want, "highest fid")
	}
	is(0)
	low, high := e.put("low"), e.put("high")
	e.open("open")
	is(high)
	_, err := e.s.Delete(e.ctx, dm, "high")
	e.must(err, "delete")
	is(low)
}
