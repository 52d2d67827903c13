package outage

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
)

// each is how many clients of each sort there are.
const each = 4

// knownKeys is how many files the edge knows before an outage.
const knownKeys = 20

func known(i int) string { return fmt.Sprintf("known-%d", i%knownKeys) }

// sort is what some clients do all the time.
type sort struct {
	name string
	// done counts what succeeded, refused what was answered otherwise.
	done, refused atomic.Int64
	// longest is the longest wait for an answer, in nanoseconds.
	longest atomic.Int64
}

func (s *sort) took(began time.Time, ok bool) {
	took := int64(time.Since(began))
	for old := s.longest.Load(); took > old && !s.longest.CompareAndSwap(old, took); {
		old = s.longest.Load()
	}
	if ok {
		s.done.Add(1)
	} else {
		s.refused.Add(1)
	}
}

// load is all clients at work.
type load struct {
	site                        *site
	throughEdge, throughTracker sort // uploads
	paths, reads                sort
	cancel                      context.CancelFunc
	clients                     *errgroup.Group

	mu           sync.Mutex // guards acknowledged
	acknowledged []string
}

// keys tells the keys of all loads apart.
var keys atomic.Int64

// startLoad sets the clients to work until stop.
func (s *site) startLoad() *load {
	ctx, cancel := context.WithCancel(context.Background())
	l := &load{site: s, cancel: cancel}
	l.throughEdge.name, l.throughTracker.name = "uploads through the edge", "uploads through the tracker"
	l.paths.name, l.reads.name = "get_paths", "reads through the edge"
	l.clients, ctx = errgroup.WithContext(ctx)
	for range each {
		l.repeat(ctx, &l.throughEdge, func(int) (bool, error) {
			return l.uploaded(func(key string) (bool, error) { return s.put(s.url+key, key) })
		})
		l.repeat(ctx, &l.reads, func(i int) (bool, error) { return true, s.get(known(i)) })
		l.converse(ctx, &l.throughTracker, func(c *client, _ int) (bool, error) {
			return l.uploaded(func(key string) (bool, error) { return c.upload(s, key) })
		})
		l.converse(ctx, &l.paths, func(c *client, i int) (bool, error) {
			_, ok, err := c.do("get_paths domain=images&noverify=1&key=" + known(i))
			return ok, err
		})
	}
	return l
}

// repeat has a client do the same until the load stops.
func (l *load) repeat(ctx context.Context, s *sort, step func(i int) (ok bool, err error)) {
	l.clients.Go(func() error { return s.run(ctx, step) })
}

// converse is repeat for a client of the tracker with one connection.
func (l *load) converse(ctx context.Context, s *sort, step func(c *client, i int) (ok bool, err error)) {
	l.clients.Go(func() error {
		c, err := l.site.dial()
		if err != nil {
			return err
		}
		defer c.conn.Close()
		return s.run(ctx, func(i int) (bool, error) { return step(c, i) })
	})
}

// run repeats step until ctx ends; an error ends the whole load.
func (s *sort) run(ctx context.Context, step func(i int) (ok bool, err error)) error {
	for i := 0; ctx.Err() == nil; i++ {
		began := time.Now()
		ok, err := step(i)
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		s.took(began, ok)
	}
	return nil
}

// uploaded uploads a new key and remembers it if that was acknowledged.
func (l *load) uploaded(upload func(key string) (bool, error)) (bool, error) {
	key := fmt.Sprintf("upload-%d", keys.Add(1))
	ok, err := upload(key)
	if ok {
		l.mu.Lock()
		l.acknowledged = append(l.acknowledged, key)
		l.mu.Unlock()
	}
	return ok, err
}

// stop ends the load and fails the test if a client met what it must not.
func (l *load) stop(t *testing.T) {
	t.Helper()
	l.cancel()
	if err := l.clients.Wait(); err != nil {
		t.Error(err)
	}
	l.site.http.CloseIdleConnections()
	for _, s := range l.sorts() {
		t.Logf("%s: %d done, %d refused, the longest took %v",
			s.name, s.done.Load(), s.refused.Load(), time.Duration(s.longest.Load()).Round(time.Millisecond))
	}
}

func (l *load) sorts() []*sort {
	return []*sort{&l.throughEdge, &l.throughTracker, &l.paths, &l.reads}
}
