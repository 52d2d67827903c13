package upkeep

import (
	"slices"
	"testing"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tests/process"
)

// Both parts run on one installation and under load: what a limited policy moves; then the
// emptying of a device that an operator has set to drain, during which the tracker at work
// is killed.
func TestRebalanceMovesWhatItsPolicySaysThoughTheTrackerDies(t *testing.T) {
	t.Parallel()
	r := newRig(t, options{apart: true})
	r.fill()
	first, second := r.trackers[0], r.trackers[1]
	load := r.startLoad(second)

	const limit = 50
	before := r.holders(files)
	r.rebalance(first, "from_devices=3 to_devices=5,6 limit_by=count limit=50")
	process.Eventually(t, patience, "end of the rebalance", func() bool { return r.setting("rebal_host") == "" })
	r.awaitMoved()
	r.wantMoved(before, r.holders(files), 3, []mogile.DevID{5, 6}, limit)
	r.wantState(3, "alive")

	const drained mogile.DevID = 1
	r.set("queue_rate_for_rebal", "40")
	r.set("queue_size_for_rebal", "80")
	r.do(first, "set_state", "host", "node1", "device", drained.String(), "state", "drain")
	r.do(second, "clear_cache")
	// What is uploaded from now on is not put there.
	newest := r.count("SELECT MAX(fid) FROM (SELECT fid FROM tempfile UNION ALL SELECT fid FROM file) known")
	whole := r.copiesOn(drained)
	r.rebalance(first, "from_devices=1")
	process.Eventually(t, patience, "a part of the device emptied", func() bool { return r.copiesOn(drained) < whole*9/10 })
	first.Kill()
	left := r.copiesOn(drained)
	r.logf("the first tracker is dead, and %d of %d copies are left on the drained device", left, whole)
	if left == 0 {
		t.Error("got the drained device empty; want the tracker killed in the middle")
	}
	process.Eventually(t, patience, "empty device", func() bool { return r.copiesOn(drained) == 0 })
	process.Eventually(t, patience, "end of the rebalance", func() bool { return r.setting("rebal_host") == "" })
	r.logf("the drained device is empty")
	r.wantState(drained, "drain")
	all := load.stop()
	r.awaitIdle()
	if n := r.count("SELECT COUNT(*) FROM file_on WHERE devid = ? AND fid > ?", drained, newest); n != 0 {
		t.Errorf("got %d new files on the drained device; want none", n)
	}
	r.living = slices.DeleteFunc(r.living, func(d mogile.DevID) bool { return d == drained })
	r.wantWhole(second, all)
}

// rebalance starts one with a policy.
func (r *rig) rebalance(k *tracker, policy string) {
	r.t.Helper()
	r.do(k, "rebalance_set_policy", "policy", policy)
	r.do(k, "rebalance_start")
	r.logf("rebalance %s", policy)
}

// awaitMoved waits until no copy is left to be moved.
func (r *rig) awaitMoved() {
	r.t.Helper()
	process.Eventually(r.t, patience, "end of the moves", func() bool { return r.count("SELECT COUNT(*) FROM file_to_queue") == 0 })
}

// wantMoved fails unless some copies, and no more than so many, went from one device to others,
// and nothing else has changed.
func (r *rig) wantMoved(before, after map[mogile.FID][]mogile.DevID, from mogile.DevID, to []mogile.DevID, limit int) {
	r.t.Helper()
	moved := 0
	for fid, on := range before {
		now := after[fid]
		if slices.Equal(on, now) {
			continue
		}
		moved++
		gone := slices.DeleteFunc(slices.Clone(on), func(d mogile.DevID) bool { return slices.Contains(now, d) })
		come := slices.DeleteFunc(slices.Clone(now), func(d mogile.DevID) bool { return slices.Contains(on, d) })
		if !slices.Equal(gone, []mogile.DevID{from}) || len(come) != 1 || !slices.Contains(to, come[0]) {
			r.t.Errorf("fid %d: got its copies moved from %v to %v; want one from %d to one of %v", fid, on, now, from, to)
		}
	}
	r.logf("%d copies were moved", moved)
	if moved == 0 || moved > limit {
		r.t.Errorf("got %d copies moved; want some, and at most %d", moved, limit)
	}
}

// wantState fails unless the database has the device in that state.
func (r *rig) wantState(dev mogile.DevID, want string) {
	r.t.Helper()
	if n := r.count("SELECT COUNT(*) FROM device WHERE devid = ? AND status = ?", dev, want); n != 1 {
		r.t.Errorf("device %d: got another state; want %s", dev, want)
	}
}
