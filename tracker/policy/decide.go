package policy

import "github.com/mogilefs/caddy-mogilefs/mogile"

// Device is what a policy needs to know of a device.
type Device struct {
	ID    mogile.DevID
	Host  mogile.HostID
	State mogile.DevState
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
	// TooGood: more copies than wanted.
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

// Decide answers for the file of the facts.
func (p Policy) Decide(f Facts) Answer {
	if p.min > 0 {
		f.Min = p.min
	}
	f.Min = max(f.Min, 1)
	f.Copies = living(f.Copies)
	if rule, ok := rules[p.name]; ok {
		return rule(f)
	}
	return multipleHosts(f)
}

// multipleHosts spreads the copies over hosts. The cases are numbered as in
// docs/spec/jobs.md §6.
func multipleHosts(f Facts) Answer {
	copies, used := len(f.Copies), hosts(f.Copies)
	usable := hosts(alive(f.Candidates)) // by the operator's word: a host that is merely down will be back
	ideal, desperate := destinations(f), []mogile.DevID(nil)
	if len(used) < len(usable) {
		ideal, desperate = apart(f, used)
	}
	switch {
	case f.Min == 1 && copies == 1: // 1
		return Answer{Verdict: AllGood}
	case len(used) > f.Min, copies > f.Min: // 2, 3
		return Answer{Verdict: TooGood}
	case len(used) == f.Min: // 4
		return Answer{Verdict: AllGood}
	case len(used) >= len(usable) && copies >= f.Min: // 5
		return Answer{Verdict: AllGood}
	case everywhere(f): // 6
		return Answer{Verdict: AllGood}
	case len(ideal) == 0 && (len(desperate) == 0 || copies >= f.Min): // 7, 9
		return Answer{Verdict: TempFail}
	}
	return Answer{Ideal: ideal, Desperate: desperate} // 8, 10
}

// multipleDevices wants copies on so many devices, on whatever hosts.
func multipleDevices(f Facts) Answer {
	ideal := destinations(f)
	switch copies := len(f.Copies); {
	case copies == f.Min:
		return Answer{Verdict: AllGood}
	case copies > f.Min:
		return Answer{Verdict: TooGood}
	case everywhere(f):
		return Answer{Verdict: AllGood}
	case len(ideal) == 0:
		return Answer{Verdict: TempFail}
	}
	return Answer{Ideal: ideal}
}

// everywhere reports whether there are several copies and no device is without.
func everywhere(f Facts) bool {
	return len(f.Copies) >= 2 && len(f.Copies) == len(living(f.Candidates))
}

// apart splits the destinations into those on other hosts and those on used ones.
func apart(f Facts, used map[mogile.HostID]bool) (other, same []mogile.DevID) {
	for _, d := range f.Candidates {
		switch {
		case !f.accepts(d):
		case used[d.Host]:
			same = append(same, d.ID)
		default:
			other = append(other, d.ID)
		}
	}
	return other, same
}

func destinations(f Facts) []mogile.DevID {
	all, _ := apart(f, nil)
	return all
}

// accepts reports whether another copy may go to d.
func (f Facts) accepts(d Device) bool {
	for _, c := range f.Copies {
		if c.ID == d.ID {
			return false
		}
	}
	return d.TakesNewFiles && d.State.TakesNewFiles() && !d.Failed
}

func living(devs []Device) []Device {
	var kept []Device
	for _, d := range devs {
		if !d.State.Lost() {
			kept = append(kept, d)
		}
	}
	return kept
}

func alive(devs []Device) []Device {
	var kept []Device
	for _, d := range devs {
		if d.State.TakesNewFiles() {
			kept = append(kept, d)
		}
	}
	return kept
}

func hosts(devs []Device) map[mogile.HostID]bool {
	set := make(map[mogile.HostID]bool, len(devs))
	for _, d := range devs {
		set[d.Host] = true
	}
	return set
}
