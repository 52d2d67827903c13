package storage

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"go.uber.org/zap"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/storage/blockdev"
	"github.com/mogilefs/caddy-mogilefs/storage/disk"
)

// device is a device directory and what the node does with it one at a time.
type device struct {
	*disk.Device
	id mogile.DevID
	// measuring is set while the usage file is written, looking while the disk is
	// looked at. A disk that hangs keeps one goroutine, not one for each interval.
	measuring, looking atomic.Bool
	// unswept is set when uploads may have left what they could not remove.
	unswept atomic.Bool
	// measured is what the usage file says; nil as long as there is nothing to say.
	measured atomic.Pointer[usage]
	// place is where the device was when it was last looked at, or nil.
	place atomic.Pointer[blockdev.Place]
	hang  hang
	// warned is set once the operator was told that the mount can't be recorded.
	warned atomic.Bool
}

func (d *device) setPlace(p blockdev.Place) {
	d.place.Store(&p)
	d.SetRemote(p.Remote)
}

// devices is the set of device directories, as last seen.
type devices struct {
	root    *disk.Root
	current atomic.Pointer[map[mogile.DevID]*device]
	mu      sync.Mutex // guards the order of stores to current
}

func newDevices(root *disk.Root) *devices {
	ds := &devices{root: root}
	ds.current.Store(&map[mogile.DevID]*device{})
	return ds
}

// get returns a device, looking at the disk only for one not seen before. The error
// is disk.ErrNoDevice when there is none.
func (ds *devices) get(dev mogile.DevID) (*device, error) {
	if d, ok := (*ds.current.Load())[dev]; ok {
		return d, nil
	}
	return ds.admit(dev)
}

func (ds *devices) seen(dev mogile.DevID) bool {
	_, ok := (*ds.current.Load())[dev]
	return ok
}

// admit adds a device whose directory is there.
func (ds *devices) admit(dev mogile.DevID) (*device, error) {
	found, err := ds.root.Device(dev)
	if err != nil {
		return nil, err
	}
	ds.mu.Lock()
	defer ds.mu.Unlock()
	old := *ds.current.Load()
	if d, ok := old[dev]; ok {
		return d, nil
	}
	d := &device{Device: found, id: dev}
	all := maps.Clone(old)
	all[dev] = d
	ds.current.Store(&all)
	return d, nil
}

// keep drops the devices that are not in list.
func (ds *devices) keep(list []mogile.DevID) {
	ds.mu.Lock()
	defer ds.mu.Unlock()
	all := maps.Clone(*ds.current.Load())
	maps.DeleteFunc(all, func(dev mogile.DevID, _ *device) bool { return !slices.Contains(list, dev) })
	ds.current.Store(&all)
}

// all lists the devices in the order of their numbers.
func (ds *devices) all() []*device {
	m := *ds.current.Load()
	list := make([]*device, 0, len(m))
	for _, dev := range slices.Sorted(maps.Keys(m)) {
		list = append(list, m[dev])
	}
	return list
}

// scan brings the set of devices up to date.
func (n *Node) scan() error {
	list, err := n.devices.root.List()
	if err != nil {
		return fmt.Errorf("scan: %w", err)
	}
	n.devices.keep(list)
	for _, dev := range list {
		d, err := n.devices.get(dev)
		if err != nil {
			// A directory without right of access, a link to nowhere, a disk
			// with errors: the others must go on.
			if !errors.Is(err, disk.ErrNoDevice) {
				n.log.Warn("device can't be used", zap.Stringer("device", dev), zap.Error(err))
			}
			continue
		}
		if err := d.RecordMount(); err != nil && d.warned.CompareAndSwap(false, true) {
			n.log.Warn("a restart will not notice when this device is not mounted", zap.Error(err))
		}
	}
	return nil
}
