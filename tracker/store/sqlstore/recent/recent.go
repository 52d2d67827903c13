// Package recent remembers for a minute what was changed, so that who has read something that
// may be older asks once more. It knows no database.
package recent

import (
	"hash/maphash"
	"strings"
	"sync"
	"time"

	"github.com/mogilefs/caddy-mogilefs/mogile"
)

const (
	// Kept is how long a change is remembered: longer than a replica that is well
	// lags behind.
	Kept = time.Minute
	// maxChanges bounds the memory: 2,000 changes a second, in 5 MB.
	maxChanges = 120_000
)

// Change is a key or a fid, the other one is empty, whose rows replicas may not have yet.
type Change struct {
	Domain mogile.DomainID
	Key    mogile.Key
	FID    mogile.FID
	// Since is what the key has had since, if it was changed once: who reads that has read
	// the change. 0 means that nobody knows.
	Since mogile.FID
}

// odd stands for all keys of which only the database knows which others they equal.
const odd mogile.Key = "\xff"

// folded is one of all changes that some collation takes for the same: a key is compared
// by the database's equality, which is not known here (docs/spec/schema.md §2.2). Where
// keys are bytes, this remembers more than it must, and no harm is done.
func (c Change) folded() Change {
	for i := range len(c.Key) {
		if c.Key[i] < ' ' || c.Key[i] > '~' {
			c.Key = odd
			return c
		}
	}
	c.Key = mogile.Key(strings.TrimRight(strings.ToLower(string(c.Key)), " "))
	return c
}

// Changes remembers changes for [Kept]. When it is full, everything counts as changed
// until that has room again.
type Changes struct {
	mu sync.Mutex // guards all below
	// last is when each was changed last, by its hash: two with the same hash share an
	// answer, which is at worst a question to the master.
	last map[uint64]remembered
	// order is the same, oldest first, with those that were changed again later.
	order []remembered
	// all changed until then, as far as is known here.
	all  time.Time
	seed maphash.Seed
	// odds is when an odd key was changed last.
	odds map[mogile.DomainID]time.Time
}

type remembered struct {
	hash  uint64
	at    time.Time
	since mogile.FID
}

// ForgetNothingBefore begins to remember: nobody knows what has changed until now.
func (r *Changes) ForgetNothingBefore(now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = now
	if r.last == nil {
		r.last, r.seed, r.odds = map[uint64]remembered{}, maphash.MakeSeed(), map[mogile.DomainID]time.Time{}
	}
}

// Add remembers changes.
func (r *Changes) Add(now time.Time, changes []Change) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.last == nil {
		return // nobody asks
	}
	r.drainLocked(now)
	for _, c := range changes {
		if len(r.order) >= maxChanges {
			r.all = now
			return
		}
		c = c.folded()
		if c.Key == odd {
			r.odds[c.Domain] = now
		}
		n := remembered{hash: r.hash(c), at: now, since: c.Since}
		if _, again := r.last[n.hash]; again {
			n.since = 0 // of two at the same time nobody knows which was the later
		}
		r.last[n.hash] = n
		r.order = append(r.order, n)
	}
}

// drainLocked drops what is old.
func (r *Changes) drainLocked(now time.Time) {
	var old int
	for old < len(r.order) && now.Sub(r.order[old].at) > Kept {
		if c := r.order[old]; r.last[c.hash].at.Equal(c.at) {
			delete(r.last, c.hash)
		}
		old++
	}
	r.order = r.order[old:]
}

func (r *Changes) hash(c Change) uint64 {
	c.Since = 0
	return maphash.Comparable(r.seed, c)
}

// MayBeRead reports whether a replica may be asked: nothing was changed a short time ago, or
// Has can tell by what is read.
func (r *Changes) MayBeRead(now time.Time, c Change) bool {
	r.mu.Lock()
	c.Since = r.last[r.hash(c.folded())].since
	r.mu.Unlock()
	return !r.Has(now, c)
}

// Has reports whether something was, or may have been, changed a short time ago, after
// what the key had Since.
func (r *Changes) Has(now time.Time, c Change) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	is := func(at time.Time) bool { return !at.IsZero() && now.Sub(at) <= Kept }
	c = c.folded()
	known, odd := r.last[r.hash(c)], c.Key == odd
	switch {
	case odd: // it may equal any
		return is(r.all) || len(r.order) > 0 && is(r.order[len(r.order)-1].at)
	case is(r.odds[c.Domain]) && c.FID == 0:
		return true
	case known.since != 0 && known.since == c.Since && known.at.After(r.all):
		return false // what was forgotten is older
	}
	return is(r.all) || is(known.at)
}
