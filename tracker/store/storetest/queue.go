package storetest

import (
	"errors"
	"time"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
)

var queues = []store.QueueName{store.ReplicateQueue, store.DeleteQueue}

var queueChecks = []check{
	{"AQueuedFidKeepsItsRow", forQueues(queuedFidKeepsItsRow)},
	{"ClaimTakesTheLongestDueFirst", forQueues(claimTakesTheLongestDueFirst)},
	{"ClaimTakesOnlyWhatIsDue", forQueues(claimTakesOnlyWhatIsDue)},
	{"AClaimIsALease", forQueues(claimIsALease)},
	{"FinishRemovesTheRow", forQueues(finishRemovesTheRow)},
	{"FinishLeavesARowThatIsNotTheOneClaimed", forQueues(finishLeavesARowThatIsNotTheOneClaimed)},
	{"PostponeSetsDelayAndFailcount", forQueues(postponeSetsDelayAndFailcount)},
	{"ParkedRowsAreNeverDue", forQueues(parkedRowsAreNeverDue)},
	{"NextDueTellsHowLong", forQueues(nextDueTellsHowLong)},
	{"QueuesAreApart", queuesAreApart},
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
	e.must(e.s.Enqueue(e.ctx, q, delay, fids...), "enqueue %v in %s", fids, q)
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
	e.enqueue(q, 0, 1)
	e.claim(q, 10, time.Hour)
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

func unknownQueueIsAnError(e env) {
	const q store.QueueName = "file; DROP TABLE file"
	_, claim := e.s.Claim(e.ctx, q, 1, 0)
	_, queued := e.s.Queued(e.ctx, q, 1)
	_, due := e.s.NextDue(e.ctx, q)
	for _, err := range []error{
		claim, queued, due, e.s.Enqueue(e.ctx, q, 0, 1), e.s.Finish(e.ctx, q, store.Item{FID: 1}),
		e.s.Postpone(e.ctx, q, 1, 0, 0), e.s.Park(e.ctx, q, 1, 0),
	} {
		if err == nil || errors.Is(err, store.ErrNotFound) {
			e.Errorf("queue %q: got %v; want an error of its own", q, err)
		}
	}
}
