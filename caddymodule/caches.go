package caddymodule

import (
	"encoding/json"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/mogilefs/caddy-mogilefs/cache"
	"github.com/mogilefs/caddy-mogilefs/tally"
)

// LocationCache remembers where files are, so that a request needs no tracker.
// Changes made through this process show at once; those made through another
// tracker after `ttl` at the latest.
type LocationCache struct {
	// Off asks the tracker for every request.
	Off bool `json:"off,omitempty"`

	// How many bytes of memory it may use. Default: 64 MiB.
	Size int64 `json:"size,omitempty"`

	// How long a location is taken for true. One that is asked for in the last tenth of
	// that time is looked up again in the background. Default: 60s.
	TTL caddy.Duration `json:"ttl,omitempty"`

	// How long an unknown key stays unknown. Default: 1s.
	NegativeTTL caddy.Duration `json:"negative_ttl,omitempty"`

	// How long beyond its ttl a location may still be used while no tracker
	// answers. Default: 1h.
	Stale caddy.Duration `json:"stale,omitempty"`
}

// ContentCache keeps small files in memory, those that are asked for most. It is never
// out of date: a fid's content does not change. A file that many ask for at the same
// time is fetched from its storage node once.
type ContentCache struct {
	// Off keeps no files in memory. It is the same as no content cache.
	Off bool `json:"off,omitempty"`

	// How many bytes of memory it may use. A quarter of them is for files that are being
	// fetched, or are still being sent when they are not kept any more. Files of up to an
	// eighth of it are fetched once for all who ask for them at the same time.
	// Default: 64 MiB.
	Size int64 `json:"size,omitempty"`

	// The largest file that is kept, in bytes; an eighth of the size at most.
	// Default: 1 MiB, or an eighth of the size when that is less.
	MaxObject int64 `json:"max_object,omitempty"`
}

// The caches' kinds in the pool.
const (
	locationKind = "location cache"
	contentKind  = "content cache"
)

// pooledLocations is a cache that is told of every change until it is closed.
type pooledLocations struct {
	*cache.Locations
	stop func()
}

// Destruct closes the cache.
func (p *pooledLocations) Destruct() error {
	p.stop()
	p.Close()
	return nil
}

// locations finds or makes the cache. Handlers with the same settings and zone over
// the same database share one, and it keeps what it knows over a reload.
func (h *Handler) locations(from source, to *tally.Cache) (*cache.Locations, error) {
	if h.LocationCache.Off {
		return nil, nil
	}
	settings, err := json.Marshal([]any{from.identity, h.Zone, h.LocationCache})
	if err != nil {
		return nil, err
	}
	pooled, err := load(&h.refs, poolKey{locationKind, string(settings)}, func() (*pooledLocations, error) {
		made, err := cache.NewLocations(cache.Config{
			Bytes:       h.LocationCache.Size,
			TTL:         time.Duration(h.LocationCache.TTL),
			NegativeTTL: time.Duration(h.LocationCache.NegativeTTL),
			Stale:       time.Duration(h.LocationCache.Stale),
			Tally:       to,
		})
		if err != nil {
			return nil, err
		}
		return &pooledLocations{made, from.changes.listen(made.Invalidate)}, nil
	})
	if err != nil {
		return nil, err
	}
	return pooled.Locations, nil
}

// pooledContents is a content cache in the pool.
type pooledContents struct{ *cache.Contents }

// Destruct closes the cache.
func (p pooledContents) Destruct() error {
	p.Close()
	return nil
}

// contents finds or makes the cache, which handlers with the same settings over the
// same database share. The zone does not matter: wherever a content comes from, it is
// the same.
func (h *Handler) contents(from source, to *tally.Cache) (*cache.Contents, error) {
	if h.ContentCache.Off {
		return nil, nil
	}
	settings, err := json.Marshal([]any{from.identity, h.ContentCache})
	if err != nil {
		return nil, err
	}
	pooled, err := load(&h.refs, poolKey{contentKind, string(settings)}, func() (pooledContents, error) {
		made, err := cache.NewContents(cache.ContentsConfig{Bytes: h.ContentCache.Size, MaxFile: h.ContentCache.MaxObject, Tally: to})
		return pooledContents{made}, err
	})
	return pooled.Contents, err
}
