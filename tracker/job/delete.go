package job

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/crew"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
	"github.com/mogilefs/caddy-mogilefs/tracker/topology"
)

// deleteStore is what the job reads and writes. It can't touch a visible file.
type deleteStore interface {
	DevicesOf(ctx context.Context, fids ...mogile.FID) (map[mogile.FID][]mogile.DevID, error)
	RemoveCopies(ctx context.Context, fid mogile.FID, devs ...mogile.DevID) error
	ForgetContent(ctx context.Context, fids ...mogile.FID) error
	store.Locks
}

// remover deletes all copies of doomed fids.
type remover struct {
	store deleteStore
	live  *topology.Live
	nodes Deleter
	aside func(release func()) // gives a lock back, which nobody has to wait for
	log   *zap.Logger
}

func newRemover(config Config, aside func(func())) *remover {
	return &remover{
		store: config.Store, live: config.Topology, nodes: config.Nodes, aside: aside,
		log: config.Logger.With(zap.String("job", string(Delete))),
	}
}

// How long a copy that can't be deleted now is left alone, after so many failures
// (docs/spec/jobs.md §5.1).
func notWriteable(failCount int) time.Duration { return time.Duration(10+failCount) * time.Minute }
func forbidden(failCount int) time.Duration    { return time.Duration(1+failCount) * time.Hour }
func refused(failCount int) time.Duration      { return time.Duration(1+failCount) * 30 * time.Minute }

// queue is where the work comes from.
func (r *remover) queue() crew.Source {
	return crew.Source{Queue: store.DeleteQueue, Do: r.do, Load: r.load, Erased: true}
}

// load ends what uploads of the fids there may be, so that none becomes a file while its
// bytes are erased, and says where the copies are. That may change before their turn has
// come: a copy that is added keeps the row, and one that goes is not there to be deleted.
func (r *remover) load(ctx context.Context, fids []mogile.FID) (map[mogile.FID]store.Known, error) {
	if err := r.store.ForgetContent(ctx, fids...); err != nil {
		return nil, fmt.Errorf("delete: forget checksums and uploads: %w", err)
	}
	on, err := r.store.DevicesOf(ctx, fids...)
	if err != nil {
		return nil, fmt.Errorf("delete: %w", err)
	}
	known := make(map[mogile.FID]store.Known, len(on))
	for fid, devs := range on {
		known[fid] = store.Known{Devices: devs}
	}
	return known, nil
}

// do erases all copies of one fid. Part success is not success: while one copy is left
// the row stays.
//
// Order: 1. uploads and checksum are forgotten, 2. the nodes delete the bytes, 3. the
// copies are forgotten, and the row goes when none is left, or is due at once; all is one transaction with
// that of other fids. A crash after 1 leaves a row, and the next run does it all; after 2
// copies that are recorded and not there: the next run, told by the nodes that nothing is
// there, forgets them.
func (r *remover) do(ctx context.Context, w crew.Work) (crew.Outcome, error) {
	release, err := r.store.Lock(ctx, lockOf(w.FID), lockWait)
	if errors.Is(err, store.ErrLocked) {
		return crew.Outcome{Fate: crew.Postponed, Delay: time.Second}, nil
	}
	if err != nil {
		return crew.Outcome{}, fmt.Errorf("delete: %w", err)
	}
	// The rest of 3 may come after the lock is free. Whoever has it then finds no file.
	defer r.aside(release)
	gone, out := r.eraseAll(ctx, w)
	if out.Fate == crew.Finished {
		out.Gone = gone
		return out, nil
	}
	if len(gone) > 0 {
		if err := r.store.RemoveCopies(ctx, w.FID, gone...); err != nil {
			return crew.Outcome{}, fmt.Errorf("delete: %w", err)
		}
	}
	return out, nil
}

// eraseAll deletes the bytes of all copies at once, as each waits for a disk of its own. It
// returns where they are gone, and what is to become of the row.
func (r *remover) eraseAll(ctx context.Context, w crew.Work) (gone []mogile.DevID, out crew.Outcome) {
	each := make([]crew.Outcome, len(w.Known.Devices))
	var all sync.WaitGroup
	for i, dev := range w.Known.Devices {
		all.Go(func() { each[i] = r.erase(ctx, w.Item, dev) })
	}
	all.Wait()
	out = crew.Outcome{Fate: crew.Finished}
	for i, one := range each {
		if one.Fate == crew.Finished {
			gone = append(gone, w.Known.Devices[i])
		}
		out = worse(out, one)
	}
	return gone, out
}

// worse joins what is to become of a row by two of its copies: it stays if one is left,
// until the first of them can be tried again. (At the peer the last copy decides.)
func worse(a, b crew.Outcome) crew.Outcome {
	switch {
	case a.Fate == crew.Finished:
		return b
	case b.Fate != crew.Postponed:
		return a
	case a.Fate == crew.Postponed && a.Delay <= b.Delay:
		return a
	}
	return b
}

// erase deletes the bytes of one copy, if that can be done now.
func (r *remover) erase(ctx context.Context, item store.Item, dev mogile.DevID) crew.Outcome {
	d, known := r.live.Snapshot().Device(dev)
	switch {
	case !known: // a device that another tracker has just created, or an accident
		return crew.Outcome{Fate: crew.Left}
	case d.State.Lost():
	case !d.Writeable():
		return r.later(item, dev, notWriteable(item.FailCount), errors.New("device does not take writes now"))
	case !d.MayDelete():
		return r.later(item, dev, forbidden(item.FailCount), errors.New("device or host is not to be written to"))
	default:
		err := r.nodes.Delete(ctx, d.WriteURL(item.FID, topology.Zone{}))
		if err != nil && ctx.Err() != nil { // the node was not waited for
			return crew.Outcome{Fate: crew.Returned}
		}
		if err != nil {
			return r.later(item, dev, refused(item.FailCount), err)
		}
	}
	return crew.Outcome{Fate: crew.Finished}
}

func (r *remover) later(item store.Item, dev mogile.DevID, delay time.Duration, why error) crew.Outcome {
	r.log.Info("copy is not deleted", zap.Stringer("fid", item.FID), zap.Stringer("device", dev),
		zap.Duration("again in", delay), zap.Error(why))
	return crew.Outcome{Fate: crew.Postponed, Delay: delay}
}
