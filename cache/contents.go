package cache

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/bits"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/dgraph-io/ristretto/v2"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tally"
)

// ContentsConfig says how much is kept of what.
type ContentsConfig struct {
	// Bytes bounds the memory, bookkeeping included; 0 means 64 MiB, less than 1 MiB
	// is refused. A quarter of it is for contents that are under way: those that are
	// being fetched, and those that are still being read when they are not kept any
	// more.
	Bytes int64
	// MaxFile is the length of the largest content that is kept; 0 means 1 MiB, or an
	// eighth of Bytes when that is less. More than an eighth is refused.
	MaxFile int64
	// Tally is where is counted what becomes of look-ups; nil means that nobody wants to know.
	Tally *tally.Cache
}

const (
	defaultMaxFile = 1 << 20
	// wayShare is the part of the memory that is for contents under way.
	wayShare = 4
	// longestShare is the part of it that one content may take: two of the largest can
	// be under way, and many have room beside each other when they are kept.
	longestShare = 8
	// contentFixedBytes is ristretto's queue of 32,768 pending sets, its empty shards
	// and our stripes.
	contentFixedBytes = 8*32768 + 32<<10
	// contentTableBytes is what a content takes beside its bytes: itself and its rows in
	// ristretto's map and in the policy's, half to fully loaded.
	contentTableBytes = 512
	// typicalContent is the length of a small image; it only sizes the table of
	// frequencies.
	typicalContent = 8 << 10
)

func (c ContentsConfig) withDefaults() ContentsConfig {
	if c.Bytes == 0 {
		c.Bytes = defaultBytes
	}
	if c.MaxFile == 0 {
		c.MaxFile = min(defaultMaxFile, c.longest())
	}
	if c.Tally == nil {
		c.Tally = new(tally.Cache)
	}
	return c
}

// Validate reports the first field that can't be used.
func (c ContentsConfig) Validate() error {
	d := c.withDefaults()
	switch {
	case d.Bytes < minBytes:
		return fmt.Errorf("content cache of %d bytes: want at least %d, or none at all", c.Bytes, minBytes)
	case d.MaxFile < 0 || d.MaxFile > d.longest():
		return fmt.Errorf("content cache for files of up to %d bytes: want at most an eighth of its size, %d", c.MaxFile, d.longest())
	}
	return nil
}

// longest is the length of the largest content that is fetched for many at once.
func (c ContentsConfig) longest() int64 { return c.Bytes / longestShare }

func (c ContentsConfig) counters() int64 {
	return 1 << (bits.Len64(uint64(10*c.Bytes/typicalContent)) - 1)
}

// room is what remains for contents that are kept.
func (c ContentsConfig) room() int64 {
	return c.Bytes - c.Bytes/wayShare - contentFixedBytes - counterBytes*c.counters()
}

// ErrGivenUp is why a content that was under way did not come, if it was not for what
// brings it: the cache was closed.
var ErrGivenUp = errors.New("content given up")

// Contents keeps the bytes of small files that are asked for often, and has those that
// many ask for at the same time fetched once. Its methods may be called by many
// goroutines, Close among them.
//
// A content is whole when it is kept: it is handed to ristretto after its last byte,
// and never changes. Which ones stay is ristretto's to say, by how often each was
// asked for, kept or not.
//
// Memory. What is kept counts for ristretto. All else that is in memory counts for
// underWay: from the beginning of a fetch until it is kept or everybody has left it,
// and again from the moment when ristretto drops it, until its last reader has left.
// When underWay is used up nothing new is begun, and readers fetch for themselves.
type Contents struct {
	config  ContentsConfig
	kept    *ristretto.Cache[uint64, *Content]
	stripes [stripes]contentStripe

	underWay atomic.Int64 // bytes
	number   atomic.Int64 // of contents that are kept

	// changing is held, shared, over changes of what is kept that come from outside:
	// ristretto must not be closed under them. It is taken before a stripe's lock.
	changing sync.RWMutex

	ctx    context.Context // of all fills; ends with Close
	cancel context.CancelCauseFunc
	fills  sync.WaitGroup
	once   sync.Once // Close
}

// contentStripe is the part of the contents that shares a lock.
type contentStripe struct {
	// mu guards the two below. It is also held, shared, over a look into what is kept:
	// ristretto must not be read while it is closed. It is not held over anything by
	// which ristretto may drop a content, because that takes it.
	mu     sync.RWMutex
	closed bool
	// coming is the contents that can be joined: those that are being fetched, and
	// those that were and are not kept, as long as somebody reads them.
	coming map[mogile.FID]*Content

	_ [64]byte // keeps neighbours' locks in other cache lines
}

// NewContents returns an empty cache. Close it after use.
func NewContents(config ContentsConfig) (*Contents, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	config = config.withDefaults()
	c := &Contents{config: config}
	var err error
	c.kept, err = ristretto.NewCache(&ristretto.Config[uint64, *Content]{
		NumCounters:        config.counters(),
		MaxCost:            config.room(),
		BufferItems:        getBuffer,
		KeyToHash:          func(hash uint64) (uint64, uint64) { return hash, 0 },
		IgnoreInternalCost: true, // Content.held has it
		OnEvict:            c.evicted,
		OnExit:             c.dropped,
	})
	if err != nil {
		return nil, fmt.Errorf("open content cache: %w", err)
	}
	c.ctx, c.cancel = context.WithCancelCause(context.Background())
	for i := range c.stripes {
		c.stripes[i].coming = map[mogile.FID]*Content{}
	}
	return c, nil
}

// Keeps reports whether a content of that length may be kept.
func (c *Contents) Keeps(length int64) bool { return length <= c.config.MaxFile }

// Get returns the content if all of it is in memory, and otherwise nil. The caller
// releases it.
func (c *Contents) Get(fid mogile.FID, length int64) *Content {
	s := c.stripe(fid)
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return nil
	}
	x := c.keptLocked(fid, length)
	if x != nil {
		c.config.Tally.Hits.Add(1)
	} else {
		c.config.Tally.Misses.Add(1)
	}
	return x
}

// keptLocked needs the stripe's lock, shared or not.
func (c *Contents) keptLocked(fid mogile.FID, length int64) *Content {
	x, ok := c.kept.Get(scatter(fid))
	// Of another length it is a file of another database, or of this one before it was
	// set back.
	if !ok || int64(len(x.bytes)) != length || !x.hold() {
		return nil
	}
	return x
}

// Wanted is a content that is to be fetched.
type Wanted struct {
	FID    mogile.FID
	Length int64
	// Whole shows readers nothing before the fill has said that all is right.
	Whole bool
}

// Fill brings a content, all of it and in order. It returns nil only if the bytes are
// right. It must end soon after ctx does.
type Fill func(ctx context.Context, to *Filling) error

// Join returns the content as it comes in: for the first who asks fill brings it, and
// the others follow. The caller releases it. When the last one who follows leaves, the
// fill ends. Join returns nil when the content is too long to be shared or there is no
// memory left for it; then the caller is on its own. It says whether it began the fill.
func (c *Contents) Join(w Wanted, fill Fill) (x *Content, began bool) {
	if w.Length > c.config.longest() {
		return nil, false
	}
	s := c.stripe(w.FID)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, false
	}
	if x := s.coming[w.FID]; x != nil && int64(len(x.bytes)) == w.Length && x.hold() {
		return x, false
	}
	if x := c.keptLocked(w.FID, w.Length); x != nil { // since the caller looked
		return x, false
	}
	x = c.allot(w)
	if x == nil {
		return nil, false
	}
	s.coming[w.FID] = x
	ctx, cancel := context.WithCancel(c.ctx)
	x.cancel = cancel
	c.config.Tally.Loads.Add(1)
	c.fills.Go(func() {
		defer cancel()
		c.run(ctx, x, w.Whole, fill)
	})
	return x, true
}

// allot makes a content that the caller and its fill hold, if there is memory for it.
func (c *Contents) allot(w Wanted) *Content {
	need := w.Length + contentTableBytes
	if c.underWay.Add(need) > c.config.Bytes/wayShare {
		c.underWay.Add(-need)
		return nil
	}
	x := newContent(c, w)
	c.underWay.Add(x.held - need)
	return x
}

// run fills x and tells its readers how that ended.
func (c *Contents) run(ctx context.Context, x *Content, whole bool, fill Fill) {
	// In a defer, so that a fill that ends its goroutine hangs nobody.
	err := errors.New("fill content: ended without an answer")
	defer func() { c.end(x, err) }()
	to := &Filling{content: x, whole: whole}
	err = callFill(ctx, to, fill)
	switch {
	case context.Cause(c.ctx) != nil:
		err = ErrGivenUp
	case err == nil && to.n != int64(len(x.bytes)):
		err = fmt.Errorf("fill content: %d bytes came; want %d", to.n, len(x.bytes))
	}
}

// end shows the content, whole, or its failure.
//
// Order: one that failed can't be joined any more before its readers learn of it, or
// one of them could come back to it. One that is kept is found there before it is
// taken from those that can be joined, so that nobody begins anew in between.
func (c *Contents) end(x *Content, err error) {
	if err != nil {
		c.config.Tally.LoadErrors.Add(1)
		c.takeAway(x)
		x.end(err)
		x.Release()
		return
	}
	x.end(nil)
	if c.Keeps(int64(len(x.bytes))) {
		c.keep(x)
	}
	x.Release()
}

// keep hands a whole content to ristretto, which may drop it at once: then it can be
// joined until it is released.
func (c *Contents) keep(x *Content) {
	x.refs.Add(1) // given back by dropped
	c.number.Add(1)
	if !c.kept.Set(scatter(x.fid), x, x.held) {
		x.refs.Add(-1) // the fill still holds it
		c.number.Add(-1)
		return
	}
	c.kept.Wait()
	c.underWay.Add(-x.held)
	if !x.isDropped.Load() && c.takeAway(x) {
		c.kept.Del(scatter(x.fid)) // Remove came before it was kept
	}
}

// evicted is told by ristretto of what made room for others, and of all there is when it is closed.
func (c *Contents) evicted(*ristretto.Item[*Content]) {
	if c.ctx.Err() == nil {
		c.config.Tally.Evictions.Add(1)
	}
}

// dropped is told by ristretto that it does not keep x any more.
func (c *Contents) dropped(x *Content) {
	if x == nil { // there was none
		return
	}
	x.isDropped.Store(true)
	c.number.Add(-1)
	c.underWay.Add(x.held)
	x.Release()
}

// takeAway makes x nobody's to join, and reports whether it is unwanted altogether.
func (c *Contents) takeAway(x *Content) (unwanted bool) {
	s := c.stripe(x.fid)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.coming[x.fid] == x {
		delete(s.coming, x.fid)
	}
	return x.unwanted
}

// Remove forgets a content and reports whether there was one. Who reads it reads on;
// if it is on its way it will not be kept.
func (c *Contents) Remove(fid mogile.FID) bool {
	c.changing.RLock()
	defer c.changing.RUnlock()
	s := c.stripe(fid)
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return false
	}
	x := s.coming[fid]
	if x != nil {
		x.unwanted = true
		delete(s.coming, fid)
	}
	_, known := c.kept.Get(scatter(fid))
	s.mu.Unlock()
	c.kept.Del(scatter(fid))
	return known || x != nil
}

// RemoveAll forgets every content and returns how many there were.
func (c *Contents) RemoveAll() int {
	removed := 0
	for _, fid := range c.fids() {
		if c.Remove(fid) {
			removed++
		}
	}
	return removed
}

// fids is of all contents, with those on their way first: one that is kept meanwhile
// is found twice and not missed.
func (c *Contents) fids() (fids []mogile.FID) {
	c.changing.RLock()
	defer c.changing.RUnlock()
	for i := range c.stripes {
		s := &c.stripes[i]
		s.mu.RLock()
		fids = slices.AppendSeq(fids, maps.Keys(s.coming))
		closed := s.closed
		s.mu.RUnlock()
		if closed {
			return nil
		}
	}
	c.kept.IterValues(func(x *Content) (stop bool) {
		fids = append(fids, x.fid)
		return false
	})
	return fids
}

// Close forgets all. It ends the fills under way and waits for them; their readers get
// ErrGivenUp and fetch for themselves, as do those who come later. What is being read
// stays readable.
func (c *Contents) Close() {
	c.once.Do(func() {
		for i := range c.stripes {
			c.stripes[i].close()
		}
		c.cancel(ErrGivenUp)
		c.fills.Wait()
		c.changing.Lock()
		defer c.changing.Unlock()
		c.kept.Close()
	})
}

func (s *contentStripe) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
}

func (c *Contents) stripe(fid mogile.FID) *contentStripe {
	return &c.stripes[scatter(fid)>>32%stripes]
}

// scatter spreads fids, which are neighbours, over all bits, as ristretto expects of a
// hash. Each step can be undone, so no two fids meet.
func scatter(fid mogile.FID) uint64 {
	h := uint64(fid) * 0x9e3779b97f4a7c15 // the golden ratio, an odd number
	return h ^ h>>32
}
