package storetest

import (
	"errors"
	"time"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
)

var queues = []store.QueueName{store.ReplicateQueue, store.DeleteQueue, store.FsckQueue, store.RebalanceQueue}

// workKinds are of the queues that are rows of one kind of work.
var workKinds = map[store.QueueName]store.WorkKind{
	store.FsckQueue: store.FsckWork, store.RebalanceQueue: store.RebalanceWork,
}

var queueChecks = []check{
	{"AQueuedFidKeepsItsRow", forQueues(queuedFidKeepsItsRow)},
	{"ClaimTakesTheLongestDueFirst", forQueues(claimTakesTheLongestDueFirst)},
	{"ClaimTakesOnlyWhatIsDue", forQueues(claimTakesOnlyWhatIsDue)},
	{"AClaimIsALease", forQueues(claimIsALease)},
	{"ClaimHandsOutManyRows", forQueues(claimHandsOutManyRows)},
	{"RenewedClaimsLastFromNowOn", forQueues(renewedClaimsLastFromNowOn)},
	{"RenewLeavesOutWhatIsNotClaimedAnyMore", forQueues(renewLeavesOutWhatIsNotClaimedAnyMore)},
	{"ClaimsCanBeGivenBack", forQueues(claimsCanBeGivenBack)},
	{"FinishRemovesTheRow", forQueues(finishRemovesTheRow)},
	{"FinishRemovesManyRows", forQueues(finishRemovesManyRows)},
	{"FinishLeavesARowThatIsNotTheOneClaimed", forQueues(finishLeavesARowThatIsNotTheOneClaimed)},
	{"FinishLeavesARowThatWasQueuedAgain", finishLeavesARowThatWasQueuedAgain},
	{"PostponeSetsDelayAndFailcount", forQueues(postponeSetsDelayAndFailcount)},
	{"ParkedRowsAreNeverDue", forQueues(parkedRowsAreNeverDue)},
	{"AParkedRowIsDueWhenItIsQueuedAgain", parkedRowIsDueWhenItIsQueuedAgain},
	{"NextDueTellsHowLong", forQueues(nextDueTellsHowLong)},
	{"WaitingRowsAreCounted", forQueues(waitingRowsAreCounted)},
	{"RowsThatComeDueAreCounted", forQueues(rowsThatComeDueAreCounted)},
	{"WhatIsNewDoesNotWait", whatIsNewDoesNotWait},
	{"ErasedFidsAreFinished", erasedFidsAreFinished},
	{"ErasedFidsAreNotParkedAnyMore", erasedFidsAreNotParkedAnyMore},
	{"AFidWithACopyLeftIsNotFinished", fidWithACopyLeftIsNotFinished},
	{"AFidWithACopyThatIsRecordedMeanwhileIsNotFinished", fidWithACopyThatIsRecordedMeanwhileIsNotFinished},
	{"QueuesAreApart", queuesAreApart},
	{"KindsOfWorkAreApart", kindsOfWorkAreApart},
	{"AClaimSaysWhereToMove", claimSaysWhereToMove},
	{"AnUnknownQueueIsAnError", unknownQueueIsAnError},
}

func forQueues(run func(e env, q store.QueueName)) func(env) {
	return func(e env) {
		for _, q := range queues {
			run(e, q)
		}
	}
}

func (e env) enqueue(q store.QueueName, delay time.Duration, fids ...mogile.FID) {
	e.Helper()
	if kind := workKinds[q]; kind != 0 {
		e.enqueueWork(q, kind, delay, fids)
		return
	}
	e.must(e.s.Enqueue(e.ctx, q, delay, fids...), "enqueue %v in %s", fids, q)
}

// enqueueWork gives new rows a delay, too.
func (e env) enqueueWork(q store.QueueName, kind store.WorkKind, delay time.Duration, fids []mogile.FID) {
	e.Helper()
	for _, fid := range fids {
		_, err := e.s.Queued(e.ctx, q, fid)
		e.must(e.s.EnqueueWork(e.ctx, store.WorkRow{FID: fid, Kind: kind}), "enqueue work")
		if errors.Is(err, store.ErrNotFound) && delay != 0 {
			e.must(e.s.Postpone(e.ctx, q, fid, delay, 0), "postpone")
		}
	}
}

// claim compares the claimed fids; a lease in the past makes them due again.
func (e env) claim(q store.QueueName, limit int, lease time.Duration, want ...mogile.FID) []store.Item {
	e.Helper()
	items, err := e.s.Claim(e.ctx, q, limit, lease)
	e.must(err, "claim from %s", q)
	var got []mogile.FID
	for _, item := range items {
		got = append(got, item.FID)
	}
	e.same(got, want, "claimed from %s", q)
	return items
}

func (e env) row(q store.QueueName, fid mogile.FID) store.QueueRow {
	e.Helper()
	row, err := e.s.Queued(e.ctx, q, fid)
	e.must(err, "find fid %d in %s", fid, q)
	return row
}

// aheadOf checks that a row is due a while after now, give or take the test's own
// time.
func (e env) aheadOf(now int64, row store.QueueRow, want time.Duration) {
	e.Helper()
	got := time.Duration(row.NextTry-now) * time.Second
	if got < want || got > want+patience {
		e.Errorf("fid %d: got due in %v; want in %v", row.FID, got, want)
	}
}

func queuedFidKeepsItsRow(e env, q store.QueueName) {
	e.enqueue(q, 0)
	now := e.now()
	e.enqueue(q, time.Hour, 1, 2)
	before := e.row(q, 1)
	e.aheadOf(now, before, time.Hour)
	e.enqueue(q, 0, 2, 1, 3)
	if workKinds[q] == 0 {
		before.NextTry--
	}
	e.same(e.row(q, 1), before, "row after a second enqueue")
	e.claim(q, 10, time.Hour, 3)
	e.must(e.s.Postpone(e.ctx, q, 1, time.Hour, 4), "postpone")
	e.enqueue(q, 0, 1)
	e.same(e.row(q, 1).FailCount, 4, "failcount after another enqueue")
}

func claimTakesTheLongestDueFirst(e env, q store.QueueName) {
	e.enqueue(q, -1*time.Second, 1)
	e.enqueue(q, -3*time.Hour, 2)
	e.enqueue(q, -2*time.Hour, 3)
	e.must(e.s.Postpone(e.ctx, q, 3, -2*time.Hour, 5), "postpone")
	items := e.claim(q, 2, time.Hour, 2, 3)
	until := e.row(q, 2).NextTry
	e.same(items, []store.Item{{FID: 2, Until: until}, {FID: 3, FailCount: 5, Until: until}}, "items")
	e.claim(q, 2, time.Hour, 1)
	e.claim(q, 2, time.Hour)
}

func claimTakesOnlyWhatIsDue(e env, q store.QueueName) {
	e.claim(q, 10, time.Hour)
	e.enqueue(q, time.Hour, 1)
	e.enqueue(q, 0, 2)
	e.claim(q, 0, time.Hour)
	e.claim(q, 10, time.Hour, 2)
}

func claimIsALease(e env, q store.QueueName) {
	e.enqueue(q, 0, 1)
	now := e.now()
	e.claim(q, 10, 1000*time.Second, 1)
	e.aheadOf(now, e.row(q, 1), 1000*time.Second)
	e.must(e.s.Postpone(e.ctx, q, 1, 0, 0), "postpone")
	e.claim(q, 10, -time.Second, 1) // a lease that is over at once
	e.claim(q, 10, time.Hour, 1)
}

func finishRemovesTheRow(e env, q store.QueueName) {
	e.enqueue(q, 0, 1, 2)
	for range 2 {
		e.must(e.s.Finish(e.ctx, q, store.Item{FID: 1}), "finish")
		e.queued(q, 1, false)
	}
	e.claim(q, 10, time.Hour, 2)
}

func finishLeavesARowThatIsNotTheOneClaimed(e env, q store.QueueName) {
	e.enqueue(q, 0, 1)
	first := e.claim(q, 10, -time.Second, 1)[0] // a lease that is over at once
	second := e.claim(q, 10, time.Hour, 1)[0]
	e.must(e.s.Finish(e.ctx, q, first), "finish the first claim")
	e.same(e.row(q, 1).NextTry, second.Until, "nexttry")
	e.must(e.s.Finish(e.ctx, q, second), "finish the second claim")
	e.queued(q, 1, false)
}

// many is more than one statement names.
const many = 230

func manyFIDs() []mogile.FID {
	fids := make([]mogile.FID, many)
	for i := range fids {
		fids[i] = mogile.FID(i + 1)
	}
	return fids
}

// queueMany has rows for manyFIDs, and one for another fid.
func (e env) queueMany(q store.QueueName) (other mogile.FID) {
	e.Helper()
	e.enqueue(q, 0, manyFIDs()...)
	e.enqueue(q, time.Hour, many+1)
	return many + 1
}

func claimHandsOutManyRows(e env, q store.QueueName) {
	e.queueMany(q)
	items, err := e.s.Claim(e.ctx, q, 2*many, time.Hour)
	e.must(err, "claim")
	e.same(len(items), many, "number of items")
	for _, item := range items {
		e.same(e.row(q, item.FID).NextTry, item.Until, "nexttry of fid %d", item.FID)
	}
	e.claim(q, 2*many, time.Hour)
}

func finishRemovesManyRows(e env, q store.QueueName) {
	other := e.queueMany(q)
	items, err := e.s.Claim(e.ctx, q, many-1, time.Hour)
	e.must(err, "claim")
	rest, err := e.s.Claim(e.ctx, q, many, 2*time.Hour)
	e.must(err, "claim the rest")
	e.must(e.s.Finish(e.ctx, q), "finish nothing")
	e.must(e.s.Finish(e.ctx, q, append(items, rest...)...), "finish")
	for _, fid := range manyFIDs() {
		e.queued(q, fid, false)
	}
	e.row(q, other)
}

func renewedClaimsLastFromNowOn(e env, q store.QueueName) {
	other := e.queueMany(q)
	before := e.row(q, other)
	items, err := e.s.Claim(e.ctx, q, many, time.Minute)
	e.must(err, "claim")
	for _, lease := range []time.Duration{time.Hour, time.Hour, time.Minute} { // twice in one second, too
		now := e.now()
		held, err := e.s.Renew(e.ctx, q, lease, items...)
		e.must(err, "renew")
		e.same(len(held), many, "claims held")
		for _, item := range held {
			row := e.row(q, item.FID)
			e.aheadOf(now, row, lease)
			e.same(item.Until, row.NextTry, "end of the claim of fid %d", item.FID)
		}
		items = held
	}
	e.same(e.row(q, other), before, "row that was not claimed")
	e.must(e.s.Finish(e.ctx, q, items...), "finish")
	e.queued(q, 1, false)
}

func renewLeavesOutWhatIsNotClaimedAnyMore(e env, q store.QueueName) {
	e.enqueue(q, 0, 1)
	first := e.claim(q, 10, -time.Second, 1)[0] // a lease that is over at once
	second := e.claim(q, 10, time.Hour, 1)[0]
	e.enqueue(q, 0, 2)
	postponed := e.claim(q, 10, time.Hour, 2)[0]
	e.must(e.s.Postpone(e.ctx, q, 2, 0, 0), "postpone")
	e.enqueue(q, 0, 3, 4)
	finished := e.claim(q, 2, time.Hour, e.due(q, 2, 3, 4)[:2]...)
	e.must(e.s.Finish(e.ctx, q, finished...), "finish")
	items := append(finished, first, postponed, store.Item{FID: 4}, store.Item{FID: 99, Until: 7})
	held, err := e.s.Renew(e.ctx, q, 2*time.Hour, items...)
	e.must(err, "renew")
	e.same(len(held), 0, "claims held")
	e.same(e.row(q, 1).NextTry, second.Until, "nexttry of what another has claimed")
	held, err = e.s.Renew(e.ctx, q, 2*time.Hour, first, second)
	e.must(err, "renew")
	e.same(held, []store.Item{{FID: 1, Until: e.row(q, 1).NextTry}}, "claims held")
}

func claimsCanBeGivenBack(e env, q store.QueueName) {
	e.enqueue(q, 0, 1)
	e.must(e.s.Postpone(e.ctx, q, 1, 0, 4), "postpone")
	items := e.claim(q, 10, time.Hour, 1)
	_, err := e.s.Renew(e.ctx, q, 0, items...)
	e.must(err, "give back")
	e.same(e.claim(q, 10, time.Hour, 1)[0].FailCount, 4, "failcount")
}

func waitingRowsAreCounted(e env, q store.QueueName) {
	waiting := func(want int64) {
		e.Helper()
		n, err := e.s.Waiting(e.ctx, q)
		e.must(err, "count what waits")
		e.same(n, want, "rows that wait in %s", q)
	}
	waiting(0)
	e.enqueue(q, 0, 1, 2)
	e.enqueue(q, time.Hour, 3, 4)
	waiting(4)
	parked := func(want int64) {
		e.Helper()
		n, err := e.s.Parked(e.ctx, q)
		e.must(err, "count what is parked")
		e.same(n, want, "rows that are parked in %s", q)
	}
	parked(0)
	e.must(e.s.Park(e.ctx, q, 3, 1), "park")
	e.claim(q, 1, time.Hour, e.due(q, 1, 2)[0])
	waiting(3)
	parked(1)
}

func rowsThatComeDueAreCounted(e env, q store.QueueName) {
	within := func(d time.Duration, want int64) {
		e.Helper()
		n, err := e.s.DueWithin(e.ctx, q, d)
		e.must(err, "count what comes due")
		e.same(n, want, "rows of %s that come due within %v", q, d)
	}
	within(time.Hour, 0)
	e.enqueue(q, 0, 1, 2, 5)
	e.enqueue(q, time.Hour, 3, 4)
	within(time.Minute, 3)
	within(2*time.Hour, 5)
	e.must(e.s.Park(e.ctx, q, 5, 1), "park")
	e.claim(q, 1, 30*time.Minute, e.due(q, 1, 2)[0])
	within(time.Minute, 1)
	within(45*time.Minute, 2)
	within(2*time.Hour, 4)
}

func whatIsNewDoesNotWait(e env) {
	e.put("key")
	n, err := e.s.Waiting(e.ctx, store.ReplicateQueue)
	e.must(err, "count what waits")
	e.same(n, int64(0), "rows that wait")
}

// doomed has copies on devs 1 and 2, a checksum, and a row that is claimed.
func (e env) doomed(fid mogile.FID) store.Erased {
	e.Helper()
	for _, dev := range []mogile.DevID{1, 2} {
		e.must(e.s.AddCopy(e.ctx, fid, dev), "add copy")
	}
	e.must(e.s.SetChecksum(e.ctx, fid, mogile.Checksum{Type: mogile.HashMD5, Sum: []byte("0123456789abcdef")}), "set checksum")
	e.enqueue(store.DeleteQueue, 0, fid)
	return store.Erased{Item: e.claim(store.DeleteQueue, 1, time.Hour, fid)[0], Devices: []mogile.DevID{1, 2}}
}

func erasedFidsAreFinished(e env) {
	e.must(e.s.FinishErased(e.ctx), "finish nothing")
	var erased []store.Erased
	for fid := range mogile.FID(60) {
		erased = append(erased, e.doomed(fid+1))
	}
	other := e.doomed(100)
	for range 2 {
		e.must(e.s.FinishErased(e.ctx, erased...), "finish erased")
		for _, gone := range erased {
			e.devices(gone.FID)
			e.queued(store.DeleteQueue, gone.FID, false)
			_, err := e.s.Checksum(e.ctx, gone.FID)
			e.wants(store.ErrNotFound, err, "find checksum")
		}
	}
	e.devices(100, 1, 2)
	e.same(e.row(store.DeleteQueue, 100).NextTry, other.Until, "nexttry of another fid")
}

func erasedFidsAreNotParkedAnyMore(e env) {
	e.enqueue(store.ReplicateQueue, time.Hour, 1, 2, 3)
	e.must(e.s.Park(e.ctx, store.ReplicateQueue, 1, 1), "park")
	e.must(e.s.Park(e.ctx, store.ReplicateQueue, 3, 1), "park")
	e.must(e.s.FinishErased(e.ctx, e.doomed(1), e.doomed(2)), "finish erased")
	e.queued(store.ReplicateQueue, 1, false)
	e.row(store.ReplicateQueue, 2) // is there: its worker will find out
	e.row(store.ReplicateQueue, 3)
}

func fidWithACopyLeftIsNotFinished(e env) {
	e.must(e.s.AddCopy(e.ctx, 1, 3), "add copy")
	left, queuedAnew := e.doomed(1), e.doomed(2)
	e.must(e.s.Postpone(e.ctx, store.DeleteQueue, 2, 0, 0), "postpone")
	e.must(e.s.FinishErased(e.ctx, left, queuedAnew), "finish erased")
	e.devices(1, 3)
	if row, now := e.row(store.DeleteQueue, 1), e.clock(); row.NextTry > now || row.NextTry < now-60 {
		e.Errorf("nexttry: got %d; want about %d", row.NextTry, now)
	}
	e.devices(2)
	e.queued(store.DeleteQueue, 2, true)
}

// Its tracker keeps the row for as long as it would have, and no other may have it meanwhile.
func fidWithACopyThatIsRecordedMeanwhileIsNotFinished(e env) {
	inHand := e.doomed(1)
	e.must(e.s.AddCopy(e.ctx, 1, 3), "add copy")
	e.claim(store.DeleteQueue, 9, time.Hour) // none
	e.must(e.s.FinishErased(e.ctx, inHand), "finish erased")
	e.devices(1, 3)
	if row, now := e.row(store.DeleteQueue, 1), e.clock(); row.NextTry >= inHand.Until || row.NextTry < now {
		e.Errorf("nexttry: got %d; want it in the last moment of its claim, until %d", row.NextTry, inHand.Until)
	}
}

func postponeSetsDelayAndFailcount(e env, q store.QueueName) {
	e.enqueue(q, 0, 1)
	for _, c := range []struct{ set, want int }{{3, 3}, {255, 255}, {256, 255}, {1 << 40, 255}, {-1, 0}} {
		now := e.now()
		e.must(e.s.Postpone(e.ctx, q, 1, 90*time.Second, c.set), "postpone")
		row := e.row(q, 1)
		e.aheadOf(now, row, 90*time.Second)
		e.same(row.FailCount, c.want, "failcount %d", c.set)
	}
	now := e.now()
	e.must(e.s.Postpone(e.ctx, q, 1, 1500*time.Millisecond, 0), "postpone by a part of a second")
	e.aheadOf(now, e.row(q, 1), 2*time.Second)
	e.must(e.s.Postpone(e.ctx, q, 99, 0, 0), "postpone no row")
	e.queued(q, 99, false)
	e.must(e.s.Postpone(e.ctx, q, 1, 1<<62, 0), "postpone for ages")
	_, err := e.s.NextDue(e.ctx, q)
	e.must(err, "find next due: a long delay is not for ever")
}

func parkedRowsAreNeverDue(e env, q store.QueueName) {
	e.enqueue(q, 0, 1)
	e.must(e.s.Park(e.ctx, q, 1, 300), "park")
	e.claim(q, 10, time.Hour)
	_, err := e.s.NextDue(e.ctx, q)
	e.wants(store.ErrNotFound, err, "find next due")
	e.same(e.row(q, 1), store.QueueRow{FID: 1, NextTry: 1<<31 - 1, FailCount: 255}, "parked row")
	if workKinds[q] != 0 {
		e.enqueue(q, 0, 1)
		e.claim(q, 10, time.Hour)
	}
	e.must(e.s.Postpone(e.ctx, q, 1, 0, 0), "release")
	e.claim(q, 10, time.Hour, 1)
}

func nextDueTellsHowLong(e env, q store.QueueName) {
	_, err := e.s.NextDue(e.ctx, q)
	e.wants(store.ErrNotFound, err, "find next due of an empty queue")
	e.enqueue(q, time.Hour, 1)
	e.enqueue(q, 2*time.Hour, 2)
	due, err := e.s.NextDue(e.ctx, q)
	e.must(err, "find next due")
	if due > time.Hour || due < time.Hour-patience {
		e.Errorf("next due in %s: got %v; want %v", q, due, time.Hour)
	}
	e.enqueue(q, -time.Hour, 3)
	due, err = e.s.NextDue(e.ctx, q)
	e.must(err, "find next due")
	e.same(due, time.Duration(0), "next due")
}

func queuesAreApart(e env) {
	e.enqueue(store.ReplicateQueue, 0, 1)
	e.claim(store.DeleteQueue, 10, time.Hour)
	e.must(e.s.Finish(e.ctx, store.DeleteQueue, store.Item{FID: 1}), "finish in the other queue")
	e.claim(store.ReplicateQueue, 10, time.Hour, 1)
}

func kindsOfWorkAreApart(e env) {
	for _, q := range []store.QueueName{store.FsckQueue, store.RebalanceQueue} {
		err := e.s.Enqueue(e.ctx, q, 0, 1)
		e.same(err != nil, true, "enqueue without a kind: %v is an error", err)
		e.enqueue(q, 0, 1)
	}
	before := e.row(store.RebalanceQueue, 1)
	item := e.claim(store.FsckQueue, 10, time.Hour, 1)[0]
	held, err := e.s.Renew(e.ctx, store.FsckQueue, 2*time.Hour, item)
	e.must(err, "renew")
	e.must(e.s.Park(e.ctx, store.FsckQueue, 1, 3), "park")
	_, err = e.s.ReleaseAll(e.ctx, store.FsckQueue)
	e.must(err, "release all")
	e.must(e.s.Postpone(e.ctx, store.FsckQueue, 1, time.Hour, 3), "postpone")
	e.must(e.s.Finish(e.ctx, store.FsckQueue, append(held, store.Item{FID: 1})...), "finish")
	e.same(e.row(store.RebalanceQueue, 1), before, "row of the other kind")
	e.claim(store.RebalanceQueue, 10, time.Hour, 1)
}

func claimSaysWhereToMove(e env) {
	e.must(e.s.EnqueueWork(e.ctx,
		store.WorkRow{FID: 1, Kind: store.RebalanceWork, Dev: 5, Arg: "7,8"}, store.WorkRow{FID: 1, Kind: store.FsckWork}), "enqueue work")
	item := e.claim(store.RebalanceQueue, 10, time.Hour, 1)[0]
	e.same(item, store.Item{FID: 1, From: 5, Arg: "7,8", Until: item.Until}, "item to move")
	held, err := e.s.Renew(e.ctx, store.RebalanceQueue, 2*time.Hour, item)
	e.must(err, "renew")
	e.same(held, []store.Item{{FID: 1, From: 5, Arg: "7,8", Until: e.row(store.RebalanceQueue, 1).NextTry}}, "renewed item")
	item = e.claim(store.FsckQueue, 10, time.Hour, 1)[0]
	e.same(item, store.Item{FID: 1, Until: item.Until}, "item to check")
}

func unknownQueueIsAnError(e env) {
	const q store.QueueName = "file; DROP TABLE file"
	_, claim := e.s.Claim(e.ctx, q, 1, 0)
	_, renew := e.s.Renew(e.ctx, q, 0, store.Item{FID: 1, Until: 1})
	_, queued := e.s.Queued(e.ctx, q, 1)
	_, waiting := e.s.Waiting(e.ctx, q)
	_, release := e.s.ReleaseAll(e.ctx, q)
	_, due := e.s.NextDue(e.ctx, q)
	for _, err := range []error{
		claim, renew, queued, waiting, release, due, e.s.Enqueue(e.ctx, q, 0, 1), e.s.Finish(e.ctx, q, store.Item{FID: 1}),
		e.s.Postpone(e.ctx, q, 1, 0, 0), e.s.Park(e.ctx, q, 1, 0),
	} {
		if err == nil || errors.Is(err, store.ErrNotFound) {
			e.Errorf("queue %q: got %v; want an error of its own", q, err)
		}
	}
}
