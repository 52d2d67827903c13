package cache_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mogilefs/caddy-mogilefs/cache"
	"github.com/mogilefs/caddy-mogilefs/mogile"
)

func TestHitDoesNotLoadAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, s := newLocations(t, cache.Config{}), newSource()
		s.set("a", 1)
		first := get(t, l, s, "a")
		synctest.Wait()
		if second := get(t, l, s, "a"); second != first || second.FID != 1 {
			t.Errorf("got entry %p of fid %d; want %p of fid 1", second, second.FID, first)
		}
		wantLoads(t, s, 1)
	})
}

func TestSameKeyOfOtherDomainIsAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, s := newLocations(t, cache.Config{}), newSource()
		s.set("a", 1)
		get(t, l, s, "a")
		synctest.Wait()
		_, err := l.Get(t.Context(), "other", "a", newSource().load("a"))
		if !errors.Is(err, cache.ErrAbsent) {
			t.Errorf("got %v; want %v", err, cache.ErrAbsent)
		}
	})
}

func TestEntryIsLoadedAgainAfterTTL(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, s := newLocations(t, cache.Config{TTL: time.Minute}), newSource()
		s.set("a", 1)
		get(t, l, s, "a")
		s.set("a", 2) // by another process: nothing is invalidated
		wait(time.Minute - time.Millisecond)
		if got := get(t, l, s, "a").FID; got != 1 {
			t.Errorf("before the ttl is over: got fid %d; want 1", got)
		}
		wait(time.Millisecond)
		if got := get(t, l, s, "a").FID; got != 2 {
			t.Errorf("after the ttl: got fid %d; want 2", got)
		}
	})
}

// wait lets the bubble's clock advance by d, and all that is due then happen.
func wait(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func TestAbsenceIsRememberedForItsOwnTTL(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, s := newLocations(t, cache.Config{NegativeTTL: time.Second}), newSource()
		absent := func() {
			t.Helper()
			if _, err := l.Get(t.Context(), domain, "a", s.load("a")); !errors.Is(err, cache.ErrAbsent) {
				t.Fatalf("got %v; want %v", err, cache.ErrAbsent)
			}
			synctest.Wait()
		}
		absent()
		absent()
		wantLoads(t, s, 1)
		wait(time.Second)
		absent()
		wantLoads(t, s, 2)
		// An absence is never served stale.
		wait(time.Second)
		down := errors.New("down")
		s.fail(down)
		if _, err := l.Get(t.Context(), domain, "a", s.load("a")); !errors.Is(err, down) {
			t.Errorf("got %v; want %v", err, down)
		}
	})
}

func TestAbsenceIsNotRememberedBelowZero(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, s := newLocations(t, cache.Config{NegativeTTL: -1}), newSource()
		for range 2 {
			if _, err := l.Get(t.Context(), domain, "a", s.load("a")); !errors.Is(err, cache.ErrAbsent) {
				t.Fatalf("got %v; want %v", err, cache.ErrAbsent)
			}
			synctest.Wait()
		}
		wantLoads(t, s, 2)
	})
}

func TestStaleEntryServesWhileLoadingFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, s := newLocations(t, cache.Config{TTL: time.Minute, Stale: time.Hour}), newSource()
		down := errors.New("down")
		s.set("a", 1)
		get(t, l, s, "a")
		s.fail(down)
		wait(time.Minute)
		for range 10 { // the first tries and fails, the rest do not try within a second
			if got := get(t, l, s, "a").FID; got != 1 {
				t.Fatalf("got fid %d; want 1", got)
			}
		}
		wantLoads(t, s, 2)
		if _, err := l.Fresh(t.Context(), domain, "a", s.load("a")); !errors.Is(err, down) {
			t.Errorf("Fresh: got %v; want %v", err, down)
		}
		wait(time.Hour)
		if _, err := l.Get(t.Context(), domain, "a", s.load("a")); !errors.Is(err, down) {
			t.Errorf("after Stale: got %v; want %v", err, down)
		}
	})
}

func TestStaleEntryIsReplacedOnceLoadingWorksAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, s := newLocations(t, cache.Config{TTL: time.Minute}), newSource()
		s.set("a", 1)
		get(t, l, s, "a")
		wait(time.Minute)
		s.fail(errors.New("down"))
		get(t, l, s, "a")
		s.fail(nil)
		s.set("a", 2)
		wait(time.Second)
		if got := get(t, l, s, "a").FID; got != 2 {
			t.Errorf("got fid %d; want 2", got)
		}
	})
}

func TestStaleEntryIsNotServedOverAChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, s := newLocations(t, cache.Config{TTL: time.Minute}), newSource()
		s.set("a", 1)
		get(t, l, s, "a")
		wait(time.Minute)
		down := errors.New("down")
		s.fail(down)
		get(t, l, s, "a") // stale, and now waiting for its retry
		l.Invalidate(domain, "a")
		if _, err := l.Get(t.Context(), domain, "a", s.load("a")); !errors.Is(err, down) {
			t.Errorf("got %v; want %v", err, down)
		}
	})
}

func TestStaleEntryIsNotServedBelowZero(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, s := newLocations(t, cache.Config{TTL: time.Minute, Stale: -1}), newSource()
		s.set("a", 1)
		get(t, l, s, "a")
		wait(time.Minute)
		down := errors.New("down")
		s.fail(down)
		if _, err := l.Get(t.Context(), domain, "a", s.load("a")); !errors.Is(err, down) {
			t.Errorf("got %v; want %v", err, down)
		}
	})
}

func TestFreshLoadsAndIsRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, s := newLocations(t, cache.Config{}), newSource()
		s.set("a", 1)
		get(t, l, s, "a")
		synctest.Wait()
		s.set("a", 2)
		if e, err := l.Fresh(t.Context(), domain, "a", s.load("a")); err != nil || e.FID != 2 {
			t.Fatalf("Fresh: got %+v, %v; want fid 2", e, err)
		}
		synctest.Wait()
		if got := get(t, l, s, "a").FID; got != 2 {
			t.Errorf("got fid %d; want 2", got)
		}
		wantLoads(t, s, 2)
	})
}

func TestModifiedIsWhatWasRememberedFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, s := newLocations(t, cache.Config{TTL: time.Minute}), newSource()
		s.set("a", 1)
		first := time.Date(2026, 1, 2, 3, 4, 5, 600, time.UTC)
		e := get(t, l, s, "a")
		if !e.Modified().IsZero() || !e.Remember(time.Time{}).IsZero() || !e.Remember(time.Unix(0, 0)).IsZero() {
			t.Errorf("got %s before one was remembered; want none", e.Modified())
		}
		e.Remember(first)
		if got := e.Remember(first.Add(time.Hour)); !got.Equal(first.Truncate(time.Second)) {
			t.Errorf("got %s; want %s", got, first)
		}
		wait(time.Minute)
		if got := get(t, l, s, "a").Modified(); !got.Equal(first.Truncate(time.Second)) {
			t.Errorf("the same fid loaded again: got %s; want %s", got, first)
		}
		s.set("a", 2)
		wait(time.Minute)
		if got := get(t, l, s, "a").Modified(); !got.IsZero() {
			t.Errorf("another fid: got %s; want none", got)
		}
	})
}

func TestEntryKeepsNoStringOfOthersAlive(t *testing.T) {
	l := newLocations(t, cache.Config{})
	reply := strings.Repeat("http://10.0.0.1/dev1/0/000/000/0000000001.fid ", 2)
	given := []mogile.Copy{{Dev: 1, URL: reply[:45]}}
	e, err := l.Get(t.Context(), domain, "a", func(context.Context, mogile.DomainName, mogile.Key) (mogile.Location, error) {
		return mogile.Location{FID: 1, Copies: given}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	given[0].URL = "changed"
	if got := e.Copies[0].URL; got != reply[:45] {
		t.Errorf("got %q; want %q: the entry shares the load's copies", got, reply[:45])
	}
}

func TestMemoryIsBoundUnderAScan(t *testing.T) {
	const bytes = 8 << 20
	keys := *scanned
	before := heap()
	l := newLocations(t, cache.Config{Bytes: bytes})
	for i := range keys {
		key := mogile.Key(fmt.Sprintf("scan/%08d.jpg", i))
		if _, err := l.Get(t.Context(), domain, key, func(context.Context, mogile.DomainName, mogile.Key) (mogile.Location, error) {
			return location(mogile.FID(i + 1)), nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	used := heap() - before
	t.Logf("%d keys: %d KiB of %d KiB", keys, used>>10, bytes>>10)
	if used > bytes*21/20 { // what the runtime needs for itself is not ours
		t.Errorf("got %d bytes in use after %d keys; want at most %d and a twentieth", used, keys, bytes)
	}
	if used < bytes/2 {
		t.Errorf("got %d bytes in use; want most of %d: entries are counted too high", used, bytes)
	}
	runtime.KeepAlive(l)
}

func heap() int64 {
	runtime.GC()
	runtime.GC() // the second frees what pools let go in the first
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func TestHitAllocatesNothing(t *testing.T) {
	l, s := newLocations(t, cache.Config{}), newSource()
	s.set("a", 1)
	load := s.load("a")
	hit := func() bool {
		before := s.loads.Load()
		if _, err := l.Get(t.Context(), domain, "a", load); err != nil {
			t.Fatal(err)
		}
		return s.loads.Load() == before
	}
	for !hit() { // until the entry is applied
		runtime.Gosched()
	}
	if got := testing.AllocsPerRun(1000, func() { hit() }); got != 0 {
		t.Errorf("got %v allocations for a hit; want 0", got)
	}
}

func TestConfigIsChecked(t *testing.T) {
	for _, c := range []struct {
		config cache.Config
		ok     bool
	}{
		{cache.Config{}, true},
		{cache.Config{Bytes: 1 << 20, TTL: 1, NegativeTTL: -1, Stale: -1}, true},
		{cache.Config{Bytes: 1<<20 - 1}, false},
		{cache.Config{Bytes: -1}, false},
		{cache.Config{TTL: -1}, false},
	} {
		l, err := cache.NewLocations(c.config)
		if (err == nil) != c.ok {
			t.Errorf("%+v: got %v; want ok=%t", c.config, err, c.ok)
		}
		if err == nil {
			l.Close()
		}
	}
}

func BenchmarkHit(b *testing.B) {
	l, s := newLocations(b, cache.Config{}), newSource()
	s.set("a", 1)
	load := s.load("a")
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := l.Get(b.Context(), domain, "a", load); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func TestEntryInUseIsRenewedBeforeItsTTLIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, s := newLocations(t, cache.Config{TTL: time.Minute}), newSource()
		s.set("a", 1)
		get(t, l, s, "a")
		wait(time.Minute - 6*time.Second - time.Millisecond)
		get(t, l, s, "a")
		synctest.Wait()
		wantLoads(t, s, 1)
		wait(time.Millisecond)
		s.set("a", 2)
		load, letGo := gate(s.load("a"))
		for range 10 { // none of them waits, and one loads
			e, err := l.Get(t.Context(), domain, "a", load)
			if err != nil || e.FID != 1 || e.Origin != cache.Remembered || e.TTL != 6*time.Second {
				t.Fatalf("during the load: got %+v, %v; want fid 1, remembered for 6s more", e, err)
			}
			synctest.Wait()
		}
		letGo()
		synctest.Wait()
		wantLoads(t, s, 2)
		if got := get(t, l, s, "a").FID; got != 2 {
			t.Errorf("after the load: got fid %d; want 2", got)
		}
		wait(time.Minute - 7*time.Second) // far beyond the first TTL
		get(t, l, s, "a")
		wantLoads(t, s, 2)
	})
}

func TestRenewalThatLoadedBeforeAChangeDoesNotHideIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, s := newLocations(t, cache.Config{TTL: time.Minute}), newSource()
		s.set("a", 1)
		get(t, l, s, "a")
		wait(55 * time.Second)
		load, letGo := gate(s.load("a"))
		if _, err := l.Get(t.Context(), domain, "a", load); err != nil {
			t.Fatal(err)
		}
		synctest.Wait() // it has read fid 1
		s.set("a", 2)
		l.Invalidate(domain, "a")
		letGo()
		synctest.Wait()
		if got := get(t, l, s, "a").FID; got != 2 {
			t.Errorf("got fid %d; want 2", got)
		}
	})
}

func TestOutageIsNoticedBeforeTheTTLIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, s := newLocations(t, cache.Config{TTL: time.Minute}), newSource()
		s.set("a", 1)
		get(t, l, s, "a")
		s.fail(errors.New("down"))
		wait(time.Minute - time.Second/2)
		get(t, l, s, "a") // renews, in vain
		synctest.Wait()
		wantLoads(t, s, 2)
		wait(time.Second / 2)
		e, err := l.Get(t.Context(), domain, "a", s.load("a"))
		if err != nil || e.FID != 1 || e.Origin != cache.Stale || e.TTL != 0 {
			t.Errorf("got %+v, %v; want fid 1, stale since now", e, err)
		}
		wantLoads(t, s, 2)
	})
}

func TestTTLCountsFromTheBeginningOfALoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, s := newLocations(t, cache.Config{TTL: time.Minute}), newSource()
		s.set("a", 1)
		load, letGo := gate(s.load("a"))
		time.AfterFunc(20*time.Second, letGo)
		if e, err := l.Get(t.Context(), domain, "a", load); err != nil || e.FID != 1 || e.Origin != cache.Loaded {
			t.Fatalf("got %+v, %v; want fid 1, loaded", e, err)
		}
		s.set("a", 2)
		wait(40 * time.Second)
		if got := get(t, l, s, "a").FID; got != 2 {
			t.Errorf("got fid %d; want 2", got)
		}
	})
}
