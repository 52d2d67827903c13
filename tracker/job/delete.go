package job

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
	"github.com/mogilefs/caddy-mogilefs/tracker/topology"
)

// deleteStore is what the job reads and writes. It can't touch a visible file.
type deleteStore interface {
	Devices(ctx context.Context, fid mogile.FID) ([]mogile.DevID, error)
	RemoveCopies(ctx context.Context, fid mogile.FID, devs ...mogile.DevID) error
	ForgetContent(ctx context.Context, fids ...mogile.FID) error
	store.Locks
}

// remover deletes all copies of doomed fids.
type remover struct {
	store deleteStore
	live  *topology.Live
	nodes Deleter
	log   *zap.Logger
}

func newRemover(config Config) *remover {
	return &remover{
		store: config.Store, live: config.Topology, nodes: config.Nodes,
		log: config.Logger.With(zap.String("job", string(Delete))),
	}
}

// How long a copy that can't be deleted now is left alone, after so many failures
// (docs/spec/jobs.md §5.1).
func notWriteable(failCount int) time.Duration { return time.Duration(10+failCount) * time.Minute }
func forbidden(failCount int) time.Duration    { return time.Duration(1+failCount) * time.Hour }
func refused(failCount int) time.Duration      { return time.Duration(1+failCount) * 30 * time.Minute }

// do removes all copies of one fid. Part success is not success: while one copy is left
// the row stays.
//
// Order: 1. the node deletes the bytes, 2. the copy is forgotten, 3. after the last one
// the row goes. A crash after 1 leaves a copy that is recorded and not there; the row
// still is, and the next run, told by the node that nothing is there, forgets it. A
// crash after 2 leaves a row with nothing to do.
func (r *remover) do(ctx context.Context, item store.Item) (outcome, error) {
	release, err := r.store.Lock(ctx, lockOf(item.FID), lockWait)
	if errors.Is(err, store.ErrLocked) {
		return outcome{fate: postponed, delay: time.Second}, nil
	}
	if err != nil {
		return outcome{}, fmt.Errorf("delete: %w", err)
	}
	defer release()
	if err := r.store.ForgetContent(ctx, item.FID); err != nil {
		return outcome{}, fmt.Errorf("delete: forget checksum and upload: %w", err)
	}
	on, err := r.store.Devices(ctx, item.FID)
	if err != nil {
		return outcome{}, fmt.Errorf("delete: %w", err)
	}
	out := outcome{fate: finished}
	for _, dev := range on {
		one, err := r.removeCopy(ctx, item, dev)
		if err != nil {
			return outcome{}, fmt.Errorf("delete: copy on device %d: %w", dev, err)
		}
		out = worse(out, one)
	}
	return out, nil
}

// worse joins what is to become of a row by two of its copies: it stays if one is left,
// until the first of them can be tried again. (At the peer the last copy decides.)
func worse(a, b outcome) outcome {
	switch {
	case a.fate == finished:
		return b
	case b.fate != postponed:
		return a
	case a.fate == postponed && a.delay <= b.delay:
		return a
	}
	return b
}

// removeCopy deletes one copy, if that can be done now.
func (r *remover) removeCopy(ctx context.Context, item store.Item, dev mogile.DevID) (outcome, error) {
	d, known := r.live.Snapshot().Device(dev)
	switch {
	case !known: // a device that another tracker has just created, or an accident
		return outcome{fate: left}, nil
	case d.State.Lost():
	case !d.Writeable():
		return r.later(item, dev, notWriteable(item.FailCount), errors.New("device does not take writes now")), nil
	case !d.MayDelete():
		return r.later(item, dev, forbidden(item.FailCount), errors.New("device or host is not to be written to")), nil
	default:
		if err := r.nodes.Delete(ctx, d.WriteURL(item.FID, topology.Zone{})); err != nil {
			return r.later(item, dev, refused(item.FailCount), err), nil
		}
	}
	return outcome{fate: finished}, r.store.RemoveCopies(ctx, item.FID, dev)
}

func (r *remover) later(item store.Item, dev mogile.DevID, delay time.Duration, why error) outcome {
	r.log.Info("copy is not deleted", zap.Stringer("fid", item.FID), zap.Stringer("device", dev),
		zap.Duration("again in", delay), zap.Error(why))
	return outcome{fate: postponed, delay: delay}
}
