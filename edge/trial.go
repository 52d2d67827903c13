package edge

import (
	"context"
	"errors"

	"github.com/mogilefs/caddy-mogilefs/cache"
	"github.com/mogilefs/caddy-mogilefs/edge/health"
	"github.com/mogilefs/caddy-mogilefs/mogile"
)

// trial goes through the copies of a file once. A copy that failed is not tried again. One
// that was left because it was silent is, when all others have failed: then with all the
// patience that there is.
type trial struct {
	e     *Edge
	entry *cache.Entry

	left    []mogile.Copy // not failed yet, in the order of trial; the first is the present one
	silent  []mogile.Copy // left aside meanwhile
	patient bool          // set when left was silent
	failed  bool          // set when a copy was
	// doubts says that the location was remembered: before the first byte, a copy that
	// is not there speaks against it, and so does one that says nothing, if there is no other.
	doubts bool
}

// more reports whether there is a copy to be tried.
func (t *trial) more() bool {
	if len(t.left) == 0 && len(t.silent) > 0 {
		t.left, t.silent, t.patient = t.silent, nil, true
	}
	return len(t.left) > 0
}

// next is the try of the present copy.
func (t *trial) next() attempt { return t.attempt(0) }

// attempt is the try of one of those that are left. It is not waited for when it is silent and
// there is another, be it that one failed lately, since it may be back; or if there may be one:
// a location that was remembered does not tell of copies that could not be reached when it was
// loaded.
func (t *trial) attempt(i int) attempt {
	return attempt{Copy: t.left[i], leaves: !t.patient && (t.doubts || len(t.left)+len(t.silent) > 1)}
}

// pass gives up the present copy because of err. It returns an error when the
// request is over, and then nobody is blamed, or when the location is wrong.
func (t *trial) pass(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	c := t.left[0]
	t.left, t.failed = t.left[1:], true
	stalled := errors.Is(err, health.ErrStalled)
	if stalled {
		t.silent = append(t.silent, c)
	}
	t.e.blame(c, t.entry.FID, err)
	if t.doubts && (isMoved(t.entry, err) || stalled && !t.e.healthy(t.left)) {
		return errMoved
	}
	return nil
}
