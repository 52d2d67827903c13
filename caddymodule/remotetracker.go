package caddymodule

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/singleflight"

	"github.com/mogilefs/caddy-mogilefs/edge"
	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/client"
	"github.com/mogilefs/caddy-mogilefs/tracker/protocol"
)

// remoteTracker is trackers of other processes as the edge sees them.
type remoteTracker struct {
	shared *shared[*client.Client]
	zone   client.Zone
	hashes *classHashes
	// changed tells the caches of this process what it changed; nobody else will.
	changed func(mogile.DomainName, mogile.Key)
	log     *zap.Logger
}

var _ edge.Tracker = remoteTracker{}

// Locate asks where the copies of a key are.
func (t remoteTracker) Locate(ctx context.Context, domain mogile.DomainName, key mogile.Key) (mogile.Location, error) {
	c, err := t.shared.get(ctx)
	if err != nil {
		return mogile.Location{}, err
	}
	loc, err := c.Locate(ctx, domain, key, t.zone)
	return loc, asEdgeError(err)
}

// LocateFID asks where the copies of a fid are.
func (t remoteTracker) LocateFID(ctx context.Context, domain mogile.DomainName, fid mogile.FID) (mogile.Location, error) {
	c, err := t.shared.get(ctx)
	if err != nil {
		return mogile.Location{}, err
	}
	loc, err := c.LocateFID(ctx, domain, fid, t.zone)
	return loc, asEdgeError(err)
}

// Open begins an upload.
func (t remoteTracker) Open(ctx context.Context, u edge.Upload) (edge.Opened, error) {
	c, err := t.shared.get(ctx)
	if err != nil {
		return edge.Opened{}, err
	}
	opened, err := c.OpenUpload(ctx, client.Upload{
		Domain: u.Domain, Key: u.Key, Class: u.Class, Size: max(u.Size, 0), Zone: t.zone, Copies: u.Copies,
	})
	if err != nil {
		return edge.Opened{}, asEdgeError(err)
	}
	hash, err := t.hashes.of(ctx, c, u.Domain, u.Class)
	if err != nil {
		// The upload goes on, with MD5, which most classes keep if any.
		t.log.Warn("look up what checksums the class keeps", zap.Error(err))
	}
	return edge.Opened{FID: opened.FID, Hash: hash, Destinations: opened.Destinations, Copies: opened.Copies}, nil
}

// Close makes an upload visible. The tracker looks at the node itself, so that the
// bytes are stored is no news to it; a checksum that the class does not keep, it drops.
func (t remoteTracker) Close(ctx context.Context, done edge.Closing) error {
	c, err := t.shared.get(ctx)
	if err != nil {
		return err
	}
	err = c.CloseUpload(ctx, client.Closing{
		Domain: done.Domain, Key: done.Key, FID: done.FID, Copy: done.Copies[0].Copy, Others: others(done.Copies),
		Size: done.Size, Checksum: done.Checksum, Zone: t.zone,
	})
	t.changed(done.Domain, done.Key) // after a failure too: it may have happened
	return asEdgeError(err)
}

// others are all copies but the first.
func others(stored []edge.StoredCopy) (more []mogile.Copy) {
	for _, at := range stored[1:] {
		more = append(more, at.Copy)
	}
	return more
}

// Abandon gives an upload up. Without a destination there is nothing that the tracker
// could be told; it sweeps the upload away itself.
func (t remoteTracker) Abandon(ctx context.Context, domain mogile.DomainName, fid mogile.FID, tried ...mogile.Copy) error {
	if len(tried) == 0 {
		return nil
	}
	c, err := t.shared.get(ctx)
	if err != nil {
		return err
	}
	return asEdgeError(c.AbandonUpload(ctx, client.Closing{
		Domain: domain, FID: fid, Copy: tried[0], Others: tried[1:], Zone: t.zone,
	}))
}

// Delete makes a key unknown.
func (t remoteTracker) Delete(ctx context.Context, domain mogile.DomainName, key mogile.Key) error {
	c, err := t.shared.get(ctx)
	if err != nil {
		return err
	}
	err = c.Delete(ctx, domain, key)
	t.changed(domain, key)
	return asEdgeError(err)
}

// Repair has fsck look at a file. Who asks has written a warning; a tracker that has no word
// for it leaves it at that.
func (t remoteTracker) Repair(ctx context.Context, fid mogile.FID) error {
	c, err := t.shared.get(ctx)
	if err != nil {
		return err
	}
	if err = c.CheckFile(ctx, fid); errors.Is(err, protocol.UnknownCommand) || errors.Is(err, protocol.UnknownFID) {
		return nil
	}
	return err
}

// hashesFor is how long the classes of remote trackers are remembered: they change
// rarely, and a file that misses its checksum gets one from fsck.
const hashesFor = 30 * time.Second

// classHashes remembers what classes keep checksums with, which create_open does not
// tell.
type classHashes struct {
	asking singleflight.Group

	mu    sync.Mutex // guards the rest
	asked time.Time
	known map[classOf]mogile.HashType
}

type classOf struct {
	domain mogile.DomainName
	class  mogile.ClassName
}

// of is the class's; none for a class that is not known. With an error it is what was
// known before, and nobody asks again for a while.
func (h *classHashes) of(ctx context.Context, c *client.Client, domain mogile.DomainName, class mogile.ClassName) (mogile.HashType, error) {
	if class == "" {
		class = mogile.DefaultClass
	}
	var err error
	if h.old() {
		_, err, _ = h.asking.Do("", func() (any, error) { return nil, h.ask(ctx, c) })
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.known[classOf{domain, class}], err
}

func (h *classHashes) old() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return time.Since(h.asked) > hashesFor
}

func (h *classHashes) ask(ctx context.Context, c *client.Client) error {
	domains, err := c.Domains(ctx)
	known := map[classOf]mogile.HashType{}
	for _, d := range domains {
		for _, cls := range d.Classes {
			known[classOf{d.Name, cls.Name}] = cls.Hash
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if err != nil && !errors.Is(err, context.Canceled) {
		h.asked = time.Now()
	}
	if err == nil {
		h.asked, h.known = time.Now(), known
	}
	return err
}
