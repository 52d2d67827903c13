package edge

import (
	"net/http"
	"strconv"
	"time"

	"github.com/mogilefs/caddy-mogilefs/cache"
	"github.com/mogilefs/caddy-mogilefs/mogile"
)

// Outcome is what became of a request, for logs and headers. It is complete, but for
// the time that the body takes, when the header of the answer goes out, and when Serve
// returns an error.
type Outcome struct {
	// FID is the content that was asked for or stored; 0 when there was none.
	FID mogile.FID
	// Copy is the device that the answer came from, or went to; 0 when no copy was
	// touched.
	Copy mogile.DevID
	// Cache is how far memory helped a GET or HEAD; empty for other requests.
	Cache CacheUse

	origin cache.Origin
	ttl    time.Duration
	bytes  bytesFrom

	clock time.Time // when the last step ended; zero when nobody asked
	steps []step
}

// CacheUse is how far memory helped a read.
type CacheUse string

// From most to least.
const (
	// CacheContent: the bytes were in memory.
	CacheContent CacheUse = "content"
	// CacheShared: the bytes were on their way for another request.
	CacheShared CacheUse = "shared"
	// CacheLocation: it was known where the file is, or that there is none.
	CacheLocation CacheUse = "location"
	// CacheStale: that was known, and no tracker can tell whether it still holds.
	CacheStale CacheUse = "stale"
	// CacheMiss: a tracker was asked.
	CacheMiss CacheUse = "miss"
)

// bytesFrom is where a body comes from.
type bytesFrom uint8

const (
	bytesFetched bytesFrom = iota // from a copy, or there is no body
	bytesShared                   // from a copy that another request began to fetch
	bytesKept                     // from memory
)

// step is a part of a request's time.
type step struct {
	name string
	took time.Duration
}

// located notes where the location came from.
func (o *Outcome) located(found cache.Found) {
	o.origin, o.ttl, o.FID = found.Origin, found.TTL, 0
	if found.Entry != nil {
		o.FID = found.FID
	}
}

// mark ends a step, if somebody wants to know how long they take.
func (o *Outcome) mark(name string) {
	if o.clock.IsZero() {
		return
	}
	now := time.Now()
	o.steps = append(o.steps, step{name, now.Sub(o.clock)})
	o.clock = now
}

// settle says how far memory helped.
func (o *Outcome) settle() {
	switch {
	case o.bytes == bytesKept:
		o.Cache = CacheContent
	case o.bytes == bytesShared:
		o.Cache = CacheShared
	case o.origin == cache.Remembered:
		o.Cache = CacheLocation
	case o.origin == cache.Stale:
		o.Cache = CacheStale
	default:
		o.Cache = CacheMiss
	}
}

// tell is the last that is done to the header of an answer to a read.
func (e *Edge) tell(h http.Header, o *Outcome) {
	o.settle()
	if e.config.CacheStatus {
		h.Set("Cache-Status", o.cacheStatus())
	}
	e.tellTiming(h, o)
}

func (e *Edge) tellTiming(h http.Header, o *Outcome) {
	if len(o.steps) > 0 {
		h.Set("Server-Timing", o.serverTiming())
	}
}

// cacheStatus is the header's value by RFC 9211: a hit is what asked neither a tracker
// nor a copy.
func (o *Outcome) cacheStatus() string {
	b := []byte("mogilefs; ")
	switch {
	case o.origin == cache.Loaded:
		b = append(b, "fwd=uri-miss"...)
	case o.bytes == bytesKept || o.Copy == 0:
		b = append(b, "hit"...)
	case o.origin == cache.Stale:
		b = append(b, "fwd=stale"...)
	default:
		b = append(b, "fwd=miss"...)
	}
	if o.bytes == bytesShared {
		b = append(b, "; collapsed"...)
	}
	if o.origin != cache.Loaded {
		b = append(b, "; ttl="...)
		b = strconv.AppendInt(b, int64(o.ttl/time.Second), 10)
	}
	return string(append(append(b, "; detail="...), o.Cache...))
}

// serverTiming is the header's value, in milliseconds.
func (o *Outcome) serverTiming() string {
	var b []byte
	for i, s := range o.steps {
		if i > 0 {
			b = append(b, ", "...)
		}
		b = append(append(b, s.name...), ";dur="...)
		b = strconv.AppendFloat(b, float64(s.took)/float64(time.Millisecond), 'f', 3, 64)
	}
	return string(b)
}
