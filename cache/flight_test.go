package cache_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/mogilefs/caddy-mogilefs/cache"
	"github.com/mogilefs/caddy-mogilefs/mogile"
)

// gate is a load that reads its source at once but answers only when let go.
func gate(load cache.Load) (gated cache.Load, letGo func()) {
	open := make(chan struct{})
	return func(ctx context.Context, domain mogile.DomainName, key mogile.Key) (mogile.Location, error) {
		loc, err := load(ctx, domain, key)
		select {
		case <-open:
			return loc, err
		case <-ctx.Done():
			return mogile.Location{}, context.Cause(ctx)
		}
	}, sync.OnceFunc(func() { close(open) })
}

func TestMissesShareOneLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, s := newLocations(t, cache.Config{}), newSource()
		s.set("a", 1)
		load, letGo := gate(s.load("a"))
		var readers sync.WaitGroup
		for i := range 100 {
			get := l.Get
			if i%2 == 1 {
				get = l.Fresh
			}
			readers.Go(func() {
				if e, err := get(t.Context(), domain, "a", load); err != nil || e.FID != 1 {
					t.Errorf("got %+v, %v; want fid 1", e, err)
				}
			})
		}
		synctest.Wait()
		letGo()
		readers.Wait()
		wantLoads(t, s, 1)
	})
}

func TestReaderThatLoadedBeforeAChangeDoesNotHideIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, s := newLocations(t, cache.Config{}), newSource()
		s.set("a", 1)
		load, letGo := gate(s.load("a"))
		var reader sync.WaitGroup
		reader.Go(func() {
			if _, err := l.Get(t.Context(), domain, "a", load); err != nil {
				t.Error(err)
			}
		})
		synctest.Wait() // it has read fid 1
		s.set("a", 2)
		l.Invalidate(domain, "a")
		letGo()
		reader.Wait()
		synctest.Wait() // it has stored what it read, if it ever does
		if got := get(t, l, s, "a").FID; got != 2 {
			t.Errorf("got fid %d; want 2", got)
		}
	})
}

func TestReaderDoesNotJoinALoadBegunBeforeAChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, s := newLocations(t, cache.Config{}), newSource()
		s.set("a", 1)
		load, letGo := gate(s.load("a"))
		var reader sync.WaitGroup
		reader.Go(func() { _, _ = l.Get(t.Context(), domain, "a", load) })
		synctest.Wait()
		s.set("a", 2)
		l.Invalidate(domain, "a")
		if got := get(t, l, s, "a").FID; got != 2 {
			t.Errorf("Get: got fid %d; want 2", got)
		}
		if e, err := l.Fresh(t.Context(), domain, "a", s.load("a")); err != nil || e.FID != 2 {
			t.Errorf("Fresh: got %+v, %v; want fid 2", e, err)
		}
		letGo()
		reader.Wait()
	})
}

func TestAbsenceLoadedBeforeACreationDoesNotHideIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, s := newLocations(t, cache.Config{}), newSource()
		load, letGo := gate(s.load("a"))
		var reader sync.WaitGroup
		reader.Go(func() { _, _ = l.Get(t.Context(), domain, "a", load) })
		synctest.Wait()
		s.set("a", 1)
		l.Invalidate(domain, "a")
		letGo()
		reader.Wait()
		synctest.Wait()
		if got := get(t, l, s, "a").FID; got != 1 {
			t.Errorf("got fid %d; want 1", got)
		}
	})
}

func TestCallerWhoLeavesDoesNotFailTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, s := newLocations(t, cache.Config{}), newSource()
		s.set("a", 1)
		load, letGo := gate(s.load("a"))
		ctx, cancel := context.WithCancel(t.Context())
		var readers sync.WaitGroup
		readers.Go(func() {
			if _, err := l.Get(ctx, domain, "a", load); !errors.Is(err, context.Canceled) {
				t.Errorf("who left: got %v; want %v", err, context.Canceled)
			}
		})
		synctest.Wait() // the one who leaves began the load
		readers.Go(func() {
			if e, err := l.Get(t.Context(), domain, "a", load); err != nil || e.FID != 1 {
				t.Errorf("who stayed: got %+v, %v; want fid 1", e, err)
			}
		})
		synctest.Wait()
		cancel()
		synctest.Wait()
		letGo()
		readers.Wait()
		wantLoads(t, s, 1)
	})
}

func TestLastCallerToLeaveEndsTheLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, s := newLocations(t, cache.Config{}), newSource()
		s.set("a", 1)
		ended := make(chan struct{})
		hang := func(ctx context.Context, _ mogile.DomainName, _ mogile.Key) (mogile.Location, error) {
			<-ctx.Done()
			close(ended)
			return mogile.Location{}, ctx.Err()
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := l.Get(ctx, domain, "a", hang); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v; want %v", err, context.Canceled)
		}
		if got := get(t, l, s, "a").FID; got != 1 { // does not join what was given up
			t.Errorf("got fid %d; want 1", got)
		}
		<-ended
	})
}

func TestLoadThatBreaksDownHangsNobody(t *testing.T) {
	for name, c := range map[string]struct {
		load cache.Load
		want string
	}{
		"panic": {func(context.Context, mogile.DomainName, mogile.Key) (mogile.Location, error) { panic("boom") }, "boom"},
		"exit": {func(context.Context, mogile.DomainName, mogile.Key) (mogile.Location, error) {
			runtime.Goexit()
			return mogile.Location{}, nil
		}, "without an answer"},
	} {
		t.Run(name, func(t *testing.T) {
			l, s := newLocations(t, cache.Config{}), newSource()
			s.set("a", 1)
			var readers sync.WaitGroup
			for range 10 {
				readers.Go(func() {
					_, err := l.Get(t.Context(), domain, "a", c.load)
					if err == nil || !strings.Contains(err.Error(), c.want) {
						t.Errorf("got %v; want an error with %q", err, c.want)
					}
				})
			}
			readers.Wait()
			get(t, l, s, "a")
		})
	}
}

func TestCloseWaitsForLoadsAndServesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, s := newLocations(t, cache.Config{}), newSource()
		s.set("a", 1)
		load, letGo := gate(s.load("a"))
		var reader, closer sync.WaitGroup
		reader.Go(func() {
			if e, err := l.Get(t.Context(), domain, "a", load); err != nil || e.FID != 1 {
				t.Errorf("reader during Close: got %+v, %v; want fid 1", e, err)
			}
		})
		synctest.Wait()
		closed := make(chan struct{})
		closer.Go(func() { l.Close(); close(closed) })
		synctest.Wait()
		select {
		case <-closed:
			t.Error("Close returned while a load was under way")
		default:
		}
		letGo()
		reader.Wait()
		closer.Wait()
		l.Close() // again
		l.Invalidate(domain, "a")
		get(t, l, s, "a")
		get(t, l, s, "a")
		wantLoads(t, s, 3)
		if _, err := l.Fresh(t.Context(), domain, "b", s.load("b")); !errors.Is(err, cache.ErrAbsent) {
			t.Errorf("got %v; want %v", err, cache.ErrAbsent)
		}
	})
}
