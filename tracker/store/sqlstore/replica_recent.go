package sqlstore

import (
	"hash/maphash"
	"strings"
	"sync"
	"time"

	"github.com/mogilefs/caddy-mogilefs/mogile"
)

const (
	// recentTime is how long a change is remembered: longer than a replica that is well
	// lags behind.
	recentTime = time.Minute
	// maxRecent bounds the memory: 2,000 changes a second, in 5 MB.
	maxRecent = 120_000
)

// stale is a key or a fid, the other one is empty, whose rows replicas may not have yet.
type stale struct {
	dm  mogile.DomainID
	key mogile.Key
	fid mogile.FID
}

// odd stands for all keys of which only the database knows which others they equal.
const odd mogile.Key = "\xff"

// folded is one of all changes that some collation takes for the same: a key is compared
// by the database's equality, which is not known here (docs/spec/schema.md §2.2). Where
// keys are bytes, this remembers more than it must, and no harm is done.
func (c stale) folded() stale {
	for i := range len(c.key) {
		if c.key[i] < ' ' || c.key[i] > '~' {
			c.key = odd
			return c
		}
	}
	c.key = mogile.Key(strings.TrimRight(strings.ToLower(string(c.key)), " "))
	return c
}

// recent remembers changes for recentTime. When it is full, everything counts as changed
// until that has room again.
type recent struct {
	mu sync.Mutex // guards all below
	// last is when each was changed last, by its hash: two with the same hash share an
	// answer, which is at worst a question to the master.
	last map[uint64]time.Time
	// order is the same, oldest first, with those that were changed again later.
	order []recentChange
	// all changed until then, as far as is known here.
	all  time.Time
	seed maphash.Seed
	// odds is when an odd key was changed last.
	odds map[mogile.DomainID]time.Time
}

type recentChange struct {
	hash uint64
	at   time.Time
}

// forgetNothingBefore: nobody knows what has changed until now.
func (r *recent) forgetNothingBefore(now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = now
	if r.last == nil {
		r.last, r.seed, r.odds = map[uint64]time.Time{}, maphash.MakeSeed(), map[mogile.DomainID]time.Time{}
	}
}

func (r *recent) add(now time.Time, changes []stale) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.last == nil {
		return // nobody asks
	}
	r.drainLocked(now)
	for _, c := range changes {
		if len(r.order) >= maxRecent {
			r.all = now
			return
		}
		c = c.folded()
		if c.key == odd {
			r.odds[c.dm] = now
		}
		hash := maphash.Comparable(r.seed, c)
		r.last[hash] = now
		r.order = append(r.order, recentChange{hash: hash, at: now})
	}
}

// drainLocked drops what is old.
func (r *recent) drainLocked(now time.Time) {
	var old int
	for old < len(r.order) && now.Sub(r.order[old].at) > recentTime {
		if c := r.order[old]; r.last[c.hash].Equal(c.at) {
			delete(r.last, c.hash)
		}
		old++
	}
	r.order = r.order[old:]
}

func (r *recent) has(now time.Time, c stale) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	is := func(at time.Time) bool { return !at.IsZero() && now.Sub(at) <= recentTime }
	c = c.folded()
	switch {
	case is(r.all) || is(r.last[maphash.Comparable(r.seed, c)]):
		return true
	case c.fid != 0:
		return false
	case c.key == odd: // it may equal any
		return len(r.order) > 0 && is(r.order[len(r.order)-1].at)
	}
	return is(r.odds[c.dm])
}
