package monitor

import (
	"context"
	"errors"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/node"
	"github.com/mogilefs/caddy-mogilefs/tracker/topology"
)

const (
	// maxProbes is how many devices are looked at at once (conn_pool_size).
	maxProbes = 20
	// quickFailure divides a device that is not there, which a node says at once, from
	// a host that does not answer (docs/spec/jobs.md §1).
	quickFailure = 500 * time.Millisecond
)

// round is what is found while all devices are looked at once.
type round struct {
	before *topology.Snapshot

	mu     sync.Mutex // guards what follows
	seen   topology.Observations
	tests  map[mogile.DevID]bool
	errors map[mogile.DevID]error
}

func (m *Monitor) round(ctx context.Context) *round {
	r := &round{
		before: m.live.Snapshot(),
		seen: topology.Observations{
			Hosts:   map[mogile.HostID]bool{},
			Devices: map[mogile.DevID]topology.DeviceSeen{},
			Usage:   map[mogile.DevID]mogile.Device{},
		},
		tests: map[mogile.DevID]bool{}, errors: map[mogile.DevID]error{},
	}
	var probes errgroup.Group
	probes.SetLimit(maxProbes)
	for _, d := range r.before.Devices() {
		if d.Monitored() {
			probes.Go(func() error { m.look(ctx, r, d); return nil })
		}
	}
	_ = probes.Wait() // probes report into r
	return r
}

// look finds out about one device.
func (m *Monitor) look(ctx context.Context, r *round, d topology.Device) {
	if r.condemned(d.Host) {
		return
	}
	begin := time.Now()
	usage, err := m.nodes.Usage(ctx, base(d, d.On.ReadPort()), d.ID)
	switch took := time.Since(begin); {
	case errors.Is(err, node.ErrUsage): // it answers: what it was seen as before still holds
		r.note(d, func() { r.seen.Hosts[d.Host], r.errors[d.ID] = true, err })
		return
	case err != nil && took < quickFailure:
		r.noteDevice(d, topology.DeviceSeen{State: topology.SeenUnreachable, RejectsBadMD5: d.Seen.RejectsBadMD5}, err)
		return
	case err != nil:
		r.note(d, func() { r.seen.Hosts[d.Host], r.errors[d.ID] = false, err })
		return
	}
	r.note(d, func() {
		r.seen.Hosts[d.Host] = true
		r.seen.Usage[d.ID] = mogile.Device{
			ID: d.ID, MBTotal: usage.TotalKB / 1024, MBUsed: usage.UsedKB / 1024, AsOf: time.Now().Unix(),
		}
	})
	m.testWrite(ctx, r, d)
}

// testWrite finds out what a device that answers is good for. A device that was not in
// order a moment ago is tested at once. (The peer lets it wait for its next test, up to
// 15 seconds.)
func (m *Monitor) testWrite(ctx context.Context, r *round, d topology.Device) {
	if !d.MayDelete() { // the operator wants nothing written there
		r.noteDevice(d, topology.DeviceSeen{State: topology.SeenReadable, RejectsBadMD5: d.Seen.RejectsBadMD5}, nil)
		return
	}
	if d.Readable() && time.Since(m.tested[d.ID]) < testEvery {
		return
	}
	rejects, err := m.nodes.TestWrite(ctx, d.ID, base(d, d.On.Port), base(d, d.On.ReadPort()))
	seen := topology.DeviceSeen{State: topology.SeenWriteable, RejectsBadMD5: rejects}
	if err != nil {
		seen = topology.DeviceSeen{State: topology.SeenReadable, RejectsBadMD5: d.Seen.RejectsBadMD5}
	}
	r.noteDevice(d, seen, err)
	r.note(d, func() { r.tests[d.ID] = true })
}

// base is how URLs of the device's host begin. Jobs always use the main address.
func base(d topology.Device, port uint16) string {
	return "http://" + mogile.HostAddr(d.On.IP, port)
}

func (r *round) condemned(host mogile.HostID) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	up, known := r.seen.Hosts[host]
	return known && !up
}

// note records something about a device, unless its host has been condemned: then
// nothing that was seen of it counts in this round.
func (r *round) note(d topology.Device, record func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if up, known := r.seen.Hosts[d.Host]; !known || up {
		record()
	}
}

func (r *round) noteDevice(d topology.Device, seen topology.DeviceSeen, err error) {
	r.note(d, func() { r.seen.Devices[d.ID], r.errors[d.ID] = seen, err })
}

// unsaved is the sizes of devices that no tracker has saved for a while.
func (r *round) unsaved(now time.Time) []mogile.Device {
	var devs []mogile.Device
	for _, d := range r.before.Devices() {
		usage, known := r.seen.Usage[d.ID]
		if known && now.Unix()-d.SavedAsOf >= int64(saveEvery/time.Second) {
			devs = append(devs, usage)
		}
	}
	return devs
}
