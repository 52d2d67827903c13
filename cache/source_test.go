package cache_test

import (
	"context"
	"flag"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/mogilefs/caddy-mogilefs/cache"
	"github.com/mogilefs/caddy-mogilefs/mogile"
)

// scanned is how many keys a scan asks for. Ten million take some minutes.
var scanned = flag.Int("scan", 40_000, "how many distinct keys the tests of memory ask for")

const domain mogile.DomainName = "images"

// source is the truth that a cache stands before: keys and their fids.
type source struct {
	mu    sync.Mutex // guards the two below
	fids  map[mogile.Key]mogile.FID
	fault error

	loads atomic.Int64
}

func newSource() *source { return &source{fids: map[mogile.Key]mogile.FID{}} }

func (s *source) set(key mogile.Key, fid mogile.FID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fids[key] = fid
}

func (s *source) remove(key mogile.Key) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.fids, key)
}

func (s *source) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = err
}

func (s *source) load(key mogile.Key) cache.Load {
	return func(context.Context, mogile.DomainName, mogile.Key) (mogile.Location, error) {
		s.loads.Add(1)
		s.mu.Lock()
		defer s.mu.Unlock()
		fid, ok := s.fids[key]
		switch {
		case s.fault != nil:
			return mogile.Location{}, s.fault
		case !ok:
			return mogile.Location{}, fmt.Errorf("key %s: %w", key, cache.ErrAbsent)
		}
		return location(fid), nil
	}
}

func location(fid mogile.FID) mogile.Location {
	return mogile.Location{FID: fid, Length: int64(fid) * 10, Copies: []mogile.Copy{
		{Dev: 1, URL: "http://10.0.0.1:7500" + fid.Path(1)},
		{Dev: 2, URL: "http://10.0.0.2:7500" + fid.Path(2)},
	}}
}

func newLocations(t testing.TB, config cache.Config) *cache.Locations {
	t.Helper()
	l, err := cache.NewLocations(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l
}

// get is Get of a key in a source, which must succeed.
func get(t *testing.T, l *cache.Locations, s *source, key mogile.Key) *cache.Entry {
	t.Helper()
	e, err := l.Get(t.Context(), domain, key, s.load(key))
	if err != nil {
		t.Fatalf("Get %s: %v", key, err)
	}
	return e.Entry
}

func wantLoads(t *testing.T, s *source, want int64) {
	t.Helper()
	if got := s.loads.Load(); got != want {
		t.Errorf("got %d loads; want %d", got, want)
	}
}
