package moving

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mogilefs/caddy-mogilefs/tracker/client"
)

const (
	readers = 4
	writers = 2
	// readEvery and writeEvery are how often each of them does something.
	readEvery, writeEvery = 50 * time.Millisecond, 200 * time.Millisecond
)

// load is clients that read what there is of old, and store new files.
type load struct {
	in     *installation
	cancel context.CancelFunc
	all    sync.WaitGroup
	reads  atomic.Int64
	next   atomic.Int64
	// trackers is the addresses that writers have been given.
	trackers atomic.Pointer[[]string]
	// ended is how often each client has done what it does.
	ended [readers + writers]atomic.Int64

	began time.Time

	mu       sync.Mutex // guards the rest
	step     string     // which is being taken
	stored   []string
	failures int
}

// startLoad sets them to work; writers begin with the old tracker.
func (in *installation) startLoad() *load {
	in.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	l := &load{in: in, cancel: cancel, began: time.Now()}
	l.give(in.tracker.addr)
	in.t.Cleanup(l.end)
	for i := range readers {
		rnd := rand.New(rand.NewPCG(3, uint64(i)))
		l.all.Go(func() {
			l.repeat(ctx, readEvery, &l.ended[i], func() error {
				l.reads.Add(1)
				return in.get(in.balancer.url, oldKey(rnd.IntN(oldFiles)))
			})
		})
	}
	for i := range writers {
		w := &writer{load: l, number: i}
		l.all.Go(func() {
			defer w.close()
			l.repeat(ctx, writeEvery, &l.ended[readers+i], w.write)
		})
	}
	return l
}

// give gives writers other trackers.
func (l *load) give(trackers ...string) { l.trackers.Store(&trackers) }

func (l *load) repeat(ctx context.Context, every time.Duration, ended *atomic.Int64, do func() error) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		err := do()
		ended.Add(1)
		if err != nil {
			l.meets(err)
		}
	}
}

// meets has the test fail, and says why the first times.
func (l *load) meets(failure error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failures++; l.failures <= 10 {
		l.in.t.Errorf("%s: %v", l.step, failure)
	}
}

// writer is an application with a client library.
type writer struct {
	load   *load
	number int
	given  *[]string // of load.trackers, for client
	client *client.Client
}

// write stores a file.
func (w *writer) write() error {
	if given := w.load.trackers.Load(); given != w.given {
		w.close()
		c, err := client.New(client.Config{Addresses: inOrderOf(w.number, *given)})
		if err != nil {
			return err
		}
		w.given, w.client = given, c
	}
	key := fmt.Sprintf("new/%05d.jpg", w.load.next.Add(1))
	// A client that has begun ends what it has begun.
	if err := w.load.in.put(context.Background(), w.client, key); err != nil {
		return err
	}
	w.load.mu.Lock()
	defer w.load.mu.Unlock()
	w.load.stored = append(w.load.stored, key)
	return nil
}

// inOrderOf has different writers prefer different trackers.
func inOrderOf(writer int, trackers []string) []string {
	first := writer % len(trackers)
	return slices.Concat(trackers[first:], trackers[:first])
}

func (w *writer) close() {
	if w.client != nil {
		_ = w.client.Close() // is always nil
	}
}

// takes says which step comes, for the errors.
func (l *load) takes(step string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.step = step
	l.in.t.Logf("%.1fs: %d reads, %d files stored; now: %s", time.Since(l.began).Seconds(), l.reads.Load(), len(l.stored), step)
}

// more waits until clients have done something in this state of things.
func (l *load) more() {
	l.in.t.Helper()
	reads, stored := l.reads.Load()+20, l.count()+5
	eventually(l.in.t, "clients that go on", func() bool { return l.reads.Load() >= reads && (l.count() >= stored || l.hasFailed()) })
}

// settle waits until everything has ended that is under way: an upload knows no other devices than
// those that it was offered, and a request no other site than the one that it was given to.
func (l *load) settle() {
	l.in.t.Helper()
	for i := range l.ended {
		ended := &l.ended[i]
		one := ended.Load() + 2 // the second has begun since
		eventually(l.in.t, "end of what was begun", func() bool { return ended.Load() >= one })
	}
}

func (l *load) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.stored)
}

func (l *load) hasFailed() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.failures > 0
}

// end lets the clients end what they do.
func (l *load) end() {
	l.cancel()
	l.all.Wait()
}

// stop ends the load and returns the new keys.
func (l *load) stop() []string {
	l.in.t.Helper()
	l.end()
	l.in.t.Logf("%d reads, %d files stored, %d failures", l.reads.Load(), len(l.stored), l.failures)
	return slices.Clone(l.stored)
}
