package crew

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/mogilefs/caddy-mogilefs/tracker/store"
)

const (
	// poll is how long rows that another tracker has queued may go unnoticed.
	poll = 5 * time.Second
	// minPause keeps a row that is due but can't be claimed from making us spin.
	minPause = 100 * time.Millisecond
)

// Config is what a crew works with.
type Config struct {
	Store store.Queue
	// Workers is how many work at once, until [Crew.Want] says otherwise.
	Workers int
	// Hands are what the crew shares with others; nil: it has its own.
	Hands *Hands
	// Urgent work has a larger part of them.
	Urgent bool
	// Rand returns numbers in [0,1).
	Rand func() float64
	// Worked is told of every row that was worked on: what became of it, in a word, and how long that took.
	// Optional; nil means that nobody wants to know.
	Worked func(result string, took time.Duration)
	Logger *zap.Logger
}

// Crew is the workers of a job, and who hands them the rows of its queues.
type Crew struct {
	store   store.Queue
	sources []*claims
	hands   *Hands
	urgent  bool
	rand    func() float64
	worked  func(result string, took time.Duration)
	log     *zap.Logger

	work  chan Work     // unbuffered: a row that is taken is being worked on
	woken chan struct{} // holds one

	queued, sent atomic.Int64 // rows that wait for a worker, and that were handed to one

	mu             sync.Mutex    // guards what follows
	desired, count int           // workers
	held           bool          // they are to be given nothing
	resized        chan struct{} // closed and replaced when desired or held changes
}

// New allocates a crew for the rows of some queues, of which those of the first are claimed
// first. Nothing runs until its owner has [Crew.Keep], [Crew.Employ] and [Crew.Run] begin.
func New(config Config, sources ...Source) *Crew {
	c := &Crew{
		store: config.Store, hands: config.Hands, urgent: config.Urgent, rand: config.Rand, worked: config.Worked, log: config.Logger,
		work: make(chan Work), woken: make(chan struct{}, 1),
		desired: config.Workers, resized: make(chan struct{}),
	}
	if c.worked == nil {
		c.worked = func(string, time.Duration) {}
	}
	if c.hands == nil {
		c.hands = new(Hands)
	}
	c.hands.hire(c, config.Workers)
	for _, s := range sources {
		c.sources = append(c.sources, newClaims(s, config.Store, c.log))
	}
	return c
}

// WorksFrom reports whether the queue is one of the crew's.
func (c *Crew) WorksFrom(q store.QueueName) bool {
	return slices.ContainsFunc(c.sources, func(s *claims) bool { return s.Queue == q })
}

// Wake has the queues looked at now. It never waits; saying it often at once is saying it
// once.
func (c *Crew) Wake() {
	select {
	case c.woken <- struct{}{}:
	default:
	}
}

// Status is the workers of a crew, and what they were given.
type Status struct {
	// Count is how many there are, Desired how many there should be.
	Count, Desired int
	// Queued is how many rows were claimed and wait for a worker, Sent how many have
	// ever been handed to one.
	Queued, Sent int64
}

// Status is that of now.
func (c *Crew) Status() Status {
	c.mu.Lock()
	defer c.mu.Unlock()
	return Status{Count: c.count, Desired: c.desired, Queued: c.queued.Load(), Sent: c.sent.Load()}
}

// Want changes how many work at once. Surplus workers go when they have done what they have
// in hand; those that are lacking come with [Crew.Employ].
func (c *Crew) Want(n int) {
	c.change(func() { c.desired = n })
	c.hands.hire(c, n)
}

// Hold keeps the workers idle, or no longer.
func (c *Crew) Hold(held bool) { c.change(func() { c.held = held }) }

func (c *Crew) change(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f()
	close(c.resized)
	c.resized = make(chan struct{})
}

// Active reports whether the queues are worked on: there are to be workers, and they are not
// held.
func (c *Crew) Active() bool {
	workers, _ := c.size()
	return workers > 0
}

// size is how many workers there should be for what is in the queue, and a channel that
// tells when that changes.
func (c *Crew) size() (int, <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.held {
		return 0, c.resized
	}
	return c.desired, c.resized
}

// Employ starts the workers that are lacking, until ctx is over. They are for the owner of
// wg to wait for.
func (c *Crew) Employ(ctx context.Context, wg *sync.WaitGroup) {
	for range c.vacancies() {
		wg.Go(func() { c.worker(ctx) })
	}
}

// vacancies says how many workers to start, and counts them as there.
func (c *Crew) vacancies() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := max(c.desired-c.count, 0)
	c.count += n
	return n
}

// surplus reports whether a worker should go, and counts it as gone.
func (c *Crew) surplus() (bool, <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.count > c.desired {
		c.count--
		return true, nil
	}
	return false, c.resized
}

func (c *Crew) worker(ctx context.Context) {
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
			c.hands.free(c)
		}
	}
}

// Keep looks after the claims until [Crew.Release]. Its owner waits for it.
func (c *Crew) Keep() {
	var wg sync.WaitGroup
	for _, s := range c.sources {
		wg.Go(s.keep)
	}
	wg.Wait()
}

// Release ends [Crew.Keep]. It must be called once, when no worker is left and [Crew.Run] has
// returned: they hand over what became of their rows.
func (c *Crew) Release() {
	for _, s := range c.sources {
		close(s.ended)
	}
}

// Run claims rows and hands them out until ctx is over. While one batch is handed out the
// next one is claimed.
func (c *Crew) Run(ctx context.Context) {
	batches := make(chan []Work)
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

func (c *Crew) claim(ctx context.Context, batches chan<- []Work) {
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
func (c *Crew) take(ctx context.Context) (batch []Work, err error) {
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
func (c *Crew) handOut(ctx context.Context, batch []Work) {
	for i, w := range batch {
		if !c.hand(ctx, w) {
			for _, w := range batch[i:] {
				w.from.settle(ctx, w, Outcome{Fate: Returned})
				c.queued.Add(-1)
			}
			return
		}
		c.queued.Add(-1)
		c.sent.Add(1)
	}
}

// hand gives a row to a worker, who frees the hand; false means that there is none to wait
// for.
func (c *Crew) hand(ctx context.Context, w Work) bool {
	for {
		workers, resized := c.size()
		if workers == 0 || ctx.Err() != nil {
			return false
		}
		select {
		case <-c.hands.take(c):
		case <-resized:
			c.hands.leave(c)
			continue
		case <-ctx.Done():
			c.hands.leave(c)
			return false
		}
		select {
		case c.work <- w:
			return true
		case <-resized:
		case <-ctx.Done():
		}
		c.hands.free(c)
	}
}

// rest waits for the next reason to look into the queue.
func (c *Crew) rest(ctx context.Context, failed bool) {
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

func (c *Crew) untilDue(ctx context.Context) time.Duration {
	pause := poll
	for _, s := range c.sources {
		due, err := c.store.NextDue(ctx, s.Queue)
		if err == nil { // else nothing will be due, or the next claim meets the same error and says so
			pause = min(pause, max(due, minPause))
		}
	}
	return pause
}

// perform does the work and has written down what became of it. Whatever goes wrong, the
// worker lives and the row is not lost.
func (c *Crew) perform(ctx context.Context, w Work) {
	if !w.from.has(w) { // it has waited for long, and now another has it
		w.from.drop(w)
		return
	}
	began := time.Now()
	out, err := c.guarded(ctx, w)
	if err != nil {
		out = Outcome{Fate: Postponed, Delay: Backoff(w.FailCount, c.rand)}
	}
	if ctx.Err() != nil && out.Fate != Finished {
		out, err = Outcome{Fate: Returned}, nil
	}
	c.worked(resultOf(out, err), time.Since(began))
	if err != nil {
		c.log.Error("job failed", zap.Stringer("fid", w.FID), zap.Duration("again in", out.Delay), zap.Error(err))
	}
	w.from.settle(ctx, w, out)
	if out.Fate == Postponed {
		c.Wake() // the time to rest may be shorter now
	}
}

// resultOf is a word for what becomes of a row.
func resultOf(out Outcome, err error) string {
	if err != nil {
		return "failed"
	}
	return [...]string{Finished: "finished", Postponed: "postponed", Parked: "parked", Left: "left", Returned: "returned"}[out.Fate]
}

func (c *Crew) guarded(ctx context.Context, w Work) (out Outcome, err error) {
	if w.err != nil {
		return Outcome{}, w.err
	}
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
			c.log.Error("job panicked", zap.Stringer("fid", w.FID), zap.Stack("stack"))
		}
	}()
	return w.from.Do(ctx, w)
}
