package injector

import (
	"context"
	"fmt"
	"slices"

	"go.uber.org/zap"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/rebalance"
	"github.com/mogilefs/caddy-mogilefs/tracker/topology"
)

// next makes a source the current device, at best one that answers. Those from which
// nothing may be deleted come up, too, to be passed over.
func (b *Rebalance) next(ctx context.Context, r *rebalancing) (ready bool, err error) {
	i := slices.IndexFunc(r.State.Sources, func(id mogile.DevID) bool {
		d, known := r.snap.Device(id)
		return !known || !d.MayDelete() || d.Readable()
	})
	if i < 0 {
		return false, b.wait(ctx, r, "no device that files are to be taken from answers")
	}
	r.State.Prefer(r.State.Sources[i])
	r.State.Next(r.Policy.Limit)
	r.Was = rebalance.Was{}
	if d, known := r.snap.Device(r.State.Current); known && d.MayDelete() && !r.Policy.LeaveDraining {
		r.Was = rebalance.Was{Dev: d.ID, State: d.State}
	}
	b.drained = 0
	return true, b.save(ctx, r, nil)
}

// drain sets the current device to drain, once: an operator may want it otherwise later.
//
// Order: 1. what it was is written down, 2. it is set. A crash after 1 leaves a device
// that is not in drain; whoever goes on sets it.
func (b *Rebalance) drain(ctx context.Context, r *rebalancing, d topology.Device) error {
	if b.drained == d.ID {
		return nil
	}
	if !r.Policy.LeaveDraining && (r.Was.Dev != d.ID || !r.Was.Held()) {
		was := rebalance.Was{Dev: d.ID, State: d.State}
		if d.State.Draining() && r.Was.Dev != d.ID {
			was.State = mogile.DevAlive // a peer has drained it and would set it so
		}
		r.Was = was
		if err := b.save(ctx, r, nil); err != nil {
			return err
		}
	}
	if err := b.setState(ctx, r, d, mogile.DevDrain); err != nil {
		return err
	}
	b.drained = d.ID
	return nil
}

func (b *Rebalance) setState(ctx context.Context, r *rebalancing, d topology.Device, state mogile.DevState) error {
	if d.State == state {
		return nil
	}
	if err := b.store.SetDeviceState(ctx, d.ID, state); err != nil {
		return fmt.Errorf("set device %d to %s: %w", d.ID, state, err)
	}
	b.log.Info("device is set", zap.Stringer("device", d.ID), zap.String("to", string(state)))
	err := b.config.Topology.Reload(ctx)
	r.snap = b.config.Topology.Snapshot()
	return err
}

// complete is done with the current device.
//
// Order: 1. the device is what it was before, 2. the state says so. A crash after 1 has
// whoever goes on drain it again, find nothing to queue, and do this once more. The other
// way round it would stay in drain for ever.
func (b *Rebalance) complete(ctx context.Context, r *rebalancing) error {
	if err := b.putBack(ctx, r); err != nil {
		return err
	}
	r.State.Complete()
	r.Was = rebalance.Was{}
	return b.save(ctx, r, nil)
}

// putBack makes the current device what it was before, unless it is something else than
// drain by now: that is an operator's doing. (The peer makes it alive, whatever it was.)
func (b *Rebalance) putBack(ctx context.Context, r *rebalancing) error {
	b.drained = 0
	d, known := r.snap.Device(r.Was.Dev)
	if !known || !r.Was.Held() || !d.State.Draining() {
		return nil
	}
	return b.setState(ctx, r, d, r.Was.State)
}
