package storage

import (
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/mogilefs/caddy-mogilefs/storage/blockdev"
	"github.com/mogilefs/caddy-mogilefs/storage/disk"
)

// lookInterval is how often each device is looked at. It is the tick that the patience
// of storage/disk counts.
const lookInterval = time.Second

// keepLooking looks at the devices until the node closes.
func (n *Node) keepLooking(interval time.Duration) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-n.ctx.Done():
			return
		case <-tick.C:
		}
		n.tick()
	}
}

// tick looks at each device, without waiting for it.
func (n *Node) tick() {
	counters, err := n.kernel.Counters()
	if err != nil {
		counters = nil // where the system does not tell, a disk that hangs shows by its operations alone
	}
	for _, d := range n.devices.all() {
		if d.Tick(d.hang.on(n.disksOf(d), counters)) {
			d.unswept.Store(true)
		}
		if d.looking.CompareAndSwap(false, true) {
			n.wg.Go(func() { n.look(d) })
		}
	}
}

// look finds out about one device. After trouble it clears what could not be removed
// meanwhile.
func (n *Node) look(d *device) {
	defer d.looking.Store(false)
	recovered, err := d.Look()
	if isGone(err) {
		d.measured.Store(nil) // the usage file tells of another file system, if of any
	}
	if place, err := n.kernel.Place(d.Path()); err == nil {
		d.setPlace(place)
	}
	if err != nil {
		return
	}
	if recovered && d.measuring.CompareAndSwap(false, true) {
		n.measure(d)
	}
	if d.unswept.Swap(false) || recovered {
		n.sweepDevice(d)
	}
}

// isGone reports whether nothing can be had from a device, so that trackers should not be told
// of it.
func isGone(err error) bool {
	return errors.Is(err, disk.ErrNotMounted) || errors.Is(err, disk.ErrNoDevice) || errors.Is(err, disk.ErrCutOff)
}

// disksOf are those that the device is on, as far as is known.
func (n *Node) disksOf(d *device) []blockdev.Number {
	place := d.place.Load()
	if place == nil {
		return nil
	}
	return n.kernel.Disks(*place)
}

// hangAfter is how many ticks a disk may have requests in flight without ending one. Some
// need as long to wake up.
const hangAfter = 10

// hang watches over a device's disks. It belongs to the one who calls on.
type hang struct{ disks map[blockdev.Number]stillness }

// stillness is how long a disk has not ended a request.
type stillness struct {
	done  uint64
	ticks int
}

// on reports whether one of the disks hangs: requests are in flight, and none has ended for
// long.
func (h *hang) on(disks []blockdev.Number, counters map[blockdev.Number]blockdev.Counter) bool {
	seen, hung := make(map[blockdev.Number]stillness, len(disks)), false
	for _, number := range disks {
		c := counters[number]
		s := h.disks[number]
		if s.done != c.Done || c.Running == 0 {
			s = stillness{done: c.Done}
		} else {
			s.ticks++
		}
		seen[number] = s
		hung = hung || s.ticks >= hangAfter
	}
	h.disks = seen
	return hung
}

// sweepDevice clears what a crash, or a disk that took no removals, left.
func (n *Node) sweepDevice(d *device) {
	removed, err := d.Sweep(n.ctx)
	if n.ctx.Err() != nil {
		return
	}
	log := n.log.With(zap.Stringer("device", d.id), zap.Int("removed", removed))
	if err != nil {
		log.Warn("sweep of leftover temporaries is not complete", zap.Error(err))
	} else if removed > 0 {
		log.Info("removed leftover temporaries")
	}
}
