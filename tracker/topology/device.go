package topology

import (
	"github.com/mogilefs/caddy-mogilefs/mogile"
)

// Device is a device with its host and what was seen of both. The questions are
// those of docs/spec/jobs.md §0.2.
type Device struct {
	mogile.Device
	// On is the host that Device.Host numbers; zero when that has no row.
	On mogile.Host
	// Network is where its host is, by the address that other hosts use.
	Network Network
	// HostReachable is what monitoring last saw of the host.
	HostReachable bool
	Seen          DeviceSeen
	// SavedAsOf is the unix time of the sizes in the database, which may be older than
	// those seen here; 0 means that it has none.
	SavedAsOf int64

	minFreeMB int64
}

// Monitored reports whether the monitor should look at it: the operator lets us
// read from it.
func (d Device) Monitored() bool { return d.On.State.Readable() && d.State.Monitored() }

// MayDelete reports whether the operator lets us write to and delete from it.
func (d Device) MayDelete() bool { return d.On.State.Writable() && d.State.Deletable() }

// MayRead reports whether the operator lets copies be read from it.
func (d Device) MayRead() bool { return d.On.State.Readable() && d.State.Readable() }

// Readable reports whether a copy can be read from it now.
func (d Device) Readable() bool {
	return d.MayRead() && d.HostReachable &&
		(d.Seen.State == SeenReadable || d.Seen.State == SeenWriteable)
}

// Writeable reports whether it was seen to take writes.
func (d Device) Writeable() bool { return d.HostReachable && d.Seen.State == SeenWriteable }

// TakesNewFiles reports whether new copies can be put on it now.
func (d Device) TakesNewFiles() bool {
	free, known := d.MBFree()
	return d.State.TakesNewFiles() && d.On.State.Writable() && d.Writeable() &&
		(!known || free >= d.minFreeMB)
}

// ReadURL is where the fid's copy on this device is read, as the zone sees it.
func (d Device) ReadURL(fid mogile.FID, z Zone) string {
	return "http://" + mogile.HostAddr(z.address(d.On), d.On.ReadPort()) + fid.Path(d.ID)
}

// WriteURL is where the fid's copy on this device is written and deleted.
func (d Device) WriteURL(fid mogile.FID, z Zone) string {
	return "http://" + mogile.HostAddr(z.address(d.On), d.On.Port) + fid.Path(d.ID)
}
