// Package outcome is what becomes of a request, for logs, headers and counters.
//
// An edge begins an [Outcome] with the request and notes on the way where the location and the bytes
// came from; the header of the answer is made of it, and when the request is over, so is what is
// counted. It does not know how files are found or sent.
package outcome

import (
	"strconv"
	"time"

	"github.com/mogilefs/caddy-mogilefs/cache"
	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tally"
)

// Outcome is what became of a request. It is complete, but for the time that the body takes, when the
// header of the answer goes out, and when the edge returns an error.
type Outcome struct {
	// FID is the content that was asked for or stored; 0 when there was none.
	FID mogile.FID
	// Copy is the device that the answer came from, or went to; 0 when no copy was
	// touched.
	Copy mogile.DevID
	// Cache is how far memory helped a GET or HEAD; empty for other requests.
	Cache CacheUse
	// Source is where the first byte of an answer to a GET came from.
	Source tally.Source
	// Failed is set while a copy could not be opened, and no other has been instead.
	Failed bool
	// End is how the request ended; Aborted as long as it has not.
	End tally.End

	origin cache.Origin
	ttl    time.Duration
	bytes  Bytes
	end    tally.End

	began    time.Time
	answered time.Duration // from then to the header of the answer; 0 before that
	clock    time.Time     // when the last step ended; zero when nobody asked
	steps    []step
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

// Bytes is how far memory helped with a body.
type Bytes uint8

// What there is to a body.
const (
	Fetched Bytes = iota // it is from a copy, or there is none
	Shared               // from a copy that another request began to fetch
	Kept                 // from memory
)

// step is a part of a request's time.
type step struct {
	name string
	took time.Duration
}

// Begin notes that the request has come. With steps, it will be known how long each took.
func (o *Outcome) Begin(steps bool) {
	o.began, o.End = time.Now(), tally.Aborted
	if steps {
		o.clock = o.began
	}
}

// Located notes where the location came from.
func (o *Outcome) Located(found cache.Found) {
	o.origin, o.ttl, o.FID = found.Origin, found.TTL, 0
	if found.Entry != nil {
		o.FID = found.FID
	}
}

// Remembered reports whether the location was.
func (o *Outcome) Remembered() bool { return o.origin == cache.Remembered }

// Use notes how far memory helps with the body.
func (o *Outcome) Use(b Bytes) { o.bytes = b }

// Bytes is what Use has said.
func (o *Outcome) Bytes() Bytes { return o.bytes }

// From is where bytes come from that a copy gives, which is local or not, if it does: memory may have
// them.
func (o *Outcome) From(local bool) tally.Source {
	switch {
	case o.bytes == Kept:
		return tally.Memory
	case o.bytes == Shared:
		return tally.Shared
	case local:
		return tally.Local
	}
	return tally.Remote
}

// Mark ends a step, if somebody wants to know how long they take.
func (o *Outcome) Mark(name string) {
	if o.clock.IsZero() {
		return
	}
	now := time.Now()
	o.steps = append(o.steps, step{name, now.Sub(o.clock)})
	o.clock = now
}

// Answered notes that the header goes out, and how the request will have ended when nothing
// comes between.
func (o *Outcome) Answered(end tally.End) { o.answered, o.end = max(time.Since(o.began), 1), end }

// Over ends the request as Answered has said.
func (o *Outcome) Over() { o.End = o.end }

// Count adds the request to what is counted, once it is over.
func (o *Outcome) Count(to *tally.Edge, method tally.Method) {
	to.Requests[method][o.End].Add(1)
	to.Duration[method].Observe(time.Since(o.began))
	if o.Source != tally.Nowhere && o.answered != 0 {
		to.FirstByte[o.Source].Observe(o.answered)
	}
}

// Settle says how far memory helped.
func (o *Outcome) Settle() {
	switch {
	case o.bytes == Kept:
		o.Cache = CacheContent
	case o.bytes == Shared:
		o.Cache = CacheShared
	case o.origin == cache.Remembered:
		o.Cache = CacheLocation
	case o.origin == cache.Stale:
		o.Cache = CacheStale
	default:
		o.Cache = CacheMiss
	}
}

// CacheStatus is the header's value by RFC 9211: a hit is what asked neither a tracker
// nor a copy.
func (o *Outcome) CacheStatus() string {
	b := []byte("mogilefs; ")
	switch {
	case o.origin == cache.Loaded:
		b = append(b, "fwd=uri-miss"...)
	case o.bytes == Kept || o.Copy == 0:
		b = append(b, "hit"...)
	case o.origin == cache.Stale:
		b = append(b, "fwd=stale"...)
	default:
		b = append(b, "fwd=miss"...)
	}
	if o.bytes == Shared {
		b = append(b, "; collapsed"...)
	}
	if o.origin != cache.Loaded {
		b = append(b, "; ttl="...)
		b = strconv.AppendInt(b, int64(o.ttl/time.Second), 10)
	}
	return string(append(append(b, "; detail="...), o.Cache...))
}

// ServerTiming is the header's value, in milliseconds; empty when there are no steps.
func (o *Outcome) ServerTiming() string {
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
