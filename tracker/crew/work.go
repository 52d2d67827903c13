package crew

import (
	"context"
	"time"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
)

// fresh is how long what was read with a claim will do for a first look.
const fresh = time.Second

// Source is a queue that a crew works from.
type Source struct {
	Queue store.QueueName
	// Do works on a row. An error is one failure more: the row is due again after
	// [Backoff]. So is a panic.
	Do func(ctx context.Context, w Work) (Outcome, error)
	// Load reads with a claim, for many rows at once, what Do wants to know of each; nil
	// when that is nothing. A fid that it does not mention has the zero Known. When it
	// fails, Do is not called, and the rows have failed.
	Load func(ctx context.Context, fids []mogile.FID) (map[mogile.FID]store.Known, error)
	// Erased is true in the queue whose rows end with [store.Queue.FinishErased].
	Erased bool
}

// Work is a row in hand.
type Work struct {
	store.Item
	// Known is what Load has read when Loaded. That was some time ago, and without the
	// fid's lock: who changes something reads again.
	Known  store.Known
	Loaded bool

	loaded time.Time // when
	err    error     // of Load
	claim  *claim
	from   *claims
}

// Fresh reports whether Known will do for a first look, by which nothing is changed but
// the row.
func (w Work) Fresh() bool { return w.Loaded && time.Since(w.loaded) < fresh }

// Outcome is what is to become of a row.
type Outcome struct {
	Fate  Fate
	Delay time.Duration  // of Postponed
	Gone  []mogile.DevID // copies whose bytes are gone, of Finished in the delete queue
	Anew  bool           // of Postponed: failures begin to count anew
}

// Fate is the kind of an [Outcome].
type Fate uint8

// The fates.
const (
	Finished  Fate = iota // done: the row goes
	Postponed             // due again after Delay, one failure more
	Parked                // due never, until an operator says so
	Left                  // comes back when its claim runs out
	Returned              // due at once, as if it had never been claimed
)

// Backoff is how long to wait after so many failures (docs/spec/jobs.md §4.1), give or
// take a fifth, so that what failed together is not tried again together.
func Backoff(failCount int, rand func() float64) time.Duration {
	seconds := [...]float64{15, 60, 300, 1800, 3600, 7200, 14400, 28800, 86400}
	base := seconds[min(max(failCount, 0), len(seconds)-1)]
	return time.Duration(base * (0.8 + 0.4*rand()) * float64(time.Second))
}
