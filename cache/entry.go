package cache

import (
	"slices"
	"strings"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/mogilefs/caddy-mogilefs/mogile"
)

// Entry is a key's location as a load saw it. Many readers share it: the location
// must not be changed. An Entry made of a location alone is good for a reader
// without a cache.
type Entry struct {
	mogile.Location

	domain     mogile.DomainName
	key        mogile.Key
	generation uint64
	// absent is what load said of a key that is not there; nil for a location.
	absent error
	// fresh and usable end the times in which the entry is believed, and in which
	// it may serve while loading fails; on the clock of Locations.now.
	fresh, usable time.Duration

	// ahead is when the entry is to be renewed while it is still fresh, if somebody
	// asks for it then; on the same clock.
	ahead atomic.Int64
	// retry is 0 until a load failed that was to replace this entry; then the time of
	// the next attempt, once the entry is stale.
	retry atomic.Int64
	// doubted is set when a copy was not where the entry has it.
	doubted atomic.Bool
	// modified is in unix seconds, which is all that HTTP dates hold; 0 is unknown.
	modified atomic.Int64
}

// Doubt notes that a copy was not where the entry has it, and reports whether that is
// news: the caller then asks again, past the cache. It is not when the same was noted
// before and asking brought the same copies.
func (e *Entry) Doubt() (news bool) { return e.doubted.CompareAndSwap(false, true) }

// inherit takes over what was learned about the same content from the entry before.
func (e *Entry) inherit(old *Entry) {
	if old.key != e.key || old.domain != e.domain || old.FID != e.FID {
		return
	}
	e.Remember(old.Modified())
	if old.doubted.Load() && slices.Equal(old.Copies, e.Copies) {
		e.doubted.Store(true)
	}
}

// Modified is the time of modification that was remembered; zero when none was.
func (e *Entry) Modified() time.Time {
	if s := e.modified.Load(); s != 0 {
		return time.Unix(s, 0).UTC()
	}
	return time.Time{}
}

// Remember notes when the content was modified and returns the time that counts:
// the one that was remembered first, because the copies of a file differ in it
// and clients should see one. A time not after 1970 is none.
func (e *Entry) Remember(modified time.Time) time.Time {
	// Looked at first: readers of a hot entry should not take its cache line from
	// each other.
	if s := modified.Unix(); s > 0 && e.modified.Load() == 0 {
		e.modified.CompareAndSwap(0, s)
	}
	return e.Modified()
}

func (e *Entry) found(origin Origin, now time.Duration) (Found, error) {
	if e.absent != nil {
		return Found{Origin: origin, TTL: e.fresh - now}, e.absent
	}
	return Found{e, origin, e.fresh - now}, nil
}

// renewalDue reports whether the caller is to renew a fresh entry. It says so to one
// caller a second at most.
func (e *Entry) renewalDue(now time.Duration) bool {
	due := e.ahead.Load()
	return int64(now) >= due && e.ahead.CompareAndSwap(due, int64(now+staleRetry))
}

// failed notes that a load that was to replace the entry failed.
func (e *Entry) failed(now time.Duration) { e.retry.Store(int64(now + staleRetry)) }

// waitsForRetry reports whether a stale entry is to be served at once: a load has
// failed already and the next attempt is not due, or somebody else just makes it.
// So in an outage one request a second and key waits for the tracker, not all.
func (e *Entry) waitsForRetry(now time.Duration) bool {
	due := e.retry.Load()
	return due != 0 && (int64(now) < due || !e.retry.CompareAndSwap(due, int64(now+staleRetry)))
}

// own replaces strings that are parts of longer ones (a request's path, a
// tracker's answer), which the entry would keep alive and not account for.
func (e *Entry) own() {
	e.domain = mogile.DomainName(strings.Clone(string(e.domain)))
	e.key = mogile.Key(strings.Clone(string(e.key)))
	e.Checksum.Sum = slices.Clone(e.Checksum.Sum)
	copies := make([]mogile.Copy, len(e.Copies))
	for i, c := range e.Copies {
		copies[i] = mogile.Copy{Dev: c.Dev, URL: strings.Clone(c.URL)}
	}
	e.Copies = copies
}

// tableBytes is what an entry takes beside its own bytes, measured over a full cache:
// its rows in ristretto's map and in the policy's, which are between half and fully
// loaded, and what the allocator rounds up.
const tableBytes = 256

// absentBytes stands for the error of an absence: a few wrapped sentinels.
const absentBytes = 160

func (e *Entry) cost() int64 {
	n := tableBytes + int(unsafe.Sizeof(*e)) + len(e.domain) + len(e.key) + len(e.Checksum.Sum)
	for _, c := range e.Copies {
		n += int(unsafe.Sizeof(c)) + len(c.URL)
	}
	if e.absent != nil {
		n += absentBytes
	}
	return int64(n)
}
