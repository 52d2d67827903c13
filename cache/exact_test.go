package cache_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/mogilefs/caddy-mogilefs/cache"
	"github.com/mogilefs/caddy-mogilefs/mogile"
)

// TestNothingStaleIsReadAfterInvalidate lets writers change a few keys while readers
// read them. A writer publishes a fid as acknowledged only after Invalidate; a reader
// notes what is acknowledged before it asks, and must not get less.
func TestNothingStaleIsReadAfterInvalidate(t *testing.T) {
	const keys, writers, readers, changes = 4, 4, 12, 2000
	l := newLocations(t, cache.Config{})
	type truth struct {
		mu           sync.Mutex // held by a writer over a change
		current      atomic.Uint64
		acknowledged atomic.Uint64
	}
	var truths [keys]truth
	name := func(i int) mogile.Key { return mogile.Key(fmt.Sprint("key", i)) }
	for i := range truths {
		truths[i].current.Store(1)
		truths[i].acknowledged.Store(1)
	}

	var writing, reading sync.WaitGroup
	for w := range writers {
		rnd := rand.New(rand.NewPCG(1, uint64(w)))
		writing.Go(func() {
			for range changes {
				i := rnd.IntN(keys)
				tr := &truths[i]
				tr.mu.Lock()
				fid := tr.current.Add(1)
				l.Invalidate(domain, name(i))
				tr.acknowledged.Store(fid)
				tr.mu.Unlock()
			}
		})
	}
	stop := make(chan struct{})
	var reads atomic.Int64
	for r := range readers {
		rnd := rand.New(rand.NewPCG(2, uint64(r)))
		reading.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				i := rnd.IntN(keys)
				tr := &truths[i]
				get := l.Get
				if rnd.IntN(8) == 0 {
					get = l.Fresh
				}
				least := tr.acknowledged.Load()
				e, err := get(t.Context(), domain, name(i), func(context.Context, mogile.DomainName, mogile.Key) (mogile.Location, error) {
					return location(mogile.FID(tr.current.Load())), nil
				})
				if err != nil || uint64(e.FID) < least {
					t.Errorf("read of %s: got %+v, %v; want fid %d or newer", name(i), e, err, least)
					return
				}
				reads.Add(1)
			}
		})
	}
	writing.Wait()
	close(stop)
	reading.Wait()
	if reads.Load() == 0 {
		t.Error("got no reads; want some")
	}
}

// TestCacheAgreesWithAMap makes random changes and reads, one after the other, and
// expects what a plain map says: whatever the cache remembers, within what the TTLs
// permit for changes it was not told of.
func TestCacheAgreesWithAMap(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		synctest.Test(t, func(t *testing.T) {
			l, s := newLocations(t, cache.Config{TTL: time.Minute, NegativeTTL: time.Second}), newSource()
			key := rapid.SampledFrom([]mogile.Key{"a", "b", "c"})
			fid := mogile.FID(0)
			rt.Repeat(map[string]func(*rapid.T){
				"put": func(rt *rapid.T) {
					k := key.Draw(rt, "key")
					fid++
					s.set(k, fid)
					l.Invalidate(domain, k)
				},
				"delete": func(rt *rapid.T) {
					k := key.Draw(rt, "key")
					s.remove(k)
					l.Invalidate(domain, k)
				},
				"elapse": func(rt *rapid.T) {
					wait(time.Duration(rapid.IntRange(1, 90).Draw(rt, "seconds")) * time.Second)
				},
				"get": func(rt *rapid.T) {
					k := key.Draw(rt, "key")
					agrees(rt, l.Get, s, k)
					if rapid.Bool().Draw(rt, "settle") {
						synctest.Wait()
					}
				},
				"fresh": func(rt *rapid.T) { agrees(rt, l.Fresh, s, key.Draw(rt, "key")) },
			})
		})
	})
}

func agrees(rt *rapid.T, get func(context.Context, mogile.DomainName, mogile.Key, cache.Load) (cache.Found, error), s *source, k mogile.Key) {
	e, err := get(context.Background(), domain, k, s.load(k))
	want, ok := s.fids[k]
	switch {
	case !ok && !errors.Is(err, cache.ErrAbsent):
		rt.Errorf("%s: got %+v, %v; want absent", k, e, err)
	case ok && (err != nil || e.FID != want):
		rt.Errorf("%s: got %+v, %v; want fid %d", k, e, err, want)
	}
}
