package tally

import (
	"maps"
	"math/rand/v2"
	"sync/atomic"
	"time"
)

// shards is how many cells share the work of one counter: enough that processors seldom meet, few
// enough to be added up at each look.
const shards = 8

// Counter counts up. The zero value is ready; its methods may be called by many goroutines.
type Counter struct{ cells [shards]cell }

// cell has a cache line to itself.
type cell struct {
	n atomic.Int64
	_ [56]byte
}

// Add counts n more, which must not be negative.
func (c *Counter) Add(n int64) { c.cells[rand.Uint32()%shards].n.Add(n) }

// Read is what was counted. Of what is added meanwhile it may have a part.
func (c *Counter) Read() (sum int64) {
	for i := range c.cells {
		sum += c.cells[i].n.Load()
	}
	return sum
}

// bounds are the upper bounds of a Histogram's buckets: from a file in memory to a request that was
// given up. Nothing changes it.
var bounds = [...]time.Duration{
	100 * time.Microsecond, 250 * time.Microsecond, 500 * time.Microsecond,
	time.Millisecond, 2500 * time.Microsecond, 5 * time.Millisecond,
	10 * time.Millisecond, 25 * time.Millisecond, 50 * time.Millisecond,
	100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond,
	time.Second, 2500 * time.Millisecond, 5 * time.Second, 10 * time.Second, 30 * time.Second,
}

// Histogram counts durations by their length. The zero value is ready; its methods may be called by
// many goroutines.
type Histogram struct{ parts [shards]part }

type part struct {
	counts [len(bounds) + 1]atomic.Int64 // the last is for what is above all bounds
	nanos  atomic.Int64
	_      [64]byte
}

// Observe counts one.
func (h *Histogram) Observe(took time.Duration) {
	p := &h.parts[rand.Uint32()%shards]
	i := 0
	for i < len(bounds) && took > bounds[i] {
		i++
	}
	p.counts[i].Add(1)
	p.nanos.Add(int64(took))
}

// Reading is what a Histogram has counted.
type Reading struct {
	Count uint64
	Sum   time.Duration
	// UpTo is how many were at most as long as the bound in seconds.
	UpTo map[float64]uint64
}

// Read is what was counted. Its parts fit together: Count is that of the buckets.
func (h *Histogram) Read() Reading {
	var counts [len(bounds) + 1]uint64
	var sum int64
	for i := range h.parts {
		p := &h.parts[i]
		for j := range p.counts {
			counts[j] += uint64(p.counts[j].Load())
		}
		sum += p.nanos.Load()
	}
	r := Reading{Sum: time.Duration(sum), UpTo: make(map[float64]uint64, len(bounds))}
	for j, n := range counts {
		r.Count += n
		if j < len(bounds) {
			r.UpTo[bounds[j].Seconds()] = r.Count
		}
	}
	return r
}

// And is two readings as one.
func (r Reading) And(other Reading) Reading {
	sum := Reading{Count: r.Count + other.Count, Sum: r.Sum + other.Sum, UpTo: maps.Clone(other.UpTo)}
	for bound, n := range r.UpTo {
		sum.UpTo[bound] += n
	}
	return sum
}
