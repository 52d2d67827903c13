// Package hedge is what a hedged read needs beside its copies: a budget for second attempts, and
// a race between two attempts of which one wins.
package hedge

import (
	"io"
	"sync"
	"sync/atomic"

	"github.com/mogilefs/caddy-mogilefs/mogile"
)

// Budget bounds how many requests ask a second copy: one in share over time, and burst
// more at once. When all nodes are slow, asking twice would make them slower. The zero
// value is full.
type Budget struct {
	spent atomic.Int64 // in parts of a hedge, never below 0 for long
}

const (
	share = 10
	burst = 32
)

// Earn counts a request.
func (b *Budget) Earn() {
	if b.spent.Load() > 0 {
		b.spent.Add(-1)
	}
}

// Take reports whether there may be a hedge.
func (b *Budget) Take() bool {
	if b.spent.Add(share) > share*burst {
		b.spent.Add(-share)
		return false
	}
	return true
}

// Race is two copies that are opened at the same time.
type Race struct {
	// Arrived has room for both.
	Arrived chan Arrival

	mu   sync.Mutex // guards over
	over bool
}

// Arrival is how an attempt of a race ended.
type Arrival struct {
	mogile.Copy
	Src io.ReadCloser
	Err error
}

// NewRace returns a race in which nobody has arrived. End it after use.
func NewRace() *Race { return &Race{Arrived: make(chan Arrival, 2)} }

// Arrive delivers an attempt's result, or closes it when nobody waits any more.
func (r *Race) Arrive(x Arrival) {
	r.mu.Lock()
	over := r.over
	if !over {
		r.Arrived <- x
	}
	r.mu.Unlock()
	if over && x.Src != nil {
		x.Src.Close()
	}
}

// End closes what arrived and was not taken.
func (r *Race) End() {
	r.mu.Lock()
	r.over = true
	r.mu.Unlock()
	for len(r.Arrived) > 0 {
		if x := <-r.Arrived; x.Src != nil {
			x.Src.Close()
		}
	}
}
