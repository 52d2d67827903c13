package topology

import (
	"cmp"
	"slices"
	"strconv"
)

// writeCandidates is how many of the emptiest devices share the new files
// (docs/spec/tracker-protocol.md §5.5).
const writeCandidates = 20

// ForWriting orders devices for a new copy: the 20 with the largest free share,
// in random order weighted by it. Devices with no known free space drop out. rnd
// returns numbers in [0,1).
func ForWriting(devs []Device, rnd func() float64) []Device {
	sorted := slices.SortedStableFunc(slices.Values(devs), func(a, b Device) int {
		return cmp.Compare(b.FreeShare(), a.FreeShare())
	})
	sorted = sorted[:min(len(sorted), writeCandidates)]
	return weightedShuffle(sorted, Device.FreeShare, rnd)
}

// ForReading orders devices by how idle they are: in random order weighted by what
// utilisation leaves of the operator's weight, or by all of it where there is none.
// (The peer reads only whole numbers as utilisation, which no node sends, so that
// there the operator's weight always decides: docs/spec/jobs.md §1.1. So it counts here,
// too: whoever set it relies on it.)
func ForReading(devs []Device, rnd func() float64) []Device {
	return weightedShuffle(devs, readWeight, rnd)
}

func readWeight(d Device) float64 {
	weight := float64(d.Weight)
	if d.Weight == 0 {
		weight = 100
	}
	if d.Seen.Utilization != "" { // parsing nothing costs an error for every device and read
		if busy, err := strconv.ParseFloat(d.Seen.Utilization, 64); err == nil && busy >= 0 {
			weight *= (102 - min(busy, 100)) / 100
		}
	}
	return weight
}

// weightedShuffle draws without replacement with probability proportional to the
// weight; weights of 0 and less are never drawn.
func weightedShuffle(devs []Device, weight func(Device) float64, rnd func() float64) []Device {
	type ticket struct {
		dev    Device
		weight float64
	}
	tickets, sum := make([]ticket, 0, len(devs)), 0.0
	for _, d := range devs {
		if w := weight(d); w > 0 {
			tickets, sum = append(tickets, ticket{d, w}), sum+w
		}
	}
	drawn := make([]Device, 0, len(tickets))
	for len(tickets) > 0 {
		at, i := rnd()*sum, 0
		for ; i < len(tickets)-1 && at >= tickets[i].weight; i++ {
			at -= tickets[i].weight
		}
		drawn, sum = append(drawn, tickets[i].dev), sum-tickets[i].weight
		tickets = slices.Delete(tickets, i, i+1)
	}
	return drawn
}
