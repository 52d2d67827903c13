package job

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/mogilefs/caddy-mogilefs/tracker/store"
)

const (
	// lease is how long a claimed row stays invisible; other trackers have the same
	// (docs/spec/schema.md §5.2).
	lease = 1000 * time.Second
	// perWorker is how many rows are claimed for each worker at a time: enough that
	// none waits for the database, few enough that the last is begun within its lease.
	perWorker = 4
	// poll is how long rows that another tracker has queued may go unnoticed.
	poll = 5 * time.Second
	// minPause keeps a row that is due but can't be claimed from making us spin.
	minPause = 100 * time.Millisecond
	// settleTime is how long what became of a row may take to be written down, also
	// when everything is to stop.
	settleTime = 5 * time.Second
)

// outcome is what is to become of a queue row.
type outcome struct {
	fate  fate
	delay time.Duration // of postponed
}

type fate uint8

const (
	finished  fate = iota // done: the row goes
	postponed             // due again after delay, one failure more
	parked                // due never, until an operator says so
	left                  // comes back when the lease is over
	returned              // due at once, as if it had never been claimed
)

// crew is the workers of one queue, and who hands them their work.
type crew struct {
	name  Name
	queue store.QueueName
	store store.Queue
	do    func(ctx context.Context, item store.Item) (outcome, error)
	rand  func() float64
	log   *zap.Logger

	work  chan store.Item // unbuffered: a row that is taken is being worked on
	woken chan struct{}   // holds one

	queued, sent atomic.Int64 // rows that wait for a worker, and that were handed to one

	mu             sync.Mutex    // guards what follows
	desired, count int           // workers
	held           bool          // they are to be given nothing
	resized        chan struct{} // closed and replaced when desired or held changes
}

func newCrew(config Config, name Name, q store.QueueName, do func(context.Context, store.Item) (outcome, error)) *crew {
	desired, ok := config.Workers[name]
	if !ok {
		desired = defaultWorkers[name]
	}
	return &crew{
		name: name, queue: q, store: config.Store, do: do, rand: config.Rand,
		log:  config.Logger.With(zap.String("job", string(name))),
		work: make(chan store.Item), woken: make(chan struct{}, 1),
		desired: desired, resized: make(chan struct{}),
	}
}

func (c *crew) wake() {
	select {
	case c.woken <- struct{}{}:
	default:
	}
}

func (c *crew) status() Status {
	c.mu.Lock()
	defer c.mu.Unlock()
	return Status{Name: c.name, Count: c.count, Desired: c.desired, Queued: c.queued.Load(), Sent: c.sent.Load()}
}

func (c *crew) desire(n int) { c.change(func() { c.desired = n }) }

// hold keeps the workers idle, or no longer.
func (c *crew) hold(held bool) { c.change(func() { c.held = held }) }

func (c *crew) change(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f()
	close(c.resized)
	c.resized = make(chan struct{})
}

// size is how many workers there should be for what is in the queue, and a channel that
// tells when that changes.
func (c *crew) size() (int, <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.held {
		return 0, c.resized
	}
	return c.desired, c.resized
}

// vacancies says how many workers to start, and counts them as there.
func (c *crew) vacancies() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := max(c.desired-c.count, 0)
	c.count += n
	return n
}

// surplus reports whether a worker should go, and counts it as gone.
func (c *crew) surplus() (bool, <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.count > c.desired {
		c.count--
		return true, nil
	}
	return false, c.resized
}

func (c *crew) worker(ctx context.Context) {
	for {
		surplus, resized := c.surplus()
		if surplus {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-resized:
		case item := <-c.work:
			c.perform(ctx, item)
		}
	}
}

// run claims rows and hands them out until ctx is over.
func (c *crew) run(ctx context.Context) {
	for ctx.Err() == nil {
		n, err := c.handOut(ctx)
		if err != nil && ctx.Err() == nil {
			c.log.Error("queue can't be read", zap.Error(err))
		}
		if n == 0 {
			c.rest(ctx, err != nil)
		}
	}
}

// handOut claims one batch and returns how many rows it had.
func (c *crew) handOut(ctx context.Context) (int, error) {
	workers, _ := c.size()
	if workers == 0 {
		return 0, nil
	}
	items, err := c.store.Claim(ctx, c.queue, workers*perWorker, lease)
	if err != nil {
		return 0, fmt.Errorf("claim from %s: %w", c.queue, err)
	}
	defer c.queued.Store(0)
	for i, item := range items {
		c.queued.Store(int64(len(items) - i))
		if !c.hand(ctx, item) {
			c.settle(ctx, outcome{fate: returned}, items[i:]...)
			break
		}
		c.sent.Add(1)
	}
	return len(items), nil
}

// hand gives an item to a worker; false means that there is none to wait for.
func (c *crew) hand(ctx context.Context, item store.Item) bool {
	for {
		workers, resized := c.size()
		if workers == 0 || ctx.Err() != nil {
			return false
		}
		select {
		case c.work <- item:
			return true
		case <-resized:
		case <-ctx.Done():
		}
	}
}

// rest waits for the next reason to look into the queue.
func (c *crew) rest(ctx context.Context, failed bool) {
	pause := poll
	if !failed {
		pause = c.untilDue(ctx)
	}
	_, resized := c.size()
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-c.woken:
	case <-resized:
	case <-timer.C:
	case <-ctx.Done():
	}
}

func (c *crew) untilDue(ctx context.Context) time.Duration {
	due, err := c.store.NextDue(ctx, c.queue)
	if err != nil { // nothing will be due, or the next claim meets the same error and says so
		return poll
	}
	return min(max(due, minPause), poll)
}

// perform does the work and writes down what became of it. Whatever goes wrong, the
// worker lives and the row is not lost.
func (c *crew) perform(ctx context.Context, item store.Item) {
	out, err := c.guarded(ctx, item)
	if err != nil {
		out = outcome{fate: postponed, delay: backoff(item.FailCount, c.rand)}
	}
	if ctx.Err() != nil && out.fate != finished {
		out, err = outcome{fate: returned}, nil
	}
	if err != nil {
		c.log.Error("job failed", zap.Stringer("fid", item.FID), zap.Duration("again in", out.delay), zap.Error(err))
	}
	c.settle(ctx, out, item)
}

func (c *crew) guarded(ctx context.Context, item store.Item) (out outcome, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
			c.log.Error("job panicked", zap.Stringer("fid", item.FID), zap.Stack("stack"))
		}
	}()
	return c.do(ctx, item)
}

// settle writes down what became of rows, even when ctx is over: else they would be
// stuck until their lease is.
func (c *crew) settle(ctx context.Context, out outcome, items ...store.Item) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTime)
	defer cancel()
	for _, item := range items {
		if err := c.settleOne(ctx, out, item); err != nil {
			c.log.Error("queue row stays claimed", zap.Stringer("fid", item.FID), zap.Error(err))
		}
	}
	if out.fate == postponed {
		c.wake() // the time to rest may be shorter now
	}
}

func (c *crew) settleOne(ctx context.Context, out outcome, item store.Item) error {
	switch out.fate {
	case finished:
		return c.store.Finish(ctx, c.queue, item)
	case postponed:
		return c.store.Postpone(ctx, c.queue, item.FID, out.delay, item.FailCount+1)
	case parked:
		return c.store.Park(ctx, c.queue, item.FID, item.FailCount+1)
	case returned:
		return c.store.Postpone(ctx, c.queue, item.FID, 0, item.FailCount)
	default: // left
		return nil
	}
}

// backoff is how long to wait after so many failures (docs/spec/jobs.md §4.1), give or
// take a fifth, so that what failed together is not tried again together.
func backoff(failCount int, rand func() float64) time.Duration {
	seconds := [...]float64{15, 60, 300, 1800, 3600, 7200, 14400, 28800, 86400}
	base := seconds[min(max(failCount, 0), len(seconds)-1)]
	return time.Duration(base * (0.8 + 0.4*rand()) * float64(time.Second))
}
