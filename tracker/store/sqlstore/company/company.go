// Package company serves callers who come at the same time together, where what is done for
// one costs hardly more when it is done for many: a statement on a database server.
//
// Whoever comes while all turns are taken waits for one to end, and shares the next with the
// others who came. Nobody is kept waiting for company, and who is alone is served as if there
// were none. It does not know what is served.
package company

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"
)

// Patience is how long a group may keep its turn: one that waits for somebody's lock, or
// for a connection that is dead, must not hold up all others. Most take a few milliseconds.
const Patience = 100 * time.Millisecond

// ErrClosed: the company was closed before somebody's turn came.
var ErrClosed = errors.New("store is closed")

// Company serves many callers in groups.
type Company[Q, A any] struct {
	rules Rules[Q, A]
	wg    sync.WaitGroup

	mu      sync.Mutex // guards all below
	waiting []*Guest[Q, A]
	taken   int // turns
	closed  bool
}

// Rules are how a company goes about it.
type Rules[Q, A any] struct {
	// Turns is how many groups there are at a time; 0: everybody is alone. Most is how many
	// are in one.
	Turns, Most int
	// Pace is how long after a group has begun its turn begins with the next at the earliest,
	// unless that is full: where a change costs far more than the wait, so that more come
	// together. 0: at once.
	Pace time.Duration
	// Patient guests wait for what was begun for them; others leave with their context, and
	// what was found is for nobody.
	Patient bool
	// Alone serves one.
	Alone func(ctx context.Context, asks Q) (A, error)
	// Together serves several, and settles with each of them.
	Together func(group []*Guest[Q, A])
}

// Guest is one caller.
type Guest[Q, A any] struct {
	Ctx  context.Context // his, for as long as he waits
	Asks Q
	// Got is for him when In is set: Rules.Together took him in.
	Got A
	In  bool

	err error
	// apart: he has to do it himself.
	apart bool
	done  chan struct{} // closed when all is set
}

// New makes a company. Close it when nobody shall be served any more.
func New[Q, A any](r Rules[Q, A]) *Company[Q, A] { return &Company[Q, A]{rules: r} }

// Ask waits to be served, or until ctx ends.
func (c *Company[Q, A]) Ask(ctx context.Context, asks Q) (got A, err error) {
	if c.rules.Turns == 0 {
		return c.rules.Alone(ctx, asks)
	}
	g := &Guest[Q, A]{Ctx: ctx, Asks: asks, done: make(chan struct{})}
	if !c.join(g) {
		return got, ErrClosed
	}
	select {
	case <-g.done:
	case <-ctx.Done():
		if c.leave(g) || !c.rules.Patient {
			return got, context.Cause(ctx)
		}
		<-g.done
	}
	if g.apart {
		return c.rules.Alone(ctx, asks)
	}
	return g.Got, g.err
}

func (c *Company[Q, A]) join(g *Guest[Q, A]) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return false
	}
	c.waiting = append(c.waiting, g)
	if c.taken < c.rules.Turns {
		c.taken++
		c.wg.Go(c.serve)
	}
	return true
}

// leave reports whether nobody had begun with g.
func (c *Company[Q, A]) leave(g *Guest[Q, A]) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.Index(c.waiting, g)
	if i >= 0 {
		c.waiting = slices.Delete(c.waiting, i, i+1)
	}
	return i >= 0
}

// serve is one turn: it serves groups until nobody waits, or until one took so long that
// another took over.
func (c *Company[Q, A]) serve() {
	for group := c.next(); group != nil; group = c.next() {
		began := time.Now()
		late := time.AfterFunc(Patience, c.takeOver)
		c.serveGroup(group)
		if !late.Stop() {
			return
		}
		if rest := c.rules.Pace - time.Since(began); rest > 0 && !c.full() {
			<-time.After(rest)
		}
	}
}

// full reports whether as many wait as can be in a group.
func (c *Company[Q, A]) full() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed || len(c.waiting) >= c.rules.Most
}

// next ends the turn when nobody waits.
func (c *Company[Q, A]) next() []*Guest[Q, A] {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := min(len(c.waiting), c.rules.Most)
	if n == 0 {
		c.taken--
		return nil
	}
	group := slices.Clone(c.waiting[:n])
	c.waiting = slices.Delete(c.waiting, 0, n)
	return group
}

func (c *Company[Q, A]) takeOver() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed { // else nobody waits, nor will
		c.wg.Go(c.serve)
	}
}

func (c *Company[Q, A]) serveGroup(group []*Guest[Q, A]) {
	if len(group) == 1 {
		g := group[0]
		g.Got, g.err = c.rules.Alone(g.Ctx, g.Asks)
		close(g.done)
		return
	}
	c.rules.Together(group)
}

// Settle answers those who were taken in, if err is nil, or with err when it is final. With
// any other error, as nothing was done, all are apart, as is who was not taken in.
func Settle[Q, A any](group []*Guest[Q, A], err error, final bool) {
	for _, g := range group {
		if g.In && final {
			g.err = err
		} else {
			g.apart = !g.In || err != nil
		}
		close(g.done)
	}
}

// Close waits for those who are being served, and turns away those who wait. It is called
// once.
func (c *Company[Q, A]) Close() {
	c.mu.Lock()
	c.closed = true
	for _, g := range c.waiting {
		g.err = ErrClosed
		close(g.done)
	}
	c.waiting = nil
	c.mu.Unlock()
	c.wg.Wait()
}
