package live

import (
	"context"
	"encoding/json"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mogilefs/caddy-mogilefs/console"
)

const (
	// maxWatchers is how many may watch at once: some browsers of all who are on duty.
	maxWatchers = 64
	// maxSamples are two hours of them.
	maxSamples  = 720
	sampleEvery = 10 * time.Second
	// lookEvery is how often hosts and devices are looked at while somebody watches.
	// That asks the memory of the tracker.
	lookEvery = time.Second
	// countEvery is how often what has to be counted by the database is, while somebody
	// watches; but counting takes at most one part in maxShare of the time.
	countEvery = 2 * time.Second
	maxShare   = 20
	// lookTime bounds one look.
	lookTime = 20 * time.Second
)

// Source is what is looked at; [console.Console] has the contracts.
type Source interface {
	Topology(ctx context.Context) (console.Topology, error)
	Queues(ctx context.Context) (console.Queues, error)
	Jobs(ctx context.Context) (console.Jobs, error)
	Fsck(ctx context.Context) (console.Fsck, error)
	Rebalance(ctx context.Context) (console.Rebalance, error)
	Process() console.Process
}

// State is what a dashboard shows. What is null is not known.
type State struct {
	Health   console.Health     `json:"health"`
	Problems []Lasting          `json:"problems"`
	Past     []Lasting          `json:"past"`
	Process  console.Process    `json:"process"`
	Cluster  *console.Cluster   `json:"cluster"`
	Topology *console.Topology  `json:"topology"`
	Queues   *console.Queues    `json:"queues"`
	Jobs     *console.Jobs      `json:"jobs"`
	Fsck     *console.Fsck      `json:"fsck"`
	Rebal    *console.Rebalance `json:"rebalance"`
}

// Sample is how long the queues were at one moment.
type Sample struct {
	// Time is unix time.
	Time      int64 `json:"t"`
	Replicate int64 `json:"replicate"`
	Delete    int64 `json:"delete"`
	Fsck      int64 `json:"fsck"`
	Rebalance int64 `json:"rebalance"`
}

// Live watches. Its methods may be called by many goroutines.
type Live struct {
	source func() Source

	ctx    context.Context // over when Close begins
	cancel context.CancelFunc
	once   sync.Once // Start
	loop   sync.WaitGroup
	woken  chan struct{} // holds a token when somebody wants a look now
	stale  atomic.Bool   // what was counted is

	mu       sync.Mutex // guards what follows
	watchers int
	state    []byte        // encoded; nil before the first look
	samples  []Sample      // the oldest first
	taken    int           // samples ever
	changed  chan struct{} // closed when state or samples changed
}

// New allocates a Live. source is asked at every look; nil means that there is nothing to
// look at yet. Close it after use.
func New(source func() Source) *Live {
	l := &Live{source: source, woken: make(chan struct{}, 1), changed: make(chan struct{})}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	return l
}

// Start begins to watch. Starting it twice is harmless.
func (l *Live) Start() {
	l.once.Do(func() { l.loop.Go(l.run) })
}

// Close ends all watching and waits for it. Calling it twice is harmless.
func (l *Live) Close() error {
	l.cancel()
	l.once.Do(func() {}) // nothing starts any more
	l.loop.Wait()
	return nil
}

// Recount has everything looked at now, because something was changed.
func (l *Live) Recount() {
	l.stale.Store(true)
	l.wake()
}

// wake has the loop look now.
func (l *Live) wake() {
	select {
	case l.woken <- struct{}{}:
	default:
	}
}

// publish makes a state known, if it is another one.
func (l *Live) publish(s State) {
	text, err := json.Marshal(s)
	if err != nil { // of a float that is no number, which nobody makes
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if string(text) != string(l.state) {
		l.state = text
		l.tellLocked()
	}
}

func (l *Live) add(s Sample) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.samples) == maxSamples {
		l.samples = append(l.samples[:0], l.samples[1:]...)
	}
	l.samples = append(l.samples, s)
	l.taken++
	l.tellLocked()
}

func (l *Live) tellLocked() {
	close(l.changed)
	l.changed = make(chan struct{})
}

// growing is the queues that are longer at each look at the samples of the last ten
// minutes, a fifth of them at a time, and long.
func (l *Live) growing() (names []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	const span, steps, long = 60, 5, 1000
	if len(l.samples) < span {
		return nil
	}
	recent := l.samples[len(l.samples)-span:]
	for _, q := range []struct {
		name string
		of   func(Sample) int64
	}{{"replicate", func(s Sample) int64 { return s.Replicate }}, {"delete", func(s Sample) int64 { return s.Delete }}} {
		grows := q.of(recent[span-1]) >= long
		for i := 0; i+span/steps < span; i += span / steps {
			grows = grows && q.of(recent[i]) < q.of(recent[i+span/steps])
		}
		if grows {
			names = append(names, q.name)
		}
	}
	return names
}
