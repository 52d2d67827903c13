package job

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
)

const (
	// poll is how long rows that another tracker has queued may go unnoticed.
	poll = 5 * time.Second
	// minPause keeps a row that is due but can't be claimed from making us spin.
	minPause = 100 * time.Millisecond
)

// outcome is what is to become of a queue row.
type outcome struct {
	fate  fate
	delay time.Duration  // of postponed
	gone  []mogile.DevID // copies whose bytes are gone, of finished in the delete queue
	anew  bool           // of postponed: failures begin to count anew
}

type fate uint8

const (
	finished  fate = iota // done: the row goes
	postponed             // due again after delay, one failure more
	parked                // due never, until an operator says so
	left                  // comes back when its claim runs out
	returned              // due at once, as if it had never been claimed
)

// crew is the workers of a job, and who hands them the rows of its queues.
type crew struct {
	name    Name
	store   store.Queue
	sources []*claims
	rand    func() float64
	log     *zap.Logger

	work  chan work     // unbuffered: a row that is taken is being worked on
	woken chan struct{} // holds one

	queued, sent atomic.Int64 // rows that wait for a worker, and that were handed to one

	mu             sync.Mutex    // guards what follows
	desired, count int           // workers
	held           bool          // they are to be given nothing
	resized        chan struct{} // closed and replaced when desired or held changes
}

// newCrew has workers for the rows of some queues, of which those of the first are claimed
// first.
func newCrew(config Config, name Name, sources ...source) *crew {
	desired, ok := config.Workers[name]
	if !ok {
		desired = defaultWorkers[name]
	}
	c := &crew{
		name: name, store: config.Store, rand: config.Rand,
		log:  config.Logger.With(zap.String("job", string(name))),
		work: make(chan work), woken: make(chan struct{}, 1),
		desired: desired, resized: make(chan struct{}),
	}
	for _, s := range sources {
		c.sources = append(c.sources, newClaims(s, config.Store, c.log))
	}
	return c
}

// worksFrom reports whether the queue is one of the crew's.
func (c *crew) worksFrom(q store.QueueName) bool {
	return slices.ContainsFunc(c.sources, func(s *claims) bool { return s.queue == q })
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
		case w := <-c.work:
			c.perform(ctx, w)
		}
	}
}

// keep looks after the claims until release. Its owner waits for it.
func (c *crew) keep() {
	var wg sync.WaitGroup
	for _, s := range c.sources {
		wg.Go(s.keep)
	}
	wg.Wait()
}

// release ends keep, once no worker is left and run has returned.
func (c *crew) release() {
	for _, s := range c.sources {
		close(s.ended)
	}
}

// run claims rows and hands them out until ctx is over. While one batch is handed out the
// next one is claimed.
func (c *crew) run(ctx context.Context) {
	batches := make(chan []work)
	var wg sync.WaitGroup
	wg.Go(func() {
		defer close(batches)
		c.claim(ctx, batches)
	})
	for batch := range batches {
		c.handOut(ctx, batch)
	}
	wg.Wait()
}

func (c *crew) claim(ctx context.Context, batches chan<- []work) {
	for ctx.Err() == nil {
		batch, err := c.take(ctx)
		if err != nil && ctx.Err() == nil {
			c.log.Error("queue can't be read", zap.Error(err))
		}
		if len(batch) == 0 {
			c.rest(ctx, err != nil)
			continue
		}
		c.queued.Add(int64(len(batch)))
		batches <- batch
	}
}

// take claims as much as the workers need from each queue.
func (c *crew) take(ctx context.Context) (batch []work, err error) {
	workers, _ := c.size()
	if workers == 0 {
		return nil, nil
	}
	for _, s := range c.sources {
		some, claimErr := s.take(ctx, workers*perWorker)
		batch, err = append(batch, some...), errors.Join(err, claimErr)
	}
	return batch, err
}

// handOut gives a batch to the workers, and what they don't take back to the queue.
func (c *crew) handOut(ctx context.Context, batch []work) {
	for i, w := range batch {
		if !c.hand(ctx, w) {
			for _, w := range batch[i:] {
				w.from.settle(ctx, w, outcome{fate: returned})
				c.queued.Add(-1)
			}
			return
		}
		c.queued.Add(-1)
		c.sent.Add(1)
	}
}

// hand gives a row to a worker; false means that there is none to wait for.
func (c *crew) hand(ctx context.Context, w work) bool {
	for {
		workers, resized := c.size()
		if workers == 0 || ctx.Err() != nil {
			return false
		}
		select {
		case c.work <- w:
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
	pause := poll
	for _, s := range c.sources {
		due, err := c.store.NextDue(ctx, s.queue)
		if err == nil { // else nothing will be due, or the next claim meets the same error and says so
			pause = min(pause, max(due, minPause))
		}
	}
	return pause
}

// perform does the work and has written down what became of it. Whatever goes wrong, the
// worker lives and the row is not lost.
func (c *crew) perform(ctx context.Context, w work) {
	if !w.from.has(w) { // it has waited for long, and now another has it
		w.from.drop(w)
		return
	}
	out, err := c.guarded(ctx, w)
	if err != nil {
		out = outcome{fate: postponed, delay: backoff(w.FailCount, c.rand)}
	}
	if ctx.Err() != nil && out.fate != finished {
		out, err = outcome{fate: returned}, nil
	}
	if err != nil {
		c.log.Error("job failed", zap.Stringer("fid", w.FID), zap.Duration("again in", out.delay), zap.Error(err))
	}
	w.from.settle(ctx, w, out)
	if out.fate == postponed {
		c.wake() // the time to rest may be shorter now
	}
}

func (c *crew) guarded(ctx context.Context, w work) (out outcome, err error) {
	if w.err != nil {
		return outcome{}, w.err
	}
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
			c.log.Error("job panicked", zap.Stringer("fid", w.FID), zap.Stack("stack"))
		}
	}()
	return w.from.do(ctx, w)
}

// backoff is how long to wait after so many failures (docs/spec/jobs.md §4.1), give or
// take a fifth, so that what failed together is not tried again together.
func backoff(failCount int, rand func() float64) time.Duration {
	seconds := [...]float64{15, 60, 300, 1800, 3600, 7200, 14400, 28800, 86400}
	base := seconds[min(max(failCount, 0), len(seconds)-1)]
	return time.Duration(base * (0.8 + 0.4*rand()) * float64(time.Second))
}
