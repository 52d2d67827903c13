package cache_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/mogilefs/caddy-mogilefs/cache"
	"github.com/mogilefs/caddy-mogilefs/mogile"
)

func TestPurgedKeyIsLoadedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, s := newLocations(t, cache.Config{}), newSource()
		s.set("a", 7)
		get(t, l, s, "a")
		s.set("a", 8) // by another process
		if got := l.Purge(domain, "a"); got != 7 {
			t.Errorf("got fid %d; want what was remembered, 7", got)
		}
		if got := l.Purge(domain, "b") + l.Purge("other", "a"); got != 0 {
			t.Errorf("got fid %d for what nobody asked for; want 0", got)
		}
		if got := get(t, l, s, "a").FID; got != 8 {
			t.Errorf("got fid %d; want 8", got)
		}
	})
}

func TestPurgeAllForgetsWhatMatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, s := newLocations(t, cache.Config{}), newSource()
		for i := range 100 {
			key := mogile.Key(fmt.Sprintf("%d/x", i))
			s.set(key, mogile.FID(i+1))
			get(t, l, s, key)
		}
		if _, err := l.Get(t.Context(), domain, "1/absent", s.load("1/absent")); !errors.Is(err, cache.ErrAbsent) {
			t.Fatal(err)
		}
		// No wait: what was just handed over is found, too.
		got := l.PurgeAll(func(d mogile.DomainName, k mogile.Key) bool { return d == domain && strings.HasPrefix(string(k), "1") })
		slices.Sort(got)
		if want := []mogile.FID{2, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20}; !slices.Equal(got, want) {
			t.Errorf("got fids %d; want %d", got, want)
		}
		s.loads.Store(0)
		for i := range 100 {
			get(t, l, s, mogile.Key(fmt.Sprintf("%d/x", i)))
		}
		if loads := s.loads.Load(); loads < 11 || loads > 20 { // neighbours may share a generation
			t.Errorf("got %d loads; want 11, for the keys that begin with 1", loads)
		}
		s.set("1/absent", 200)
		if got := get(t, l, s, "1/absent").FID; got != 200 {
			t.Errorf("got fid %d; want the absence forgotten", got)
		}
	})
}

func TestLoadBegunBeforeAPurgeIsNotRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, s := newLocations(t, cache.Config{}), newSource()
		s.set("a", 1)
		load, letGo := gate(s.load("a"))
		var reader sync.WaitGroup
		reader.Go(func() { _, _ = l.Get(t.Context(), domain, "a", load) })
		synctest.Wait() // it has read fid 1
		s.set("a", 2)
		l.PurgeAll(func(mogile.DomainName, mogile.Key) bool { return true })
		letGo()
		reader.Wait()
		synctest.Wait()
		if got := get(t, l, s, "a").FID; got != 2 {
			t.Errorf("got fid %d; want 2", got)
		}
	})
}

func TestClosedCacheHasNothingToPurge(t *testing.T) {
	l, s := newLocations(t, cache.Config{}), newSource()
	s.set("a", 1)
	get(t, l, s, "a")
	l.Close()
	if got := l.Purge(domain, "a"); got != 0 {
		t.Errorf("got fid %d; want 0", got)
	}
	if got := l.PurgeAll(func(mogile.DomainName, mogile.Key) bool { return true }); len(got) != 0 {
		t.Errorf("got fids %d; want none", got)
	}
}
