package cache

import (
	"fmt"
	"math/bits"
	"time"

	"github.com/mogilefs/caddy-mogilefs/tally"
)

// Config says how much is remembered and for how long.
type Config struct {
	// Bytes bounds the memory, bookkeeping included; 0 means 64 MiB, less than
	// 1 MiB is refused.
	Bytes int64
	// TTL is how long a location is believed, and so how late a change made by
	// another process may be seen; 0 means 60 s. One that is asked for in its last tenth
	// is loaded again before it is over.
	TTL time.Duration
	// NegativeTTL is how long an absence is believed; 0 means 1 s, less than 0
	// that absences are not remembered.
	NegativeTTL time.Duration
	// Stale is how long after its TTL a location still serves while loading fails, and
	// only then; 0 means 1 h, less than 0 that it does not.
	Stale time.Duration
	// Tally is where is counted what becomes of look-ups; nil means that nobody wants to know.
	Tally *tally.Cache
}

const (
	defaultBytes       = 64 << 20
	defaultTTL         = time.Minute
	defaultNegativeTTL = time.Second
	defaultStale       = time.Hour

	// minBytes leaves room for entries beside the tables of fixed size.
	minBytes = 1 << 20
	// fixedBytes is ristretto's queue of 32,768 pending sets and its empty shards.
	fixedBytes = 8*32768 + 16<<10
	// typicalEntry is what an entry with two copies and a short key costs; it only
	// sizes the table of frequencies.
	typicalEntry = 600
	// counterBytes is what ristretto needs for one frequency counter: measured, sketch
	// and bloom filter together.
	counterBytes = 4
)

// Validate reports the first field that can't be used.
func (c Config) Validate() error {
	switch {
	case c.Bytes != 0 && c.Bytes < minBytes:
		return fmt.Errorf("location cache of %d bytes: want at least %d, or none at all", c.Bytes, minBytes)
	case c.TTL < 0:
		return fmt.Errorf("location cache ttl %s: want more than 0", c.TTL)
	}
	return nil
}

func (c Config) withDefaults() Config {
	if c.Bytes == 0 {
		c.Bytes = defaultBytes
	}
	if c.TTL == 0 {
		c.TTL = defaultTTL
	}
	if c.NegativeTTL == 0 {
		c.NegativeTTL = defaultNegativeTTL
	}
	if c.Stale == 0 {
		c.Stale = defaultStale
	}
	c.Stale = max(c.Stale, 0)
	if c.Tally == nil {
		c.Tally = new(tally.Cache)
	}
	return c
}

// counters is the number of frequency counters: about ten for an entry, and a
// power of two, because ristretto rounds up to one and we account for what it
// really takes.
func (c Config) counters() int64 {
	return 1 << (bits.Len64(uint64(10*c.Bytes/typicalEntry)) - 1)
}

// generations is how many generations the keys share. Keys that share one are forgotten
// together, and while no tracker answers such a key is lost. With more than two for each
// entry, a change costs less than one other key its place.
func (c Config) generations() int64 { return c.counters() / 4 }

// room is what remains for entries.
func (c Config) room() int64 {
	return c.Bytes - fixedBytes - 8*c.generations() - counterBytes*c.counters()
}
