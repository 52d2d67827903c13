package cache

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"math/bits"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dgraph-io/ristretto/v2"

	"github.com/mogilefs/caddy-mogilefs/mogile"
)

// ErrAbsent is what a load's error wraps when the key is known not to be there.
var ErrAbsent = errors.New("absent")

// Load asks the source of truth for a location. An error that wraps [ErrAbsent]
// is an answer and is remembered; any other error is not. It must end soon after
// ctx does, and bound its own time: nobody else does.
type Load func(ctx context.Context, domain mogile.DomainName, key mogile.Key) (mogile.Location, error)

// Found is what a look-up came to. Its Entry is nil when there was an error, that
// of an absent key among them; the rest counts for that one too.
type Found struct {
	*Entry
	Origin Origin
	// TTL is how much longer a remembered answer is believed, and below zero how long
	// ago that was over.
	TTL time.Duration
}

// Origin is where an answer came from.
type Origin uint8

// From the most to the least that had to be done.
const (
	Loaded     Origin = iota // the source of truth was asked
	Stale                    // remembered beyond its TTL, because loading fails
	Remembered               // remembered
)

const (
	// stripes is how many locks the keys share; more than processors.
	stripes = 64
	// staleRetry is how often a stale entry's load is tried again: soon after a
	// tracker is back, seldom enough not to hold requests up while none is.
	staleRetry = time.Second
	// aheadShare is the last part of its TTL in which a location that is asked for is
	// renewed: short, so that few loads come early; long enough for a slow one.
	aheadShare = 10
	// getBuffer is ristretto's advice for BufferItems.
	getBuffer = 64
)

// Locations remembers the locations of keys. Its methods may be called by many
// goroutines, Close among them.
//
// Exactness. After Invalidate returned, no Get that begins then returns what a
// load that began before Invalidate saw. Entries alone can't promise this:
//
//	reader: Get misses, load reads "fid 1" from the tracker
//	writer: commits "fid 2", removes the entry (there is none yet)
//	reader: stores "fid 1", which is then believed for a TTL
//
// nor can singleflight: one who asks after the removal would join the load that is
// still under way and get "fid 1" from it. Nor can the store: ristretto applies a
// Set later, may drop it, and may apply it after a Del.
//
// So each key has a generation (it shares the counter with others), and Invalidate
// does nothing but add 1 to it. Who looks up a key reads the generation g first.
// An entry counts only if it carries g, and a flight can only be joined by those
// who read the same g. Both carry the g that was read before their load began.
// Step by step, G being the count before the change:
//
//	reader: reads G, misses, begins a flight (key, G): load reads "fid 1"
//	writer: commits "fid 2"; Invalidate makes it G+1 and returns
//	other:  reads G+1. An entry of G, whenever ristretto shows it, is a miss; the
//	        flight (key, G) is not its flight; it begins (key, G+1): "fid 2"
//	reader: stores "fid 1" with G, perhaps over the entry of G+1: others miss once
//	        more and load "fid 2" again; nobody gets "fid 1"
//
// An entry with G+1 was loaded after the count became G+1, thus after the commit.
// Nothing here depends on an entry being kept or gone. The reader itself returns
// "fid 1", rightly: its Get began before Invalidate returned.
type Locations struct {
	config  Config
	entries *ristretto.Cache[uint64, *Entry]
	number  atomic.Int64 // of entries
	seed    maphash.Seed
	started time.Time

	generations []atomic.Uint64
	stripes     [stripes]stripe

	// changing is held, shared, over a look through all entries: ristretto must not be
	// closed under it. It is taken before a stripe's lock.
	changing sync.RWMutex

	loads sync.WaitGroup // the flights' goroutines
	once  sync.Once      // Close
	ended atomic.Bool    // set by Close, before the entries go
}

// NewLocations returns an empty cache. Close it after use.
func NewLocations(config Config) (*Locations, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	config = config.withDefaults()
	l := &Locations{
		config:      config,
		seed:        maphash.MakeSeed(),
		started:     time.Now(),
		generations: make([]atomic.Uint64, config.generations()),
	}
	entries, err := ristretto.NewCache(&ristretto.Config[uint64, *Entry]{
		NumCounters: config.counters(),
		MaxCost:     config.room(),
		BufferItems: getBuffer,
		// The keys are hashes already. Ristretto's second hash against collisions is
		// not needed: an entry carries its key, which is compared.
		KeyToHash:          func(hash uint64) (uint64, uint64) { return hash, 0 },
		IgnoreInternalCost: true, // Entry.cost has it, map overhead included
		OnEvict:            l.evicted,
		OnExit:             l.dropped,
	})
	if err != nil {
		return nil, fmt.Errorf("open location cache: %w", err)
	}
	l.entries = entries
	for i := range l.stripes {
		l.stripes[i].flights = map[flightID]*flight{}
	}
	return l, nil
}

// Get returns the key's location: remembered, or else from load, which runs once
// for all who ask meanwhile. An absent key is the error that load gave for it.
// When load fails otherwise, a location whose TTL is over is returned, within
// Config.Stale. Who waits leaves when ctx is done; the others wait on.
//
// A location that is asked for towards the end of its TTL is loaded again behind the
// caller's back, so that nobody waits for one that is in use. It is never returned
// beyond its TTL without asking, as long as loading works: a change made elsewhere
// must show by then.
func (l *Locations) Get(ctx context.Context, domain mogile.DomainName, key mogile.Key, load Load) (Found, error) {
	hash := l.hash(domain, key)
	id := flightID{domain, key, l.generation(hash).Load()} // before all else: see Exactness
	now := l.now()
	e := l.kept(hash, id, now)
	switch {
	case e == nil:
		l.config.Tally.Misses.Add(1)
		return l.join(ctx, hash, id, load)
	case now < e.fresh:
		l.config.Tally.Hits.Add(1)
		if e.renewalDue(now) {
			l.renew(e, hash, id, load)
		}
		return e.found(Remembered, now)
	case e.waitsForRetry(now):
		l.config.Tally.Misses.Add(1)
		l.config.Tally.Stale.Add(1)
		return e.found(Stale, now)
	}
	l.config.Tally.Misses.Add(1)
	loaded, err := l.join(ctx, hash, id, load)
	if err == nil || errors.Is(err, ErrAbsent) || ctx.Err() != nil || l.generation(hash).Load() != id.generation {
		return loaded, err
	}
	e.failed(l.now())
	l.config.Tally.Stale.Add(1)
	return e.found(Stale, now)
}

// Fresh is Get past what is remembered, for one who found it to be wrong. It is
// coalesced as well, and what it loads is remembered. It never returns an entry
// whose TTL is over.
func (l *Locations) Fresh(ctx context.Context, domain mogile.DomainName, key mogile.Key, load Load) (Found, error) {
	hash := l.hash(domain, key)
	return l.join(ctx, hash, flightID{domain, key, l.generation(hash).Load()}, load)
}

// Invalidate makes all that was loaded for the key up to now count for nothing.
// Call it after the change is committed and before it is acknowledged.
func (l *Locations) Invalidate(domain mogile.DomainName, key mogile.Key) {
	l.generation(l.hash(domain, key)).Add(1)
}

// Close forgets all and waits for the loads under way; it does not cut them short,
// because requests wait for them. Get and Fresh go on to work afterwards, each with
// a load of its own: a request that outlives a reload must not fail.
func (l *Locations) Close() {
	l.once.Do(func() {
		for i := range l.stripes {
			l.stripes[i].close()
		}
		l.loads.Wait()
		l.changing.Lock()
		defer l.changing.Unlock()
		l.ended.Store(true)
		l.entries.Close()
	})
}

// kept is the key's entry, or nil when there is none of this generation that may
// still serve.
func (l *Locations) kept(hash uint64, id flightID, now time.Duration) *Entry {
	s := l.stripe(hash)
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return nil
	}
	e, ok := l.entries.Get(hash)
	if !ok || e.generation != id.generation || now >= e.usable {
		return nil
	}
	if e.key != id.key || e.domain != id.domain {
		return nil // another key with the same hash
	}
	return e
}

// keep remembers what a flight brought that began at the given time. From then on the
// TTL counts, not from the answer: what changed while a slow load was under way must
// show within it too.
func (l *Locations) keep(hash uint64, e *Entry, began time.Duration) {
	life := l.config.TTL + l.config.Stale
	e.fresh = began + l.config.TTL
	e.ahead.Store(int64(e.fresh - l.config.TTL/aheadShare))
	if e.absent != nil {
		life = l.config.NegativeTTL
		e.fresh = began + life
		e.ahead.Store(int64(e.fresh)) // never: an absence is asked for again soon enough
	}
	e.usable = began + life
	if old, ok := l.entries.Get(hash); ok {
		e.inherit(old)
	}
	if life > 0 && l.generation(hash).Load() == e.generation {
		// Without ristretto's own TTL, whose bookkeeping is a fifth of an entry's cost:
		// what is over is not used, and is the first to be evicted when room is needed.
		l.number.Add(1)
		if !l.entries.Set(hash, e, e.cost()) {
			l.number.Add(-1)
		}
	}
}

// evicted is told by ristretto of what made room for others, and of all there is when it is closed.
func (l *Locations) evicted(*ristretto.Item[*Entry]) {
	if !l.ended.Load() {
		l.config.Tally.Evictions.Add(1)
	}
}

// dropped is told by ristretto that it does not keep e any more, or never did.
func (l *Locations) dropped(e *Entry) {
	if e != nil {
		l.number.Add(-1)
	}
}

func (l *Locations) hash(domain mogile.DomainName, key mogile.Key) uint64 {
	d := maphash.String(l.seed, string(domain))
	return bits.RotateLeft64(d, 31) ^ maphash.String(l.seed, string(key))
}

func (l *Locations) generation(hash uint64) *atomic.Uint64 {
	return &l.generations[hash%uint64(len(l.generations))]
}

// stripe uses other bits than generation, so that neighbours there don't meet here.
func (l *Locations) stripe(hash uint64) *stripe { return &l.stripes[(hash>>32)%stripes] }

// now is a clock that no change of the time of day moves.
func (l *Locations) now() time.Duration { return time.Since(l.started) }
