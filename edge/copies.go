package edge

import (
	"cmp"
	"slices"
	"sync/atomic"
	"time"

	"github.com/mogilefs/caddy-mogilefs/mogile"
)

const (
	// suspectFor is how long a device that failed is tried last: long enough to
	// spare requests its timeouts, short enough to notice that it is back.
	suspectFor = 5 * time.Second
	// suspectSlots bounds the memory of failed devices. Devices that share a slot are
	// suspected together, which only changes the order of copies.
	suspectSlots = 1024
)

// suspects remembers which devices failed lately, without a lock: until when, in
// unix nanoseconds, by devid.
type suspects [suspectSlots]atomic.Int64

func (s *suspects) add(dev mogile.DevID, now time.Time) {
	s[dev%suspectSlots].Store(now.Add(suspectFor).UnixNano())
}

func (s *suspects) has(dev mogile.DevID, now time.Time) bool {
	until := s[dev%suspectSlots].Load()
	return until != 0 && now.UnixNano() < until
}

// How copies are ranked. Within a rank the tracker's order stands.
const (
	rankLocal = iota
	rankRemote
	rankSuspect
)

func (e *Edge) rank(c mogile.Copy, now time.Time) int {
	switch {
	case e.suspects.has(c.Dev, now):
		return rankSuspect
	case e.local(c):
		return rankLocal
	}
	return rankRemote
}

func (e *Edge) local(c mogile.Copy) bool { return e.config.Disks != nil && e.config.Disks.Local(c) }

// order returns the copies as they are to be tried. It does not change the list,
// which is shared, and makes a new one only when the order differs.
func (e *Edge) order(copies []mogile.Copy) []mogile.Copy {
	if len(copies) < 2 {
		return copies
	}
	now := time.Now()
	byRank := func(a, b mogile.Copy) int { return cmp.Compare(e.rank(a, now), e.rank(b, now)) }
	if slices.IsSortedFunc(copies, byRank) {
		return copies
	}
	return slices.SortedStableFunc(slices.Values(copies), byRank)
}
