package policy

import "github.com/mogilefs/caddy-mogilefs/mogile"

// hostsLack is MultipleHosts: it spreads the copies over hosts. The cases are numbered as
// in docs/spec/jobs.md §6; 2 and 3 are in overdone, where 1 needs no mention, as a single
// copy is never too many.
func hostsLack(f Facts) Answer {
	copies, used := len(f.Copies), spread(f.Copies, Device.host)
	if len(used) >= f.Min { // 1, 4
		return Answer{Verdict: AllGood}
	}
	usedAll := count(f.Candidates, Device.wanted, Device.host, len(used)+1) <= len(used)
	if usedAll && copies >= f.Min || everywhere(f) { // 5, 6
		return Answer{Verdict: AllGood}
	}
	ideal, desperate := f.destinations(), []mogile.DevID(nil)
	if !usedAll { // 8
		lists := f.tiers(2, func(d Device) int { return index(used[d.Host]) })
		ideal, desperate = lists[0], lists[1]
	}
	if copies >= f.Min { // 9
		desperate = nil
	}
	return suggest(ideal, desperate) // 7, 10
}

// devicesLack is MultipleDevices: it wants copies on so many devices, on whatever hosts.
func devicesLack(f Facts) Answer {
	if len(f.Copies) >= f.Min || everywhere(f) {
		return Answer{Verdict: AllGood}
	}
	return suggest(f.destinations(), nil)
}

// suggest is the answer with these lists, or TempFail when they are empty.
func suggest(ideal, desperate []mogile.DevID) Answer {
	if len(ideal)+len(desperate) == 0 {
		return Answer{Verdict: TempFail}
	}
	return Answer{Ideal: ideal, Desperate: desperate}
}

// index is 1 for true.
func index(b bool) int {
	if b {
		return 1
	}
	return 0
}
