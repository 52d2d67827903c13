package storage

import (
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/mogilefs/caddy-mogilefs/storage/disk"
	"github.com/mogilefs/caddy-mogilefs/storage/sidechannel"
)

// watches hands each block to all who watch. The zero value is ready.
type watches struct {
	mu   sync.Mutex // guards subs
	subs map[chan []byte]struct{}
}

// add returns a channel with room for one block: who has not taken it when the next
// comes misses the next.
func (ws *watches) add() chan []byte {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if ws.subs == nil {
		ws.subs = make(map[chan []byte]struct{})
	}
	c := make(chan []byte, 1)
	ws.subs[c] = struct{}{}
	return c
}

func (ws *watches) remove(c chan []byte) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	delete(ws.subs, c)
}

func (ws *watches) empty() bool {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	return len(ws.subs) == 0
}

func (ws *watches) send(block []byte) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	for c := range ws.subs {
		select {
		case c <- block:
		default:
		}
	}
}

// sample is what the disks said at one moment.
type sample struct {
	at   time.Time
	busy map[disk.Number]time.Duration
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
		if n.watches.empty() {
			last = sample{}
			continue
		}
		busy, err := disk.Activity()
		if err != nil {
			n.log.Warn("utilisation is not known", zap.Error(err))
			continue
		}
		now := sample{time.Now(), busy}
		if last.busy != nil {
			n.watches.send(sidechannel.Block(n.loads(last, now)))
		}
		last = now
	}
}

// loads is the difference of two samples for each device.
func (n *Node) loads(last, now sample) []sidechannel.Load {
	var loads []sidechannel.Load
	for _, d := range n.devices.all() {
		load := sidechannel.Load{Dev: d.id, Interval: now.at.Sub(last.at)}
		if number, err := d.Number(); err == nil {
			before, had := last.busy[number]
			after, has := now.busy[number]
			load.Busy, load.Known = after-before, had && has
		}
		loads = append(loads, load)
	}
	return loads
}
