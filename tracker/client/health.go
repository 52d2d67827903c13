package client

import (
	"time"

	"go.uber.org/zap"

	"github.com/mogilefs/caddy-mogilefs/tracker/protocol"
)

// A tracker that can't be reached, hangs up, does not answer in time or speaks another
// language is left aside, so that it costs one request its patience and not each. How
// long doubles with each failure: soon enough for a tracker that restarts, seldom
// enough for one that is gone.
const (
	firstPause = time.Second
	maxPause   = 15 * time.Second
)

// health is what is known of a tracker's. The zero health is good.
type health struct {
	// pause is how long the tracker is left aside this time; 0 when it is well.
	pause time.Duration
	// until is when it may be tried again.
	until time.Time
	// probing is set while a probe runs; those who wait for its result are in tell.
	probing bool
	tell    []chan<- probed
}

// probed is the result of a probe.
type probed struct {
	tracker *tracker
	err     error
}

// ready reports whether requests may go to the tracker. When it was left aside for
// long enough, a probe finds out whether it is well again, at no request's cost.
func (t *tracker) ready() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.health.pause == 0 {
		return true
	}
	if !time.Now().Before(t.health.until) {
		t.probeLocked(nil)
	}
	return false
}

// probe has the result of a probe sent to tell, which has room for it. There is one
// probe at a time, however many want to know.
func (t *tracker) probe(tell chan<- probed) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.probeLocked(tell)
}

func (t *tracker) probeLocked(tell chan<- probed) {
	if t.closed {
		if tell != nil {
			tell <- probed{t, ErrClosed}
		}
		return
	}
	if tell != nil {
		t.health.tell = append(t.health.tell, tell)
	}
	if t.health.probing {
		return
	}
	t.health.probing = true
	t.probes.Go(t.runProbe)
}

func (t *tracker) runProbe() {
	_, broken := t.try(t.ctx, question{
		lines: protocol.AppendRequest(nil, "noop", protocol.Pairs{}), count: 1, repeatable: true,
		patience: t.config.Timeout,
	})
	result := probed{tracker: t}
	if broken != nil {
		result.err = broken.err
	}
	t.mu.Lock()
	waiting := t.health.tell
	t.health.tell, t.health.probing = nil, false
	t.mu.Unlock()
	for _, tell := range waiting {
		tell <- result
	}
}

// failed leaves the tracker aside. Requests that failed together with the first one
// tell nothing new.
func (t *tracker) failed(err error) {
	now := time.Now()
	t.mu.Lock()
	if now.Before(t.health.until) {
		t.mu.Unlock()
		return
	}
	first := t.health.pause == 0
	t.health.pause = min(max(2*t.health.pause, firstPause), maxPause)
	t.health.until = now.Add(t.health.pause)
	t.mu.Unlock()
	t.dropIdle()
	if first {
		t.log.Warn("tracker is left aside", zap.Error(err))
	}
}

// answered says that the tracker is well.
func (t *tracker) answered() {
	t.mu.Lock()
	was := t.health.pause
	t.health.pause, t.health.until = 0, time.Time{}
	t.mu.Unlock()
	if was > 0 {
		t.log.Info("tracker is back")
	}
}
