package tracker

import (
	"container/list"
	"context"
	"net/netip"
	"slices"
	"sync"
	"time"
)

const (
	// keptRecent is how many finished requests operators are shown
	// (docs/spec/tracker-protocol.md §9).
	keptRecent = 50
	// maxShown is how much of a request they are shown: all of any sensible one.
	maxShown = 4 << 10
)

// gate lets a bounded number of requests through at once. The others stand in one line,
// first come, first served. It knows who waits, and remembers who was through last.
type gate struct {
	mu            sync.Mutex // guards what follows
	size, running int
	line          list.List // of *waiter
	entered       int64     // requests that came, let through or not
	waited        int64     // those of them that had to wait
	recent        []passage // once full, the next to be replaced is at finished%keptRecent
	finished      int
}

// waiter is a request that waits at the gate. Its text belongs to a connection that is
// not read from meanwhile.
type waiter struct {
	peer     netip.Addr
	text     []byte
	admitted chan struct{} // closed when it is
}

// passage is a request that was carried out.
type passage struct {
	peer netip.Addr
	text []byte
	// total is from its arrival, worked from when it was let through.
	total, worked time.Duration
}

// traffic is what the gate has counted since it was made, or has before it now.
type traffic struct {
	// pending requests wait for one of the processing to finish; bored is how many
	// more could be processed.
	pending, processing, bored int
	// queries is how many came, waited how many of them were pending for a time.
	queries, waited int64
}

func newGate(size int) *gate { return &gate{size: size} }

// enter waits until the request may be carried out; then leave must be called. false:
// ctx is over.
func (g *gate) enter(ctx context.Context, peer netip.Addr, text []byte) bool {
	g.mu.Lock()
	g.entered++
	if g.running < g.size && g.line.Len() == 0 {
		g.running++
		g.mu.Unlock()
		return true
	}
	g.waited++
	w := &waiter{peer: peer, text: text, admitted: make(chan struct{})}
	place := g.line.PushBack(w)
	g.mu.Unlock()
	select {
	case <-w.admitted:
		return true
	case <-ctx.Done():
		return g.giveUp(place, w)
	}
}

// giveUp takes a waiter out of the line, unless it was let through meanwhile.
func (g *gate) giveUp(place *list.Element, w *waiter) (admitted bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	select {
	case <-w.admitted:
		return true
	default:
		g.line.Remove(place)
		return false
	}
}

// leave makes room for the next and remembers the request, which may be changed when
// leave has returned.
func (g *gate) leave(p passage) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.running--
	g.admitLocked()
	if len(g.recent) < keptRecent {
		g.recent = append(g.recent, passage{})
	}
	kept := &g.recent[g.finished%keptRecent]
	p.text = append(kept.text[:0], p.text[:min(len(p.text), maxShown)]...)
	*kept = p
	g.finished++
}

func (g *gate) admitLocked() {
	for g.running < g.size && g.line.Len() > 0 {
		g.running++
		close(g.line.Remove(g.line.Front()).(*waiter).admitted)
	}
}

// resize changes how many may be through at once. Who is through stays.
func (g *gate) resize(n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.size = n
	g.admitLocked()
}

func (g *gate) capacity() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.size
}

func (g *gate) traffic() traffic {
	g.mu.Lock()
	defer g.mu.Unlock()
	return traffic{
		pending: g.line.Len(), processing: g.running, bored: max(g.size-g.running, 0),
		queries: g.entered, waited: g.waited,
	}
}

// waiting lists the line, the next to be let through first.
func (g *gate) waiting() []passage {
	g.mu.Lock()
	defer g.mu.Unlock()
	all := make([]passage, 0, g.line.Len())
	for e := g.line.Front(); e != nil; e = e.Next() {
		w := e.Value.(*waiter)
		all = append(all, passage{peer: w.peer, text: slices.Clone(w.text[:min(len(w.text), maxShown)])})
	}
	return all
}

// passed lists the last to finish, the oldest first.
func (g *gate) passed() []passage {
	g.mu.Lock()
	defer g.mu.Unlock()
	var all []passage
	for i := range g.recent {
		p := g.recent[(g.finished+i)%len(g.recent)]
		p.text = slices.Clone(p.text)
		all = append(all, p)
	}
	return all
}
