package cache

import (
	"maps"
	"slices"

	"github.com/mogilefs/caddy-mogilefs/mogile"
)

// Purge is Invalidate for a change that nobody announced. It returns the content that
// the key was remembered to have, and 0 when there was none.
func (l *Locations) Purge(domain mogile.DomainName, key mogile.Key) mogile.FID {
	defer l.Invalidate(domain, key)
	l.changing.RLock()
	defer l.changing.RUnlock()
	hash := l.hash(domain, key)
	if _, closed := l.stripe(hash).underWay(); closed {
		return 0
	}
	l.entries.Wait() // for what was loaded a moment ago
	// Of whatever generation: a content of before a change may be in memory, too.
	if e, ok := l.entries.Get(hash); ok && e.key == key && e.domain == domain {
		return e.FID
	}
	return 0
}

// PurgeAll makes all that was loaded up to now for the keys that match count for
// nothing, and returns the contents that were remembered for them; absences are not
// among them.
//
// Order: loads under way first, then, once ristretto has applied what was handed to it,
// the entries. A load that ends in between has handed its entry over before it is
// taken from the flights, so one of the two looks finds it.
func (l *Locations) PurgeAll(match func(mogile.DomainName, mogile.Key) bool) []mogile.FID {
	l.changing.RLock()
	defer l.changing.RUnlock()
	for i := range l.stripes {
		ids, closed := l.stripes[i].underWay()
		if closed {
			return nil
		}
		for _, id := range ids {
			if match(id.domain, id.key) {
				l.Invalidate(id.domain, id.key)
			}
		}
	}
	l.entries.Wait()
	var found []*Entry
	l.entries.IterValues(func(e *Entry) (stop bool) {
		if match(e.domain, e.key) {
			found = append(found, e)
		}
		return false
	})
	var fids []mogile.FID
	for _, e := range found {
		l.Invalidate(e.domain, e.key)
		if e.FID != 0 {
			fids = append(fids, e.FID)
		}
	}
	return fids
}

// underWay is the flights of the stripe.
func (s *stripe) underWay() (ids []flightID, closed bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return slices.Collect(maps.Keys(s.flights)), s.closed
}
