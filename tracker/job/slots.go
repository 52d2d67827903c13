package job

import (
	"context"
	"sync"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/topology"
)

const (
	// defaultCopiesPerDevice is how many copies of small files are read from or written
	// to one device at a time when the operator says nothing. What such a copy takes is
	// the wait for a sync, which the next can share: eight of them, at ten milliseconds
	// each, are what two devices need for a thousand files a second.
	defaultCopiesPerDevice = 8
	// largeFile is from how many bytes on a disk is busier with reading or writing a
	// file than with syncing it.
	largeFile = 1 << 20
	// maxLargeCopies is how many of those come to one device at a time: more would only
	// make its disk seek, and clients use it too.
	maxLargeCopies = 2
)

// slots bounds the copies under way from and to each device, so that the disk keeps a
// share for clients. Large files have slots of their own: a crowd of small ones can't
// keep them waiting for ever.
type slots struct {
	small, large int // the most at a time, of one device

	mu    sync.Mutex // guards what follows
	taken map[slot]int
	freed chan struct{} // closed and replaced when one is
}

// slot is a kind of slots of a device.
type slot struct {
	dev   mogile.DevID
	large bool
}

// newSlots bounds the copies of small files to perDevice, or to the default when that is
// 0. Of large files there are never more than of small ones.
func newSlots(perDevice int) *slots {
	if perDevice == 0 {
		perDevice = defaultCopiesPerDevice
	}
	return &slots{
		small: perDevice, large: min(perDevice, maxLargeCopies),
		taken: map[slot]int{}, freed: make(chan struct{}),
	}
}

// pair is where a copy comes from and goes to, with a slot of each.
type pair struct {
	source, dest topology.Device
	free         func() // must be called once
}

// take picks the first source and the first destination that have a slot for a file of
// so many bytes, and waits while there are no two. It takes both or none: who held one
// and waited for the other could wait for somebody who does the same the other way round.
func (s *slots) take(ctx context.Context, bytes int64, sources, dests []topology.Device) (pair, error) {
	for {
		p, freed, ok := s.try(bytes >= largeFile, sources, dests)
		if ok {
			return p, nil
		}
		select {
		case <-freed:
		case <-ctx.Done():
			return pair{}, context.Cause(ctx)
		}
	}
}

func (s *slots) try(large bool, sources, dests []topology.Device) (pair, <-chan struct{}, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	source, ok := s.firstLocked(large, sources)
	if !ok {
		return pair{}, s.freed, false
	}
	dest, ok := s.firstLocked(large, dests)
	if !ok {
		return pair{}, s.freed, false
	}
	from, to := slot{source.ID, large}, slot{dest.ID, large}
	s.taken[from]++
	s.taken[to]++
	return pair{source: source, dest: dest, free: func() { s.free(from, to) }}, nil, true
}

func (s *slots) firstLocked(large bool, devs []topology.Device) (topology.Device, bool) {
	most := s.small
	if large {
		most = s.large
	}
	for _, d := range devs {
		if s.taken[slot{d.ID, large}] < most {
			return d, true
		}
	}
	return topology.Device{}, false
}

func (s *slots) free(both ...slot) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, one := range both {
		if s.taken[one]--; s.taken[one] == 0 {
			delete(s.taken, one)
		}
	}
	close(s.freed)
	s.freed = make(chan struct{})
}
