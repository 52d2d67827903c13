package injector

import "time"

// takeoverAfter is how long a run may show no sign of life while it could go on.
const takeoverAfter = time.Minute

// vigil watches a run on another tracker. The zero value has seen nothing.
type vigil struct {
	sight string    // what the run looked like
	since time.Time // when it began to
}

// keep notes what a run looks like and reports whether its tracker is to be taken for dead:
// it has not moved for long, though it had reason to.
func (v *vigil) keep(sight string, reason bool, now time.Time) (dead bool) {
	if sight != v.sight || v.since.IsZero() || !reason {
		v.sight, v.since = sight, now
		return false
	}
	return now.Sub(v.since) >= takeoverAfter
}

// end is for when there is no such run any more, or one of our own.
func (v *vigil) end() { *v = vigil{} }
