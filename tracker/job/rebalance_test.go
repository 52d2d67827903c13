package job_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/job"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
)

// The whole of it: files move, the devices' states come back, and what is read meanwhile
// is there.
func TestARebalanceEmptiesADevice(t *testing.T) {
	r := newRig(t, twice, one, two, three)
	var fids []mogile.FID
	for i := range 20 {
		fid := r.upload(mogile.Key(fmt.Sprint(i)), 1, mogile.Checksum{})
		r.extraCopy(fid, 2)
		r.check(r.store.Store.Finish(t.Context(), store.ReplicateQueue, store.Item{FID: fid}))
		r.store.expectMove(fid)
		fids = append(fids, fid)
	}
	r.hire(job.Config{Hostname: "here"})
	r.start()
	for field, value := range map[string]string{
		"rebal_policy": "from_devices=1 to_devices=3", "rebal_state": "source_devs=1", "rebal_host": "here",
	} {
		r.check(r.store.SetSetting(t.Context(), field, value))
	}
	r.jobs.Wake(store.RebalanceQueue)
	for range fids {
		if got := r.await(); got.fate != "finished" || got.queue != store.RebalanceQueue {
			t.Errorf("got %+v; want it moved", got)
		}
	}
	for _, fid := range fids {
		r.wantCopies(fid, 2, 3)
	}
	if deleted := r.hosts[1].heardOf(http.MethodDelete); len(deleted) != len(fids) {
		t.Errorf("device 1 heard %d times to delete; want %d", len(deleted), len(fids))
	}
}
