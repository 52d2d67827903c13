package checker

import (
	"context"
	"errors"
	"sync"

	"go.uber.org/zap"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/fsck"
	"github.com/mogilefs/caddy-mogilefs/tracker/node"
	"github.com/mogilefs/caddy-mogilefs/tracker/topology"
)

// What a check asks of nodes at a time, so that their disks have time for clients.
const (
	// maxHeads is how many copies of one device are looked at at a time: each may cost
	// it a seek.
	maxHeads = 4
	// maxDigests is how many are read at a time: nodes take them one by one anyway.
	maxDigests = 1
)

// look looks at all recorded copies at once. With an algorithm, those of the right
// length are digested.
func (c *Checker) look(ctx context.Context, s subject, hash mogile.HashType) []fsck.Copy {
	copies := make([]fsck.Copy, len(s.Devices))
	var others sync.WaitGroup
	for i, dev := range s.Devices {
		if i == len(s.Devices)-1 { // in this goroutine
			copies[i] = c.lookAt(ctx, s, dev, hash)
			break
		}
		others.Go(func() { copies[i] = c.lookAt(ctx, s, dev, hash) })
	}
	others.Wait()
	return copies
}

// lookAt looks at the copy of one device.
func (c *Checker) lookAt(ctx context.Context, s subject, dev mogile.DevID, hash mogile.HashType) fsck.Copy {
	seen := fsck.Copy{Dev: dev}
	d, known := s.snap.Device(dev)
	switch {
	case known && d.State.Lost():
		seen.Seen = fsck.Lost
		return seen
	case !known, !d.Readable():
		return seen
	}
	err := c.ask(ctx, s, d, &seen)
	if err == nil && seen.Seen == fsck.Present && seen.Length == s.Length && hash != mogile.HashNone {
		err = c.digest(ctx, s, d, hash, &seen)
	}
	if err != nil {
		c.log.Info("copy can't be looked at", zap.Stringer("fid", s.FID), zap.Stringer("device", dev), zap.Error(err))
		return fsck.Copy{Dev: dev}
	}
	return seen
}

func (c *Checker) ask(ctx context.Context, s subject, d topology.Device, seen *fsck.Copy) error {
	done, err := c.heads.take(ctx, d.ID)
	if err != nil {
		return err
	}
	defer done()
	n, found, err := c.Nodes.Size(ctx, d.ReadURL(s.FID, topology.Zone{}))
	if err != nil {
		return err
	}
	if seen.Seen = fsck.Absent; found {
		seen.Seen, seen.Length = fsck.Present, n
	}
	return nil
}

func (c *Checker) digest(ctx context.Context, s subject, d topology.Device, hash mogile.HashType, seen *fsck.Copy) error {
	done, err := c.digests.take(ctx, d.ID)
	if err != nil {
		return err
	}
	defer done()
	sum, err := c.Nodes.DigestForFsck(ctx, d.ReadURL(s.FID, topology.Zone{}), hash)
	if errors.Is(err, node.ErrMissing) { // meanwhile
		seen.Seen, err = fsck.Absent, nil
	}
	seen.Sum = sum
	return err
}

// turns bounds what is asked of each device at a time.
type turns struct {
	n int

	mu    sync.Mutex // guards byDev
	byDev map[mogile.DevID]chan struct{}
}

func newTurns(n int) *turns { return &turns{n: n, byDev: map[mogile.DevID]chan struct{}{}} }

// take waits for a turn, and returns what ends it.
func (t *turns) take(ctx context.Context, dev mogile.DevID) (done func(), err error) {
	t.mu.Lock()
	taken := t.byDev[dev]
	if taken == nil {
		taken = make(chan struct{}, t.n)
		t.byDev[dev] = taken
	}
	t.mu.Unlock()
	select {
	case taken <- struct{}{}:
		return func() { <-taken }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}
