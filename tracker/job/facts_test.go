package job_test

import (
	"testing"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
)

func TestReplicatePutsCopiesIntoTheZonesOfThePolicy(t *testing.T) {
	for policy, want := range map[string][]mogile.DevID{
		"HostsPerNetwork(near=2, far=2)":                   {1, 2, 3, 4},
		"HostsPerNetwork(near=1, far=2)":                   {1, 3, 4},
		"HostsPerNetwork(near=2)":                          {1, 2},
		"Union(MultipleHosts(2), HostsPerNetwork(far=2))":  {3, 4}, // 1 is one too many then
		"Union(HostsPerNetwork(near=2), MultipleHosts(2))": {1, 2},
	} {
		t.Run(policy, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, mogile.Class{MinDevCount: 1, Policy: policy},
				[]mogile.DevID{1}, []mogile.DevID{2}, []mogile.DevID{3}, []mogile.DevID{4})
			r.set("network_zones", "near,far")
			r.set("zone_near", "127.0.0.0/24")
			r.set("zone_far", "127.0.0.3/32, 127.0.0.4/32")
			fid := r.upload("a", 1, mogile.Checksum{})
			r.start()
			r.jobs.Wake(store.ReplicateQueue)
			r.await()
			r.wantCopies(fid, want...)
		})
	}
}
