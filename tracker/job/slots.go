package job

import (
	"context"
	"sync"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/topology"
)

// maxCopiesPerDest is how many copies go to one device at a time: more would only make
// its disk seek, and clients write to it too.
const maxCopiesPerDest = 2

// slots bounds the copies under way to each device.
type slots struct {
	mu    sync.Mutex // guards what follows
	taken map[mogile.DevID]int
	freed chan struct{} // closed and replaced when one is
}

func newSlots() *slots {
	return &slots{taken: map[mogile.DevID]int{}, freed: make(chan struct{})}
}

// take picks the first of the devices that has a slot, and waits for one while none has.
// The caller must free it.
func (s *slots) take(ctx context.Context, devs []topology.Device) (topology.Device, error) {
	for {
		d, freed, ok := s.try(devs)
		if ok {
			return d, nil
		}
		select {
		case <-freed:
		case <-ctx.Done():
			return topology.Device{}, context.Cause(ctx)
		}
	}
}

func (s *slots) try(devs []topology.Device) (topology.Device, <-chan struct{}, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, d := range devs {
		if s.taken[d.ID] < maxCopiesPerDest {
			s.taken[d.ID]++
			return d, nil, true
		}
	}
	return topology.Device{}, s.freed, false
}

func (s *slots) free(dev mogile.DevID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.taken[dev]--; s.taken[dev] == 0 {
		delete(s.taken, dev)
	}
	close(s.freed)
	s.freed = make(chan struct{})
}
