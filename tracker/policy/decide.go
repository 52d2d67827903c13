package policy

import (
	"slices"

	"github.com/mogilefs/caddy-mogilefs/mogile"
)

// Device is what a policy needs to know of a device.
type Device struct {
	ID    mogile.DevID
	Host  mogile.HostID
	State mogile.DevState
	// Zone is the operator's name for the network that its host is in; empty when it
	// is in none of them.
	Zone string
	// Network tells networks apart also where no zone is named: hosts with the same
	// one are close together.
	Network string
	// TakesNewFiles reports whether a copy can be put on it now; unlike State it
	// counts the host, what monitoring saw, and free space.
	TakesNewFiles bool
	// Failed: a copy to it failed a moment ago; don't suggest it again.
	Failed bool
}

// Facts is the situation of one file.
type Facts struct {
	// Copies are the devices that hold one. Those on lost devices don't count.
	Copies []Device
	// Candidates are all devices that copies may be on, among them those of
	// Copies.
	Candidates []Device
	// Min is the class's mindevcount; less than 1 counts as 1.
	Min int
}

// Verdict is the kind of an answer.
type Verdict uint8

// What a policy can say.
const (
	// Suggest: one more copy is wanted; see Ideal and Desperate.
	Suggest Verdict = iota
	// AllGood: just right.
	AllGood
	// TooGood: more copies than wanted; see [Policy.Spare].
	TooGood
	// TempFail: not enough, and nowhere to put another now.
	TempFail
)

// Answer is what a policy has to say. The lists are disjoint, hold no device that has
// a copy, and are empty unless the verdict is [Suggest].
type Answer struct {
	Verdict Verdict
	// Ideal devices bring the file nearer to what the policy wants; Desperate ones
	// are better than nothing, when there is no ideal one.
	Ideal, Desperate []mogile.DevID
}

// Content reports whether no copy is lacking.
func (a Answer) Content() bool { return a.Verdict == AllGood || a.Verdict == TooGood }

// Decide answers for the file of the facts.
func (p Policy) Decide(f Facts) Answer {
	f.Copies = living(f.Copies)
	if p.overdone(f) {
		return Answer{Verdict: TooGood}
	}
	return p.lacks(f)
}

// overdone reports whether the answer is TooGood. MultipleHosts looks at the number of
// copies first, and at where they are only when these are not too many
// (docs/spec/jobs.md §6); for the others a copy that is lacking comes before one that is
// too many.
func (p Policy) overdone(f Facts) bool {
	switch {
	case p.surplus(f) == 0:
		return false
	case p.kind() == multipleHosts:
		return true
	case p.kind() == multipleNetworks:
		f.Min = p.copies(f)
		return networksOverdone(f)
	case p.kind() == union:
		return len(p.dispensable(f)) > 0
	}
	return p.lacks(f).Content()
}

// lacks answers whether a copy is lacking, without regard to those that are too many: it
// never says TooGood. The copies of the facts live.
func (p Policy) lacks(f Facts) Answer {
	f.Min = p.copies(f)
	switch p.kind() {
	case multipleDevices:
		return devicesLack(f)
	case hostsPerNetwork:
		return p.zonesLack(f)
	case multipleNetworks:
		return networksLack(f)
	case union:
		return p.partsLack(f)
	}
	return hostsLack(f)
}

// surplus is how many copies there are beyond the number that is wanted, as far as a
// policy counts them.
func (p Policy) surplus(f Facts) int {
	switch p.kind() {
	case hostsPerNetwork:
		return p.zonesSurplus(f)
	case union:
		return p.partsSurplus(f)
	}
	return max(len(f.Copies)-p.copies(f), 0)
}

// copies is the number that is wanted, by the policy's word or the class's.
func (p Policy) copies(f Facts) int {
	if p.min > 0 {
		return p.min
	}
	return max(f.Min, 1)
}

// everywhere reports whether there are several copies and no device is without.
func everywhere(f Facts) bool {
	if len(f.Copies) < 2 {
		return false
	}
	n := 0
	for _, d := range f.Candidates {
		n += index(d.lives())
	}
	return n == len(f.Copies)
}

// tiers splits the destinations by what tier says of them; devices that can take no copy
// are in none.
func (f Facts) tiers(n int, tier func(Device) int) [][]mogile.DevID {
	lists := make([][]mogile.DevID, n)
	for _, d := range f.Candidates {
		if f.accepts(d) {
			at := tier(d)
			lists[at] = append(lists[at], d.ID)
		}
	}
	return lists
}

// destinations are all devices that can take a copy.
func (f Facts) destinations() []mogile.DevID {
	return f.tiers(1, func(Device) int { return 0 })[0]
}

// accepts reports whether another copy may go to d.
func (f Facts) accepts(d Device) bool {
	if !d.TakesNewFiles || !d.State.TakesNewFiles() || d.Failed {
		return false
	}
	for _, c := range f.Copies {
		if c.ID == d.ID {
			return false
		}
	}
	return true
}

func living(devs []Device) []Device { return where(devs, Device.lives) }

func (d Device) lives() bool { return !d.State.Lost() }

// wanted reports whether the operator wants new files on it. It goes by his word: a host
// that is merely down will be back.
func (d Device) wanted() bool { return d.State.TakesNewFiles() }

func where(devs []Device, is func(Device) bool) []Device {
	kept := make([]Device, 0, len(devs))
	for _, d := range devs {
		if is(d) {
			kept = append(kept, d)
		}
	}
	return kept
}

func (d Device) host() mogile.HostID { return d.Host }
func (d Device) network() string     { return d.Network }

// spread is the hosts or networks of devices.
func spread[K comparable](devs []Device, of func(Device) K) map[K]bool {
	set := make(map[K]bool, len(devs))
	for _, d := range devs {
		set[of(d)] = true
	}
	return set
}

// count is on how many hosts or networks such devices are. It stops at most, as it is
// asked for every file and there may be many devices.
func count[K comparable](devs []Device, is func(Device) bool, of func(Device) K, most int) int {
	var seen []K
	for _, d := range devs {
		if len(seen) >= most {
			break
		}
		if is(d) && !slices.Contains(seen, of(d)) {
			seen = append(seen, of(d))
		}
	}
	return len(seen)
}
