package storetest

import (
	"time"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
)

func parkedRowIsDueWhenItIsQueuedAgain(e env) {
	for _, q := range []store.QueueName{store.ReplicateQueue, store.DeleteQueue} {
		e.enqueue(q, 0, 1, 2, 3)
		for fid := range mogile.FID(3) {
			e.must(e.s.Park(e.ctx, q, fid+1, 4), "park")
		}
		now := e.now()
		e.enqueue(q, time.Hour, 2)
		e.aheadOf(now, e.row(q, 2), time.Hour)
		e.enqueue(q, 0, 1, 2)
		items := e.claim(q, 10, time.Hour, 1)
		e.same(items[0].FailCount, 4, "failcount")
	}
}

// Whatever it was queued for may have come after the one who has it in hand looked.
func finishLeavesARowThatWasQueuedAgain(e env) {
	for _, q := range []store.QueueName{store.ReplicateQueue, store.DeleteQueue} {
		for _, lease := range []time.Duration{time.Hour, -time.Second} { // one that is over, too
			e.enqueue(q, 0, 1)
			item := e.claim(q, 10, lease, 1)[0]
			e.enqueue(q, 0, 1)
			e.must(e.s.Finish(e.ctx, q, item), "finish")
			e.same(e.row(q, 1).NextTry, item.Until-1, "nexttry")
			held, err := e.s.Renew(e.ctx, q, time.Hour, item)
			e.must(err, "renew")
			e.same(len(held), 0, "items held")
			e.must(e.s.Finish(e.ctx, q, store.Item{FID: 1}), "remove the row")
		}
	}
}
