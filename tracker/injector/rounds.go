package injector

import (
	"context"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
)

// rounds are an injector's turns, one after the other, and how it is told that there is
// something new.
type rounds struct {
	log  *zap.Logger
	rung chan struct{} // holds one
	held atomic.Bool   // by the operator's word on job_master
}

func newRounds(log *zap.Logger) rounds { return rounds{log: log, rung: make(chan struct{}, 1)} }

// Wake says that the settings of a run may have changed. It never waits; saying it often at
// once is saying it once.
func (r *rounds) Wake() {
	select {
	case r.rung <- struct{}{}:
	default:
	}
}

// Hold keeps it from queueing anything, or no longer.
func (r *rounds) Hold(held bool) {
	r.held.Store(held)
	r.Wake()
}

// run has turns until ctx is over: the next comes a pause after the last, or when somebody
// calls. Of errors one after the other the first is logged, with what does not go on.
func (r *rounds) run(ctx context.Context, what string, turn func(ctx context.Context, called bool) (pause time.Duration, err error)) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	failed := false
	for {
		called := r.rest(ctx, timer.C)
		if ctx.Err() != nil {
			return
		}
		pause, err := turn(ctx, called)
		if err != nil && ctx.Err() == nil && !failed {
			r.log.Error(what, zap.Error(err))
		}
		failed = err != nil
		timer.Reset(pause)
	}
}

// rest waits for the next turn and reports whether somebody has called for it. A call and a
// tick that have come by then are one turn.
func (r *rounds) rest(ctx context.Context, tick <-chan time.Time) (called bool) {
	select {
	case <-tick:
	case <-r.rung:
		return true
	case <-ctx.Done():
		return false
	}
	select {
	case <-r.rung:
		return true
	default:
		return false
	}
}
