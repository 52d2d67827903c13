package job

import (
	"slices"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/policy"
	"github.com/mogilefs/caddy-mogilefs/tracker/topology"
)

// facts is what a policy has to know of a file with copies on these devices. A masked
// device, from which the copy is to be moved away, counts as one without a copy that
// takes none; failed is the devices that did not take one a moment ago. Both may be nil.
//
// Devices that a weighted choice never picks, because their free space is not known,
// take no new copy.
func facts(snap *topology.Snapshot, class mogile.Class, on []mogile.DevID, masked, failed map[mogile.DevID]bool) policy.Facts {
	devs := snap.Devices()
	f := policy.Facts{Min: class.MinDevCount, Candidates: make([]policy.Device, 0, len(devs))}
	for _, d := range devs {
		fact := policy.Device{
			ID: d.ID, Host: d.Host, State: d.State, Zone: d.Network.Zone, Network: d.Network.Name,
			TakesNewFiles: d.TakesNewFiles() && d.FreeShare() > 0,
			Failed:        failed[d.ID] || masked[d.ID],
		}
		f.Candidates = append(f.Candidates, fact)
		if slices.Contains(on, d.ID) && !masked[d.ID] {
			f.Copies = append(f.Copies, fact)
		}
	}
	return f
}
