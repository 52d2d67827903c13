package policy

import "slices"

// zoneCount is one zone=n of a HostsPerNetwork.
type zoneCount struct {
	zone string
	want int
}

// zonesLack is HostsPerNetwork: so many hosts in each zone that it names. A copy
// anywhere else is none of its business. Where a zone has not enough hosts it counts
// devices.
//
// The peer offers the hosts that have a copy without end while another host of the zone
// is full; we only until there are n copies in the zone, as more of them gain nothing.
func (p Policy) zonesLack(f Facts) Answer {
	holds := spread(f.Copies, Device.host)
	needed := map[string]bool{} // true: a second copy on a host is better than nothing
	for _, z := range p.zones {
		copies := where(f.Copies, z.has)
		have := len(copies)
		if z.want <= count(f.Candidates, z.mayHave, Device.host, z.want) {
			have = count(copies, z.has, Device.host, z.want)
		}
		if have < z.want {
			needed[z.zone] = len(copies) < z.want
		}
	}
	if len(needed) == 0 {
		return Answer{Verdict: AllGood}
	}
	lists := f.tiers(3, func(d Device) int {
		again, ok := needed[d.Zone]
		switch {
		case ok && !holds[d.Host]:
			return 0
		case ok && again:
			return 1
		}
		return 2
	})
	return suggest(lists[0], lists[1])
}

// zonesSurplus counts devices, so that two copies on one host are too many where one
// host is wanted.
func (p Policy) zonesSurplus(f Facts) int {
	n := 0
	for _, z := range p.zones {
		n += max(len(where(f.Copies, z.has))-z.want, 0)
	}
	return n
}

func (z zoneCount) has(d Device) bool     { return d.Zone == z.zone }
func (z zoneCount) mayHave(d Device) bool { return d.Zone == z.zone && d.lives() }

// networksLack is MultipleNetworks: it spreads the copies over hosts, and these over
// networks, as far as the class has copies and the cluster networks. It makes one copy
// too many to reach another network; one of the others may go then.
//
// Desperate are unused hosts on used networks, and used hosts only when there are none
// of these. The peer has no end where the file can't be spread any better: it makes
// copies on used hosts until every device has one. We stop at the number that is wanted,
// as MultipleHosts does.
func networksLack(f Facts) Answer {
	used, onHosts := spread(f.Copies, Device.network), spread(f.Copies, Device.host)
	enough, far := len(f.Copies) >= f.Min, f.onNetworks(len(used))
	switch {
	case f.Min == 1 && enough, everywhere(f):
		return Answer{Verdict: AllGood}
	case far && len(onHosts) >= f.Min:
		return Answer{Verdict: AllGood}
	case far && enough && count(f.Candidates, Device.wanted, Device.host, len(onHosts)+1) <= len(onHosts):
		return Answer{Verdict: AllGood}
	}
	// A host that has a copy is on a network that has one.
	lists := f.tiers(3, func(d Device) int { return index(used[d.Network]) + index(onHosts[d.Host]) })
	ideal, near, same := lists[0], lists[1], lists[2]
	switch {
	case enough && len(onHosts) >= f.Min: // only another network will do
		return suggest(ideal, nil)
	case enough || len(near) > 0:
		return suggest(ideal, near)
	case !slices.ContainsFunc(f.Candidates, func(d Device) bool { return d.wanted() && !onHosts[d.Host] }):
		return suggest(same, nil)
	}
	return suggest(ideal, same)
}

// onNetworks reports whether copies on so many networks are on enough of them: one for
// each copy that is wanted, as far as there are networks.
func (f Facts) onNetworks(n int) bool {
	return n >= f.Min || n >= count(f.Candidates, Device.wanted, Device.network, f.Min)
}

// networksOverdone is false for a single wanted copy, where there are only so many
// devices, and while the copies are on too few hosts: so it is with the peer.
func networksOverdone(f Facts) bool {
	return f.Min > 1 && !everywhere(f) && len(spread(f.Copies, Device.host)) >= f.Min && networksLack(f).Content()
}
