package checker

import (
	"context"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/fsck"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
	"github.com/mogilefs/caddy-mogilefs/tracker/topology"
)

const (
	// mendDelay is how long replication waits for us to be through with the file.
	mendDelay = time.Second
	// maxEraseTries is how many checks of a file may end with a bad copy that its node does
	// not delete. The next one forgets it: then it is a few minutes old.
	maxEraseTries = 3
)

// mend does what the verdict says.
//
// Order: 1. what was found is logged, 2. the file is queued for replication if it is to
// lose a copy, or to have one that was not known, 3. copies that were found are recorded,
// 4. bad bytes are deleted, 5. those copies are forgotten, 6. a checksum is recorded, 7. the
// policy is asked again, and the file queued as it is without them, 8. its fsck row goes.
// The row is there all the time: after a crash the file is checked again. A crash after
// 1 has it log the same once more; after 2 or 3 leaves a row to replicate, which finds
// enough copies, or those that there are; after 4 copies that are recorded and not there, which readers pass over, and which
// the next check finds missing; after 5 or 6 a file of too few copies that is queued
// already.
func (c *Checker) mend(ctx context.Context, s subject, v fsck.Verdict) (Stall, error) {
	if err := c.report(ctx, s.FID, v.Events...); err != nil {
		return "", err
	}
	if v.Spread && len(v.Add)+len(v.Drop) > 0 {
		// Replication may have given the file up, when no copy was known.
		if err := c.Store.Enqueue(ctx, store.ReplicateQueue, mendDelay, s.FID); err != nil {
			return "", err
		}
	}
	for _, dev := range v.Add {
		if err := c.Store.AddCopy(ctx, s.FID, dev); err != nil {
			return "", err
		}
	}
	kept, err := c.giveUp(ctx, s, v)
	if err != nil {
		return "", err
	}
	if !v.Record.IsZero() {
		if err := c.Store.SetChecksum(ctx, s.FID, v.Record); err != nil {
			return "", err
		}
	}
	if d, ok := s.snap.DomainByID(s.Domain); ok && len(v.Add)+len(v.Drop) > 0 {
		c.Changed(d.Name, s.Key)
	}
	if v.Spread {
		on := slices.Concat(without(s.Devices, without(v.Drop, kept)), v.Add)
		if err := c.spread(ctx, s, on); err != nil {
			return "", err
		}
	}
	switch {
	case len(kept) > 0:
		return stalledErase, nil
	case v.Stalled:
		return stalledLook, nil
	}
	return "", nil
}

// giveUp deletes bad copies and forgets them, and those of which nothing is left. kept is
// copies that could not be deleted now: they stay, or nobody would ever delete them.
func (c *Checker) giveUp(ctx context.Context, s subject, v fsck.Verdict) (kept []mogile.DevID, err error) {
	if len(v.Drop) == 0 {
		return nil, nil
	}
	for _, dev := range v.Erase {
		if !c.erase(ctx, s, dev) {
			kept = append(kept, dev)
		}
	}
	if drop := without(v.Drop, kept); len(drop) > 0 {
		err = c.Store.RemoveCopies(ctx, s.FID, drop...)
	}
	return kept, err
}

// erase deletes a bad copy, and reports whether it may be forgotten. One that can't be
// deleted may, after some tries, and one on a device that the operator wants nothing deleted
// from may at once: no reader should get it any more, and what is left is in the log.
func (c *Checker) erase(ctx context.Context, s subject, dev mogile.DevID) bool {
	d, _ := s.snap.Device(dev)
	log := c.log.With(zap.Stringer("fid", s.FID), zap.Stringer("device", dev), zap.String("path", s.FID.Path(dev)))
	if !d.MayDelete() {
		log.Warn("bad copy is forgotten; its bytes are left, as the device is not to be written to")
		return true
	}
	if err := c.Nodes.Delete(ctx, d.WriteURL(s.FID, topology.Zone{})); err != nil {
		log.Warn("bad copy is not deleted", zap.Error(err))
		return s.tries >= maxEraseTries
	}
	log.Info("bad copy is deleted")
	return true
}

// spread has the copies made that the policy lacks, or one removed when there are too many.
//
// Order: 1. a row that is there is made due, whatever it waits for, 2. one is made where
// there was none. A worker that has the row in hand may have looked before the copies
// were forgotten, and be about to finish it: then it is not his any more.
func (c *Checker) spread(ctx context.Context, s subject, on []mogile.DevID) error {
	if !c.violates(s, on) {
		return nil
	}
	if err := c.Store.Postpone(ctx, store.ReplicateQueue, s.FID, mendDelay, 0); err != nil {
		return err
	}
	if err := c.Store.Enqueue(ctx, store.ReplicateQueue, mendDelay, s.FID); err != nil {
		return err
	}
	c.Wake()
	return c.report(ctx, s.FID, fsck.Event{Code: fsck.Replicate})
}

// report puts events into the log of fsck.
func (c *Checker) report(ctx context.Context, fid mogile.FID, events ...fsck.Event) error {
	if len(events) == 0 {
		return nil
	}
	rows := make([]store.FsckEvent, len(events))
	for i, e := range events {
		rows[i] = store.FsckEvent{FID: fid, Dev: e.Dev, Code: string(e.Code)}
	}
	return c.Store.LogFsck(ctx, rows...)
}

func without(devs, gone []mogile.DevID) []mogile.DevID {
	return slices.DeleteFunc(slices.Clone(devs), func(d mogile.DevID) bool { return slices.Contains(gone, d) })
}
