package simulation

import (
	"cmp"
	"container/heap"
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing/synctest"
	"time"
)

// errCrashed is what the goroutines of a tracker that was killed are told, whatever they
// ask for.
var errCrashed = errors.New("this tracker has crashed")

// longest is what a slow step takes at most: what is to be written down may take a few of
// them until its writer gives up.
const longest = time.Second

// step is one thing that somebody does to the world outside of him.
type step struct {
	// key says what it is, in words that don't depend on when it was asked for.
	key string
	// travel, or nil, is asked when the step is asked for: how long it takes beyond the
	// usual, and an error when it will have no effect.
	travel func() (time.Duration, error)
	// effect is what happens when its time has come; luck is drawn for it alone.
	effect func(luck *rand.Rand) error
	// fatal steps are those before or after which a tracker may be killed.
	fatal bool
	// single: nobody else of the actor ever waits for a step with this key.
	single bool
}

// call is a step that waits for its time.
type call struct {
	step
	by   *actor
	whom string    // the visitor that it is taken for, or ""
	from []uintptr // where in the code it was asked for
	due  time.Time
	err  error  // of travel
	luck uint64 // seeds that of effect

	trace *trace

	granted chan fate // room for one
	// withdrawn: nobody waits for it any more. Guarded by clockwork.mu.
	withdrawn bool
}

// fate is what becomes of a step and of the tracker that takes it.
type fate uint8

const (
	lives fate = iota
	diesBefore
	diesAfter // the effect is there, and its answer lost
)

// actor is who takes steps: a tracker's life, or a client.
type actor struct {
	name string
	dead chan struct{} // closed when a tracker is killed; nil: never
	kill func()
	// frozen is until when it does nothing, and then goes on as if nothing had been. The
	// driver touches it.
	frozen time.Time
}

// clockwork orders the steps of all actors.
type clockwork struct {
	rng *rand.Rand // of the driver
	// crashes is how likely a tracker is killed at a fatal step.
	crashes float64
	// slow is how likely a step takes up to longest.
	slow  float64
	trace *trace

	mu       sync.Mutex
	arrivals []*call       // guarded by mu
	urgent   []func()      // guarded by mu
	arrived  chan struct{} // holds one

	// Only the driver touches these.
	waiting agenda[*call]
	events  agenda[*event]
}

// event is something that the driver does at its time.
type event struct {
	due  time.Time
	what string
	do   func()
}

func (c *call) at() time.Time  { return c.due }
func (e *event) at() time.Time { return e.due }

func newClockwork(seed uint64) *clockwork {
	return &clockwork{rng: rand.New(rand.NewPCG(seed, 4)), trace: newTrace(), arrived: make(chan struct{}, 1)}
}

// take waits for the time of a step and takes it.
func (w *clockwork) take(ctx context.Context, a *actor, s step) error {
	switch {
	case a.isDead():
		return errCrashed
	case ctx.Err() != nil: // else it would be chance whether the step is seen to come
		return context.Cause(ctx)
	}
	c := &call{step: s, by: a, trace: w.trace, granted: make(chan fate, 1)}
	c.whom, _ = ctx.Value(visitor{}).(string)
	if !s.single {
		c.from = callers()
	}
	w.mu.Lock()
	w.arrivals = append(w.arrivals, c)
	w.mu.Unlock()
	select {
	case w.arrived <- struct{}{}:
	default:
	}
	select {
	case f := <-c.granted:
		return c.happen(f)
	case <-ctx.Done():
	case <-a.dead:
	}
	w.withdraw(c)
	if a.isDead() {
		return errCrashed
	}
	return context.Cause(ctx)
}

// callers is deep enough to tell apart who takes the same step.
func callers() []uintptr {
	from := make([]uintptr, 12)
	return from[:runtime.Callers(3, from)]
}

func (c *call) happen(f fate) error {
	if f == diesBefore {
		c.by.kill()
		return errCrashed
	}
	err := c.err
	if err == nil && c.effect != nil {
		err = c.effect(rand.New(rand.NewPCG(c.luck, 1)))
	}
	if err != nil {
		c.trace.add("%s: %s = %v", c.by.name, c.key, err)
	}
	if f == diesAfter {
		c.by.kill()
		return errCrashed
	}
	return err
}

func (w *clockwork) withdraw(c *call) {
	w.mu.Lock()
	defer w.mu.Unlock()
	c.withdrawn = true
}

func (a *actor) isDead() bool {
	select {
	case <-a.dead:
		return true
	default:
		return false
	}
}

// after has the driver do something in a while.
func (w *clockwork) after(d time.Duration, what string, do func()) {
	heap.Push(&w.events, &event{due: time.Now().Add(d + w.tick()), what: what, do: do})
}

// soon has the driver do something as soon as everybody waits: for the effects of steps, which
// are not the driver's.
func (w *clockwork) soon(do func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.urgent = append(w.urgent, do)
}

// tick is a little while that no other is likely to be as long as.
func (w *clockwork) tick() time.Duration { return time.Duration(w.rng.Int64N(int64(time.Millisecond))) }

// run drives the day until a time has come. It never leaves anybody half-way: when it
// returns, everybody waits.
func (w *clockwork) run(d time.Duration) {
	for end := time.Now().Add(d); ; {
		synctest.Wait()
		w.admit()
		next, do := w.next()
		if do == nil || next.After(end) {
			next, do = end, nil
		}
		if wait := time.Until(next); wait > 0 {
			w.sleep(wait)
			continue
		}
		if do == nil {
			return
		}
		do()
	}
}

// sleep ends early when somebody comes with a step.
func (w *clockwork) sleep(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-w.arrived:
	}
}

// admit gives each new step its time. All who came since the last look came at the same
// time as far as the clock knows; they are put into an order that doesn't depend on which
// goroutine was quicker.
func (w *clockwork) admit() {
	w.mu.Lock()
	came, urgent := w.arrivals, w.urgent
	w.arrivals, w.urgent = nil, nil
	came = slices.DeleteFunc(came, func(c *call) bool { return c.withdrawn })
	w.mu.Unlock()
	for _, do := range urgent {
		do()
	}
	slices.SortStableFunc(came, func(a, b *call) int {
		return cmp.Or(strings.Compare(a.by.name, b.by.name), strings.Compare(a.key, b.key), strings.Compare(a.whom, b.whom), slices.Compare(a.from, b.from))
	})
	for _, c := range came {
		c.luck = w.rng.Uint64()
		took := 100*time.Microsecond + w.tick()
		if w.rng.IntN(16) == 0 {
			took += time.Duration(w.rng.Int64N(int64(50 * time.Millisecond)))
		}
		if w.slow > 0 && w.rng.Float64() < w.slow {
			took += time.Duration(w.rng.Int64N(int64(longest)))
		}
		if c.travel != nil {
			more, err := c.travel()
			took, c.err = took+more, err
		}
		c.due = time.Now().Add(took)
		heap.Push(&w.waiting, c)
	}
}

// next is when the first of all that waits has its time, and how it is done.
func (w *clockwork) next() (time.Time, func()) {
	w.mu.Lock()
	for len(w.waiting) > 0 && w.waiting[0].withdrawn {
		heap.Pop(&w.waiting)
	}
	w.mu.Unlock()
	switch {
	case len(w.waiting) > 0 && (len(w.events) == 0 || w.waiting[0].due.Before(w.events[0].due)):
		return w.waiting[0].due, func() { w.grant(heap.Pop(&w.waiting).(*call)) }
	case len(w.events) > 0:
		return w.events[0].due, func() {
			e := heap.Pop(&w.events).(*event)
			if e.what != "" {
				w.trace.add("%s", e.what)
			}
			e.do()
		}
	}
	return time.Time{}, nil
}

func (w *clockwork) grant(c *call) {
	if now := time.Now(); now.Before(c.by.frozen) {
		c.due = c.by.frozen.Add(w.tick())
		heap.Push(&w.waiting, c)
		return
	}
	f := lives
	if c.fatal && w.rng.Float64() < w.crashes {
		f = diesBefore + fate(w.rng.IntN(2))
	}
	w.trace.note(c.by.name, ": ", c.key, []string{"", " CRASH BEFORE", " CRASH AFTER"}[f])
	c.granted <- f
}

// agenda is a heap of what has a time.
type agenda[T interface{ at() time.Time }] []T

func (a agenda[T]) Len() int           { return len(a) }
func (a agenda[T]) Less(i, j int) bool { return a[i].at().Before(a[j].at()) }
func (a agenda[T]) Swap(i, j int)      { a[i], a[j] = a[j], a[i] }
func (a *agenda[T]) Push(x any)        { *a = append(*a, x.(T)) }
func (a *agenda[T]) Pop() any {
	last := len(*a) - 1
	x := (*a)[last]
	*a = (*a)[:last]
	return x
}
