package machines

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const (
	// readers and writers are how many clients there are.
	readers = 8
	writers = 4
	// every is how often each of them does something.
	every = 50 * time.Millisecond
	// connectWithin and answerWithin is when a client goes on to another edge.
	connectWithin = time.Second
	answerWithin  = 15 * time.Second
	// storedWithin is when it tries an upload anew: one that waits for a database that is lost
	// does so for longer than another is there.
	storedWithin = 5 * time.Second
)

// load is all clients at work.
type load struct {
	site   *site
	cancel context.CancelFunc
	all    sync.WaitGroup
	next   atomic.Int64
	reads  atomic.Int64

	mu     sync.Mutex // guards the rest
	stored []string   // acknowledged
	failed []failure  // reads
	// last is when an upload was acknowledged last.
	last time.Time
}

// failure is a read that failed.
type failure struct {
	key string
	err error
}

func (s *site) startLoad(stored []string) *load {
	ctx, cancel := context.WithCancel(context.Background())
	l := &load{site: s, cancel: cancel, stored: slices.Clone(stored)}
	for i := range readers + writers {
		do := l.read
		if i >= readers {
			do = l.write
		}
		l.all.Go(func() { l.repeat(ctx, rand.New(rand.NewPCG(2, uint64(i))), do) })
	}
	return l
}

func (l *load) repeat(ctx context.Context, rnd *rand.Rand, do func(*rand.Rand)) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			do(rnd)
		}
	}
}

// stop ends the load after what is under way. Only reads of what was lost may have failed.
func (l *load) stop(t *testing.T, lost []string) {
	t.Helper()
	l.cancel()
	l.all.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	bad := slices.DeleteFunc(slices.Clone(l.failed), func(f failure) bool { return slices.Contains(lost, f.key) })
	t.Logf("%d files stored, of which %d had no other copy; %d reads failed of %d, %d of them for that reason",
		len(l.stored), len(lost), len(l.failed), l.reads.Load(), len(l.failed)-len(bad))
	for i, f := range bad {
		if i == 10 {
			t.Errorf("and %d more", len(bad)-i)
			break
		}
		t.Error(f.err)
	}
}

// edges is all of them, in an order of chance.
func (l *load) edges(rnd *rand.Rand) []string {
	var all []string
	for _, m := range l.site.machines {
		all = append(all, m.edge())
	}
	rnd.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all
}

// read reads a file from the first edge that answers.
func (l *load) read(rnd *rand.Rand) {
	l.mu.Lock()
	key := l.stored[rnd.IntN(len(l.stored))]
	l.mu.Unlock()
	began := time.Now()
	var err error
	for _, edge := range l.edges(rnd) {
		var reached bool
		if reached, err = l.site.get(edge, key); reached {
			break
		}
	}
	l.reads.Add(1)
	if err != nil {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.failed = append(l.failed, failure{key,
			fmt.Errorf("%s after %v: %w", began.Format("15:04:05.000"), time.Since(began).Round(time.Millisecond), err)})
	}
}

// write uploads a new file to the first edge that takes it.
func (l *load) write(rnd *rand.Rand) {
	key := fmt.Sprintf("load-%d", l.next.Add(1))
	for _, edge := range l.edges(rnd) {
		ctx, cancel := context.WithTimeout(l.site.t.Context(), storedWithin)
		ok, err := l.site.put(ctx, edge, key)
		cancel()
		if ok && err == nil {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.stored, l.last = append(l.stored, key), time.Now()
			return
		}
	}
}

// keys is all that were acknowledged.
func (l *load) keys() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.stored)
}

// storedSince reports whether an upload was acknowledged after a time.
func (l *load) storedSince(at time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last.After(at)
}
