package checker

import (
	"context"
	"slices"
	"sync"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/fsck"
)

// How much is searched at a time, so that a device that is lost with many files does not
// have all others asked for all of them at once.
const (
	// maxSearches is how many files are searched for on all devices, and searchWidth on how
	// many devices each of them.
	maxSearches = 2
	searchWidth = 8
)

// search looks for a good copy on all devices that are not dead and not among the
// recorded ones, and ends with the first. A device that can't be asked does not end it.
// (The peer gives up at the first such device.)
func (c *Checker) search(ctx context.Context, s subject, e fsck.Evidence) (fsck.Evidence, error) {
	select {
	case c.searches <- struct{}{}:
		defer func() { <-c.searches }()
	case <-ctx.Done():
		return e, context.Cause(ctx)
	}
	h := hunt{Evidence: e}
	h.within, h.found = context.WithCancel(ctx)
	defer h.found()
	hash := s.mode.Careful(s.class.Hash, s.Checksum)
	var group errgroup.Group
	group.SetLimit(searchWidth)
	for _, dev := range c.elsewhere(s) {
		if h.within.Err() != nil {
			break
		}
		group.Go(func() error {
			h.note(c.lookAt(h.within, s, dev, hash))
			return nil
		})
	}
	_ = group.Wait() // what they saw is in h
	if ctx.Err() != nil {
		return e, context.Cause(ctx)
	}
	return c.searched(s, &h), nil
}

// elsewhere is the devices that may have an unrecorded copy, in random order, so that many
// searches don't all begin with the same.
func (c *Checker) elsewhere(s subject) []mogile.DevID {
	var all []mogile.DevID
	for _, d := range s.snap.Devices() {
		if !d.State.Lost() && !slices.Contains(s.Devices, d.ID) {
			all = append(all, d.ID)
		}
	}
	for i := range all {
		j := i + int(c.Rand()*float64(len(all)-i))
		all[i], all[j] = all[j], all[i]
	}
	return all
}

func (c *Checker) searched(s subject, h *hunt) fsck.Evidence {
	h.Searched = fsck.SearchedAll
	if h.within.Err() == nil && len(h.silent) > 0 {
		h.Searched = fsck.SearchedSome
		slices.Sort(h.silent)
		c.log.Warn("no copy is found, and some devices could not be asked", zap.Stringer("fid", s.FID), zap.Any("devices", h.silent))
	}
	return h.Evidence
}

// hunt is a search under way.
type hunt struct {
	within context.Context // over when a copy is found
	found  context.CancelFunc

	mu            sync.Mutex // guards what follows
	fsck.Evidence            // with what was found
	silent        []mogile.DevID
}

func (h *hunt) note(seen fsck.Copy) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.within.Err() != nil: // it was not let finish, or comes second
	case seen.Seen == fsck.Unknown:
		h.silent = append(h.silent, seen.Dev)
	case h.Good(seen):
		seen.New = true
		h.Copies = append(slices.Clone(h.Copies), seen)
		h.found()
	}
}
