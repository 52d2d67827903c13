package crew

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
)

const (
	// lease is how long a claimed row stays invisible when nobody renews it: what a
	// tracker held that was killed, others find after so long. (The peer claims for 1000
	// s, as it renews nothing. It leaves a row alone however short the claim is.)
	lease = 60 * time.Second
	// renewEvery leaves room for two tries that fail.
	renewEvery = lease / 3
	// perWorker is how many rows are claimed for each worker at a time: enough that
	// none waits for the database, few enough that another tracker gets its share.
	perWorker = 6
	// retake is when a row comes back that was queued anew while it is in hand.
	retake = time.Second
	// Rows that are done are written down so many at a time, or after so long.
	settleBatch = 100
	settleAfter = 50 * time.Millisecond
	// settleTime is how long what became of a row may take to be written down, also
	// when everything is to stop.
	settleTime = 5 * time.Second
)

// claims are the rows that a crew holds of one queue. They are renewed until it is written
// down what became of them.
type claims struct {
	Source
	store store.Queue
	log   *zap.Logger
	// ended has rows that are done or given back. Closing it ends the keeper.
	ended chan ended

	// turn is taken out by who changes rows of the queue: claims made within one second are
	// told apart by nothing but what hold knows.
	turn chan struct{}

	mu   sync.Mutex            // guards what follows
	held map[mogile.FID]*claim // by fid
}

// claim is one row. It is guarded by the mutex of its claims.
type claim struct {
	item store.Item
	lost bool // it is not ours any more
}

// ended is a row that is finished or returned.
type ended struct {
	Work
	Outcome
}

func newClaims(s Source, st store.Queue, log *zap.Logger) *claims {
	c := &claims{
		Source: s, store: st, log: log, ended: make(chan ended, settleBatch), turn: make(chan struct{}, 1), held: map[mogile.FID]*claim{},
	}
	c.turn <- struct{}{}
	return c
}

func (c *claims) takeTurn() (over func()) {
	<-c.turn
	return func() { c.turn <- struct{}{} }
}

// take claims at most limit rows.
func (c *claims) take(ctx context.Context, limit int) ([]Work, error) {
	all, err := c.claim(ctx, limit)
	c.loadAll(ctx, all)
	return all, err
}

func (c *claims) claim(ctx context.Context, limit int) ([]Work, error) {
	defer c.takeTurn()()
	items, err := c.store.Claim(ctx, c.Queue, limit, lease)
	if err != nil {
		return nil, fmt.Errorf("claim from %s: %w", c.Queue, err)
	}
	all, again := c.hold(items)
	if len(again) > 0 {
		// Queued anew while a worker has them: they come back when he is done, or a
		// little later. Two workers would only be in each other's way.
		if _, err := c.store.Renew(ctx, c.Queue, retake, again...); err != nil {
			c.log.Warn("rows come back when their claim runs out", zap.Int("rows", len(again)), zap.Error(err))
		}
	}
	return all, nil
}

// hold notes items, but for those whose fid is in hand already: their row is another one
// now, and whoever has the old one in hand must leave it alone.
func (c *claims) hold(items []store.Item) (all []Work, again []store.Item) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, item := range items {
		if claim := c.held[item.FID]; claim != nil {
			claim.lost = true
			again = append(again, item)
			continue
		}
		claim := &claim{item: item}
		c.held[item.FID] = claim
		all = append(all, Work{Item: item, claim: claim, from: c})
	}
	return all, again
}

func (c *claims) loadAll(ctx context.Context, all []Work) {
	if c.Load == nil || len(all) == 0 {
		return
	}
	fids := make([]mogile.FID, len(all))
	for i, w := range all {
		fids[i] = w.FID
	}
	at := time.Now()
	known, err := c.Load(ctx, fids)
	for i := range all {
		w := &all[i]
		w.Known, w.Loaded, w.loaded, w.err = known[w.FID], err == nil, at, err
	}
}

// has reports whether a row is still ours, as far as is known.
func (c *claims) has(w Work) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !w.claim.lost
}

// drop forgets a row.
func (c *claims) drop(w Work) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.held, w.FID)
}

// settle writes down what became of a row, even when ctx is over: else it would be stuck
// until its claim runs out. What is finished or returned is written down a little later,
// together with others.
func (c *claims) settle(ctx context.Context, w Work, out Outcome) {
	switch out.Fate {
	case Finished, Returned:
		c.ended <- ended{w, out}
		return
	case Postponed, Parked:
		if c.has(w) {
			c.putOff(ctx, w, out)
		}
	}
	c.drop(w)
}

func (c *claims) putOff(ctx context.Context, w Work, out Outcome) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTime)
	defer cancel()
	var err error
	if out.Fate == Parked {
		err = c.store.Park(ctx, c.Queue, w.FID, w.FailCount+1)
	} else {
		failures := w.FailCount
		if out.Anew {
			failures = 0
		}
		err = c.store.Postpone(ctx, c.Queue, w.FID, out.Delay, failures+1)
	}
	if err != nil {
		c.log.Error("queue row stays claimed", zap.Stringer("fid", w.FID), zap.Error(err))
	}
}

// keep renews what is held, and writes down what has ended, until the channel is closed.
// One goroutine does both: a row that is finished is as its last claim left it.
func (c *claims) keep() {
	renew := time.NewTicker(renewEvery)
	defer renew.Stop()
	var batch []ended
	var late <-chan time.Time
	for open := true; open; {
		select { // first, when it came due while something was written
		case <-renew.C:
			c.renew()
			continue
		default:
		}
		select {
		case e, more := <-c.ended:
			if open = more; open {
				batch = append(batch, e)
				if late == nil {
					late = time.After(settleAfter)
				}
				if len(batch) < settleBatch {
					continue
				}
			}
		case <-late:
			batch = c.andMore(batch)
		case <-renew.C:
			c.renew()
			continue
		}
		c.flush(batch)
		batch, late = nil, nil
	}
}

// andMore adds what has ended too, as far as a batch has room.
func (c *claims) andMore(batch []ended) []ended {
	for len(batch) < settleBatch {
		select {
		case e, open := <-c.ended:
			if !open {
				return batch
			}
			batch = append(batch, e)
		default:
			return batch
		}
	}
	return batch
}

// flush writes down what has ended.
func (c *claims) flush(batch []ended) {
	defer c.takeTurn()()
	var done, back []ended
	for _, e := range batch {
		switch {
		case !c.has(e.Work):
			c.drop(e.Work)
		case e.Fate == Returned:
			back = append(back, e)
		default:
			done = append(done, e)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), settleTime)
	defer cancel()
	c.write(done, func(items []store.Item) error { return c.finish(ctx, done, items) })
	c.write(back, func(items []store.Item) error {
		_, err := c.store.Renew(ctx, c.Queue, 0, items...)
		return err
	})
}

func (c *claims) write(batch []ended, write func([]store.Item) error) {
	if len(batch) == 0 {
		return
	}
	if err := write(c.itemsOf(batch)); err != nil {
		c.log.Error("queue rows stay claimed", zap.Int("rows", len(batch)), zap.Stringer("fid", batch[0].FID), zap.Error(err))
	}
	for _, e := range batch {
		c.drop(e.Work)
	}
}

func (c *claims) finish(ctx context.Context, done []ended, items []store.Item) error {
	if !c.Erased {
		return c.store.Finish(ctx, c.Queue, items...)
	}
	gone := make([]store.Erased, len(done))
	for i, e := range done {
		gone[i] = store.Erased{Item: items[i], Devices: e.Gone}
	}
	return c.store.FinishErased(ctx, gone...)
}

// itemsOf are rows as their last claim left them.
func (c *claims) itemsOf(batch []ended) []store.Item {
	c.mu.Lock()
	defer c.mu.Unlock()
	items := make([]store.Item, len(batch))
	for i, e := range batch {
		items[i] = e.claim.item
	}
	return items
}

// renew makes what is held last.
func (c *claims) renew() {
	defer c.takeTurn()()
	asked := c.all()
	if len(asked) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), settleTime)
	defer cancel()
	held, err := c.store.Renew(ctx, c.Queue, lease, asked...)
	if err != nil {
		c.log.Warn("claims are not renewed", zap.Int("rows", len(asked)), zap.Error(err))
		return
	}
	c.renewed(asked, held)
}

func (c *claims) all() (items []store.Item) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for claim := range maps.Values(c.held) {
		if !claim.lost {
			items = append(items, claim.item)
		}
	}
	return items
}

// renewed notes what the store says of rows that it was asked for. One may have been
// dropped since, or even claimed again.
func (c *claims) renewed(asked, held []store.Item) {
	now := map[mogile.FID]store.Item{}
	for _, item := range held {
		now[item.FID] = item
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, was := range asked {
		claim := c.held[was.FID]
		if claim == nil || claim.item.Until != was.Until {
			continue
		}
		if item, still := now[was.FID]; still {
			claim.item = item
		} else {
			claim.lost = true
		}
	}
}
