package moving

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mogilefs/caddy-mogilefs/tracker/client"
)

const (
	readers = 4
	writers = 2
	// every is how often each of them does something.
	every = 50 * time.Millisecond
)

// load is clients that read what there is of old, and store new files.
type load struct {
	in     *installation
	cancel context.CancelFunc
	all    sync.WaitGroup
	reads  atomic.Int64
	next   atomic.Int64
	// ended is how often each client has done what it does.
	ended [readers + writers]atomic.Int64

	mu     sync.Mutex // guards the rest
	step   string     // which is being taken
	stored []string
	failed []error
}

// startLoad sets them to work. Who writes knows the old tracker and ours, whether they are there
// or not.
func (in *installation) startLoad() *load {
	in.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	l := &load{in: in, cancel: cancel}
	in.t.Cleanup(l.end)
	for i := range readers {
		rnd := rand.New(rand.NewPCG(3, uint64(i)))
		l.all.Go(func() {
			l.repeat(ctx, func() error {
				defer l.ended[i].Add(1)
				l.reads.Add(1)
				return in.get(in.balancer, oldKey(rnd.IntN(oldFiles)))
			})
		})
	}
	for i := range writers {
		c, err := client.New(client.Config{Addresses: []string{in.tracker.addr, in.ourTrackerAddr()}})
		if err != nil {
			in.t.Fatal(err)
		}
		l.all.Go(func() {
			defer c.Close()
			l.repeat(ctx, func() error {
				defer l.ended[readers+i].Add(1)
				return l.write(c, i)
			})
		})
	}
	return l
}

func (l *load) repeat(ctx context.Context, do func() error) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := do(); err != nil {
			l.mu.Lock()
			l.failed = append(l.failed, fmt.Errorf("%s: %w", l.step, err))
			l.mu.Unlock()
		}
	}
}

func (l *load) write(c *client.Client, writer int) error {
	key := fmt.Sprintf("new/%d/%05d.jpg", writer, l.next.Add(1))
	// A client that has begun ends what it has begun.
	if err := l.in.put(context.Background(), c, key); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stored = append(l.stored, key)
	return nil
}

// takes says which step comes, for the errors.
func (l *load) takes(step string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.step = step
	l.in.t.Logf("%d reads, %d files stored; now: %s", l.reads.Load(), len(l.stored), step)
}

// more waits until clients have done something in this state of things.
func (l *load) more() {
	l.in.t.Helper()
	const some = 40
	reads, stored := l.reads.Load()+some, l.count()+some/4
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
	return len(l.failed) > 0
}

// end lets the clients end what they do.
func (l *load) end() {
	l.cancel()
	l.all.Wait()
}

// stop ends the load, which must have met no failure, and returns the new keys.
func (l *load) stop(t *testing.T) []string {
	t.Helper()
	l.end()
	for i, err := range l.failed {
		if i == 10 {
			t.Errorf("and %d more", len(l.failed)-i)
			break
		}
		t.Error(err)
	}
	t.Logf("%d reads, %d files stored, %d failures", l.reads.Load(), len(l.stored), len(l.failed))
	return slices.Clone(l.stored)
}
