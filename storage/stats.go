package storage

import (
	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/storage/disk"
)

// DeviceStats is a device at one moment.
type DeviceStats struct {
	Device mogile.DevID
	// TakesWrites and Answers are whether its disk does.
	TakesWrites, Answers bool
	// Measured is whether the file system's sizes, in bytes, are known.
	Measured bool
	disk.Space
}

// Stats is the devices of now. It asks no disk.
func (n *Node) Stats() []DeviceStats {
	var all []DeviceStats
	for _, d := range n.devices.all() {
		s := DeviceStats{Device: d.id, TakesWrites: d.TakesWrites(), Answers: !d.Stalled()}
		if u := d.measured.Load(); u != nil {
			s.Measured, s.Space = true, u.space
		}
		all = append(all, s)
	}
	return all
}
