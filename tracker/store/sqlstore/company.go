package sqlstore

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"
)

// patience is how long a group may keep its turn: one that waits for somebody's lock, or
// for a connection that is dead, must not hold up all others. Most take a few milliseconds.
const patience = 100 * time.Millisecond

// errApart: those who came together do better each by himself, since something about one
// of them is not as it mostly is.
var errApart = errors.New("not all of a group are plain cases")

// company serves many callers in groups. On a server, a statement costs more than what it
// finds or changes: whoever comes while all turns are taken waits for one to end, and shares
// the next with the others who came. Nobody is kept waiting for company, and who is alone is
// served as if there were none.
type company[Q, A any] struct {
	rules[Q, A]
	wg sync.WaitGroup

	mu      sync.Mutex // guards all below
	waiting []*guest[Q, A]
	taken   int // turns
	closed  bool
}

// rules are how a company goes about it.
type rules[Q, A any] struct {
	// turns is how many groups there are at a time; 0: everybody is alone. most how many are in one.
	turns, most int
	// patient guests wait for what was begun for them; others leave with their context, and
	// what was found is for nobody.
	patient bool
	alone   func(ctx context.Context, asks Q) (A, error)
	// together serves several, and settles with each of them.
	together func(group []*guest[Q, A])
}

// guest is one caller.
type guest[Q, A any] struct {
	ctx  context.Context // his, for as long as he waits
	asks Q
	// got is for him when in is set: rules.together took him in.
	got A
	in  bool
	err error
	// apart: he has to do it himself.
	apart bool
	done  chan struct{} // closed when all is set
}

func newCompany[Q, A any](r rules[Q, A]) *company[Q, A] { return &company[Q, A]{rules: r} }

// ask waits to be served, or until ctx ends.
func (c *company[Q, A]) ask(ctx context.Context, asks Q) (got A, err error) {
	if c.turns == 0 {
		return c.alone(ctx, asks)
	}
	g := &guest[Q, A]{ctx: ctx, asks: asks, done: make(chan struct{})}
	if !c.join(g) {
		return got, errClosed
	}
	select {
	case <-g.done:
	case <-ctx.Done():
		if c.leave(g) || !c.patient {
			return got, context.Cause(ctx)
		}
		<-g.done
	}
	if g.apart {
		return c.alone(ctx, asks)
	}
	return g.got, g.err
}

func (c *company[Q, A]) join(g *guest[Q, A]) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return false
	}
	c.waiting = append(c.waiting, g)
	if c.taken < c.turns {
		c.taken++
		c.wg.Go(c.serve)
	}
	return true
}

// leave reports whether nobody had begun with g.
func (c *company[Q, A]) leave(g *guest[Q, A]) bool {
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
func (c *company[Q, A]) serve() {
	for group := c.next(); group != nil; group = c.next() {
		late := time.AfterFunc(patience, c.takeOver)
		c.serveGroup(group)
		if !late.Stop() {
			return
		}
	}
}

// next ends the turn when nobody waits.
func (c *company[Q, A]) next() []*guest[Q, A] {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := min(len(c.waiting), c.most)
	if n == 0 {
		c.taken--
		return nil
	}
	group := slices.Clone(c.waiting[:n])
	c.waiting = slices.Delete(c.waiting, 0, n)
	return group
}

func (c *company[Q, A]) takeOver() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed { // else nobody waits, nor will
		c.wg.Go(c.serve)
	}
}

func (c *company[Q, A]) serveGroup(group []*guest[Q, A]) {
	if len(group) == 1 {
		g := group[0]
		g.got, g.err = c.alone(g.ctx, g.asks)
		close(g.done)
		return
	}
	c.together(group)
}

// settle answers those who were taken in, if err is nil. They share an errUnknownOutcome.
// With any other error, as nothing was done, all are apart, as is who was not taken in.
func settle[Q, A any](group []*guest[Q, A], err error) {
	unknown := errors.Is(err, errUnknownOutcome)
	for _, g := range group {
		if g.in && unknown {
			g.err = err
		} else {
			g.apart = !g.in || err != nil
		}
		close(g.done)
	}
}

// close waits for those who are being served, and turns away those who wait. It is called
// once.
func (c *company[Q, A]) close() {
	c.mu.Lock()
	c.closed = true
	for _, g := range c.waiting {
		g.err = errClosed
		close(g.done)
	}
	c.waiting = nil
	c.mu.Unlock()
	c.wg.Wait()
}
