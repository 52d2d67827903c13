package command

import (
	"context"
	"sync"
	"time"

	"github.com/mogilefs/caddy-mogilefs/tracker/topology"
)

// hedges is how many devices are asked at most before the time is over, when none
// answers: each next one after the same part of it, 100 ms by default. A node that is
// well answers in a few.
const hedges = 20

// verified asks devices in their order whether they have a file, until one has it that is
// not draining: readers take that first, and find the others by themselves. It returns
// those that have it and those that were not asked, in their order, then those that did
// not answer before another did. Those that don't have it are left out, and all that say
// nothing until the time is over.
//
// A device that is slow to answer is not waited for: the next one is asked as well, so
// that a dead one costs little. (The peer asks one after the other, and waits for each as
// long as a node may take.)
func (c *Commands) verified(ctx context.Context, devs []topology.Device, has func(context.Context, topology.Device) bool) []topology.Device {
	ctx, cancel := context.WithTimeout(ctx, c.nodeTimeout)
	v := verification{devs: devs, found: make([]finding, len(devs)), answers: make(chan answer, len(devs))}
	var asked sync.WaitGroup
	defer asked.Wait() // after cancel
	defer cancel()
	pause := max(c.nodeTimeout/hedges, 1)
	hedge := time.NewTicker(pause)
	defer hedge.Stop()
	ask := func() {
		if i := v.asked; i < len(devs) && ctx.Err() == nil {
			v.asked++
			asked.Go(func() { v.answers <- answer{i, has(ctx, devs[i])} })
			hedge.Reset(pause)
		}
	}
	for ask(); v.answered < v.asked; {
		select {
		case a := <-v.answers:
			if v.note(a) {
				return v.rest(true)
			}
			ask()
		case <-hedge.C:
			ask()
		case <-ctx.Done():
			return v.rest(false)
		}
	}
	return v.rest(false)
}

// finding is what is known of a device.
type finding uint8

const (
	unanswered finding = iota
	intact
	broken
)

type answer struct {
	i   int // of verification.devs
	has bool
}

// verification is how far the asking has come.
type verification struct {
	devs     []topology.Device
	found    []finding
	answers  chan answer
	asked    int // so many of devs, from the first
	answered int
}

// note reports whether the answer is the one that is looked for.
func (v *verification) note(a answer) bool {
	v.answered++
	v.found[a.i] = broken
	if a.has {
		v.found[a.i] = intact
	}
	return a.has && !v.devs[a.i].State.Draining()
}

// rest is what is left of the devices. Those that were not asked, or have not answered,
// count when one was found.
func (v *verification) rest(found bool) []topology.Device {
	var sure, slow []topology.Device
	for i, d := range v.devs {
		switch {
		case v.found[i] == intact, found && i >= v.asked:
			sure = append(sure, d)
		case found && v.found[i] == unanswered:
			slow = append(slow, d)
		}
	}
	return append(sure, slow...)
}
