package injector

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/mogilefs/caddy-mogilefs/tracker/rebalance"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
	"github.com/mogilefs/caddy-mogilefs/tracker/topology"
)

// heartbeat is how often a run that can't go on says that it is alive, in the state that
// others watch: several times before they take over.
const heartbeat = 15 * time.Second

// rebalancing is a run in hand.
type rebalancing struct {
	rebalance.Run
	self     string
	settings map[string]string
	unread   error // why Policy and State are not to be gone by, or nil
	snap     *topology.Snapshot
	now      int64
	busy     bool // something was queued in this pass
}

// pass does one step of this tracker's run. It reads all anew: what was read before it
// had the lock may be old.
func (b *Rebalance) pass(ctx context.Context, self string) error {
	r := &rebalancing{self: self}
	var err error
	if r.settings, err = b.store.AllSettings(ctx); err != nil {
		return err
	}
	if err = b.config.Topology.Reload(ctx); err != nil {
		return err
	}
	r.snap = b.config.Topology.Snapshot()
	if r.now, err = b.store.Now(ctx); err != nil {
		return err
	}
	r.Run, r.unread = rebalance.Read(r.settings)
	switch {
	case r.Host == "":
		return b.tidy(ctx, r)
	case r.Host != self:
		return errLost
	case r.Stopping:
		return b.stop(ctx, r)
	case r.unread != nil: // a peer takes texts that we don't
		return b.wait(ctx, r, r.unread.Error())
	}
	return b.advance(ctx, r)
}

// advance goes on to where there is something to queue, and queues it.
func (b *Rebalance) advance(ctx context.Context, r *rebalancing) error {
	for !r.Over() {
		if r.State.Current == 0 {
			if ready, err := b.next(ctx, r); !ready || err != nil {
				return err
			}
		}
		d, known := r.snap.Device(r.State.Current)
		if !known || !d.MayDelete() {
			b.log.Warn("device is passed over: nothing may be deleted from it", zap.Stringer("device", r.State.Current))
			if err := b.complete(ctx, r); err != nil {
				return err
			}
			continue
		}
		if err := b.drain(ctx, r, d); err != nil {
			return err
		}
		if !d.Readable() {
			return b.wait(ctx, r, "device "+d.ID.String()+" does not answer")
		}
		if all, err := b.queue(ctx, r); !all || err != nil {
			return err
		}
		if err := b.complete(ctx, r); err != nil {
			return err
		}
		if r.busy && !r.Over() { // the next device has to wait for its second
			return nil
		}
	}
	return b.finish(ctx, r)
}

// stop ends the run for an operator; it can be gone on with. The device that was being
// drained gets back what it was. (The peer forgets that.) With leave_in_drain_mode it stays.
func (b *Rebalance) stop(ctx context.Context, r *rebalancing) error {
	if err := b.putBack(ctx, r); err != nil {
		return err
	}
	if r.Was.Held() {
		r.Was.State = "" // for whoever goes on: what the device is then is its own
	}
	r.State.Stopped = r.now
	err := b.save(ctx, r, []string{rebalance.HostField, rebalance.SignalField})
	if err == nil {
		b.log.Info("rebalance is stopped", zap.Int64("files queued", r.State.FIDs))
	}
	return err
}

// finish ends a run that has queued all.
func (b *Rebalance) finish(ctx context.Context, r *rebalancing) error {
	r.State.Finished = r.now
	err := b.save(ctx, r, []string{rebalance.HostField})
	if err == nil {
		b.log.Info("rebalance has queued all", zap.Int64("files", r.State.FIDs), zap.Int64("bytes", r.State.Bytes))
	}
	return err
}

// tidy is for a run of ours that a peer has ended: it knows nothing of what a device was.
func (b *Rebalance) tidy(ctx context.Context, r *rebalancing) error {
	if err := b.putBack(ctx, r); err != nil {
		return err
	}
	return b.store.ChangeSettings(ctx, func(now map[string]string) (store.SettingChanges, error) {
		if now[rebalance.HostField] != "" {
			return store.SettingChanges{}, errLost
		}
		r.Was.State = ""
		return store.SettingChanges{Set: map[string]string{rebalance.WasField: r.Was.String()}}, nil
	})
}

// wait says why a run can't go on, to operators and, now and then, to other trackers.
func (b *Rebalance) wait(ctx context.Context, r *rebalancing, why string) error {
	if r.Waits == why && b.config.Now().Sub(b.beat) < heartbeat {
		return nil
	}
	if r.Waits != why {
		b.log.Warn("rebalance waits", zap.String("because", why))
	}
	b.beat = b.config.Now()
	r.State.EmptyRuns++
	r.State.LatestEmptyRun = r.now
	return b.change(ctx, r, why, nil)
}

// save writes the run down; unset is settings that go.
func (b *Rebalance) save(ctx context.Context, r *rebalancing, unset []string) error {
	return b.change(ctx, r, "", unset)
}

// change writes the run down, if it still is what was read.
func (b *Rebalance) change(ctx context.Context, r *rebalancing, waits string, unset []string) error {
	text := r.State.String()
	if r.unread != nil {
		text = r.Text
	}
	changes := store.SettingChanges{Set: map[string]string{rebalance.StateField: text}, Unset: unset}
	for field, value := range map[string]string{rebalance.WasField: r.Was.String(), rebalance.WaitsField: waits} {
		switch {
		case value == r.settings[field]:
		case value == "":
			changes.Unset = append(changes.Unset, field)
		default:
			changes.Set[field] = value
		}
	}
	err := b.store.ChangeSettings(ctx, func(now map[string]string) (store.SettingChanges, error) {
		if now[rebalance.HostField] != r.self || now[rebalance.StateField] != r.Text {
			return store.SettingChanges{}, errLost
		}
		return changes, nil
	})
	if err != nil {
		return err
	}
	r.Text, r.Waits = text, waits
	r.settings[rebalance.WasField], r.settings[rebalance.WaitsField] = r.Was.String(), waits
	return nil
}
