package upkeep

import (
	"testing"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tests/process"
)

// The first tracker takes away the first copies on the dead device, and is killed. What
// is left on the device, and what it had claimed, the second one finds by itself.
func TestADeadDeviceIsMadeUpForThoughTheTrackerDies(t *testing.T) {
	t.Parallel()
	r := newRig(t, options{})
	r.fill()
	first, second := r.trackers[0], r.trackers[1]
	for _, k := range r.trackers {
		process.Eventually(t, patience, "utilisation of each device", func() bool { return r.utilized(k) == len(r.living) })
	}
	const dead mogile.DevID = 1
	before := r.copiesOn(dead)
	if before < files/20 {
		t.Fatalf("got %d copies on device %d; want a fair share of %d files", before, dead, files)
	}
	r.set("queue_rate_for_reaper", "100")
	for _, k := range r.trackers {
		r.say(k, "!want 0 reaper")
	}
	r.do(first, "set_state", "host", "node1", "device", dead.String(), "state", "dead")
	r.living = r.living[1:]
	// What is stored on a device that is dead is lost, and trackers learn of it a little later.
	process.Eventually(t, patience, "a second tracker that knows", func() bool { return r.stateSeen(second, dead) == "dead" })
	load := r.startLoad(second)
	r.say(first, "!want 1 reaper")
	process.Eventually(t, patience, "first copies taken away", func() bool { return r.copiesOn(dead) < before })
	r.say(second, "!want 1 reaper")
	first.Kill()
	left := r.copiesOn(dead)
	r.logf("the first tracker is dead, and %d of %d copies are left on the dead device", left, before)
	if left == 0 {
		t.Error("got nothing left on the dead device; want the tracker killed in the middle")
	}
	process.Eventually(t, patience, "empty device", func() bool { return r.copiesOn(dead) == 0 })
	r.logf("the dead device is empty")
	all := load.stop()
	r.awaitIdle()
	r.logf("nothing is left to do")
	r.wantWhole(second, all)
}
