package live

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"
)

const (
	// beatEvery is how often a watcher hears that all is as it was.
	beatEvery = 5 * time.Second
	// writeTime is how long one may take to take what it is sent.
	writeTime = 10 * time.Second
	// retry is when a browser whose stream ended asks again, in milliseconds.
	retry = 1000
)

// ErrTooMany refuses a watcher.
var ErrTooMany = errors.New("too many watch the dashboard: close some")

// Stream writes what happens as server-sent events until the watcher goes, ended is closed
// or the Live is: "state" has a [State], "samples" a list of [Sample] with those that are
// new, or all at first, and "beat" has nothing. An error is [ErrTooMany], and nothing has
// been written then.
func (l *Live) Stream(w http.ResponseWriter, r *http.Request, ended <-chan struct{}) error {
	if !l.enter() {
		return ErrTooMany
	}
	defer l.leave()
	l.wake()
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("X-Accel-Buffering", "no")
	v := &watcher{live: l, w: w, control: http.NewResponseController(w)}
	if !v.write("retry: %d\n\n", retry) {
		return nil
	}
	beat := time.NewTicker(beatEvery)
	defer beat.Stop()
	for {
		changed, ok := v.catchUp()
		if !ok {
			return nil
		}
		select {
		case <-changed:
		case <-beat.C:
			if !v.write("event: beat\ndata: {}\n\n") {
				return nil
			}
		case <-ended:
			return nil
		case <-l.ctx.Done():
			return nil
		case <-r.Context().Done():
			return nil
		}
	}
}

func (l *Live) enter() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.watchers == maxWatchers {
		return false
	}
	l.watchers++
	return true
}

func (l *Live) leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.watchers--
}

// watcher is one of those who watch.
type watcher struct {
	live    *Live
	w       http.ResponseWriter
	control *http.ResponseController
	state   []byte // sent last
	taken   int    // samples seen, of all ever taken
}

// catchUp sends what is new, and returns what tells of more. false: it has gone.
func (v *watcher) catchUp() (changed <-chan struct{}, ok bool) {
	l := v.live
	l.mu.Lock()
	state, taken, changed := l.state, l.taken, l.changed
	fresh := append([]Sample{}, l.samples[len(l.samples)-min(taken-v.taken, len(l.samples)):]...)
	l.mu.Unlock()
	if len(fresh) > 0 {
		text, err := json.Marshal(fresh)
		if err != nil || !v.write("event: samples\ndata: %s\n\n", text) {
			return nil, false
		}
	}
	if state != nil && (v.state == nil || &state[0] != &v.state[0]) {
		if !v.write("event: state\ndata: %s\n\n", state) {
			return nil, false
		}
	}
	v.state, v.taken = state, taken
	return changed, true
}

func (v *watcher) write(format string, args ...any) bool {
	// Not all writers have deadlines; those of a server do.
	_ = v.control.SetWriteDeadline(time.Now().Add(writeTime))
	if _, err := fmt.Fprintf(v.w, format, args...); err != nil {
		return false
	}
	return v.control.Flush() == nil
}
