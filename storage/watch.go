package storage

import (
	"time"

	"go.uber.org/zap"

	"github.com/mogilefs/caddy-mogilefs/storage/blockdev"
	"github.com/mogilefs/caddy-mogilefs/storage/sidechannel"
)

// sample is what the disks said at one moment.
type sample struct {
	at       time.Time
	counters map[blockdev.Number]blockdev.Counter
}

// keepWatch compares two samples each interval, while somebody watches.
func (n *Node) keepWatch(interval time.Duration) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	var last sample
	for {
		select {
		case <-n.ctx.Done():
			return
		case <-tick.C:
		}
		if n.watches.Empty() {
			last = sample{}
			continue
		}
		counters, err := n.kernel.Counters()
		if err != nil {
			n.log.Warn("utilisation is not known", zap.Error(err))
			continue
		}
		now := sample{time.Now(), counters}
		if last.counters != nil {
			n.watches.Send(sidechannel.Block(n.loads(last, now)))
		}
		last = now
	}
}

// loads is the difference of two samples for each device. It touches no device: one that
// hangs must not keep the others from being told of.
func (n *Node) loads(last, now sample) []sidechannel.Load {
	var loads []sidechannel.Load
	for _, d := range n.devices.all() {
		load := sidechannel.Load{Dev: d.id, Interval: now.at.Sub(last.at)}
		load.Busy, load.Known = busiest(n.disksOf(d), last, now)
		if d.Stalled() {
			// Whatever the kernel counts, or does not: nobody should wait for it.
			load.Busy, load.Known = load.Interval, true
		}
		loads = append(loads, load)
	}
	return loads
}

// busiest is how long the busiest of a device's disks was busy: who reads from all of them
// waits for that one.
func busiest(disks []blockdev.Number, last, now sample) (busy time.Duration, known bool) {
	for _, number := range disks {
		before, had := last.counters[number]
		after, has := now.counters[number]
		if had && has {
			busy, known = max(busy, after.Busy-before.Busy), true
		}
	}
	return busy, known
}
