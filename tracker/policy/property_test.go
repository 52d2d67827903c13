package policy_test

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/policy"
)

// drawFacts makes a cluster of up to 5 hosts in 3 networks and 15 devices.
func drawFacts(t *rapid.T) policy.Facts {
	f := policy.Facts{Min: rapid.IntRange(1, 5).Draw(t, "min")}
	states := []mogile.DevState{
		mogile.DevAlive, mogile.DevAlive, mogile.DevReadonly, mogile.DevDrain, mogile.DevDown, mogile.DevDead,
	}
	networks := rapid.SliceOfN(rapid.SampledFrom([]string{"near", "far", "10.9"}), 5, 5).Draw(t, "networks")
	for id := range rapid.IntRange(1, 15).Draw(t, "devices") {
		host := rapid.IntRange(1, 5).Draw(t, "host")
		d := policy.Device{
			ID:      mogile.DevID(id + 1),
			Host:    mogile.HostID(host),
			State:   rapid.SampledFrom(states).Draw(t, "state"),
			Network: networks[host-1],
			Failed:  rapid.IntRange(0, 9).Draw(t, "failed") == 0,
		}
		if d.Network != "10.9" {
			d.Zone = d.Network
		}
		d.TakesNewFiles = d.State.TakesNewFiles() && rapid.IntRange(0, 9).Draw(t, "full") > 0
		f.Candidates = append(f.Candidates, d)
		if rapid.IntRange(0, 2).Draw(t, "copy") == 0 {
			f.Copies = append(f.Copies, d)
		}
	}
	return f
}

func drawPart(t *rapid.T) string {
	name := rapid.SampledFrom([]string{"MultipleHosts", "MultipleDevices", "MultipleNetworks", "HostsPerNetwork"}).Draw(t, "policy")
	if name == "HostsPerNetwork" {
		return fmt.Sprintf("%s(near=%d, far=%d)", name, rapid.IntRange(0, 3).Draw(t, "near"), rapid.IntRange(1, 3).Draw(t, "far"))
	}
	return fmt.Sprintf("%s(%d)", name, rapid.IntRange(0, 4).Draw(t, "number"))
}

func drawPolicy(t *rapid.T) policy.Policy {
	text := drawPart(t)
	for range rapid.IntRange(0, 2).Draw(t, "unions") {
		text = "Union(" + text + ", " + drawPart(t) + ")"
	}
	return parse(t, text)
}

type fataler interface{ Fatal(args ...any) }

func parse(t fataler, text string) policy.Policy {
	p, err := policy.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func find(devs []policy.Device, id mogile.DevID) (policy.Device, bool) {
	i := slices.IndexFunc(devs, func(d policy.Device) bool { return d.ID == id })
	if i < 0 {
		return policy.Device{}, false
	}
	return devs[i], true
}

func with(f policy.Facts, id mogile.DevID) policy.Facts {
	d, _ := find(f.Candidates, id)
	f.Copies = append(slices.Clone(f.Copies), d)
	return f
}

func without(f policy.Facts, id mogile.DevID) policy.Facts {
	f.Copies = slices.DeleteFunc(slices.Clone(f.Copies), func(d policy.Device) bool { return d.ID == id })
	return f
}

func living(devs []policy.Device) []policy.Device {
	return slices.DeleteFunc(slices.Clone(devs), func(d policy.Device) bool { return d.State.Lost() })
}

// free reports whether a device without a copy would take one.
func free(f policy.Facts) bool {
	return slices.ContainsFunc(f.Candidates, func(d policy.Device) bool {
		_, used := find(f.Copies, d.ID)
		return d.TakesNewFiles && !d.Failed && !used
	})
}

// advice is what may be followed: the ideal devices, or else the desperate ones.
func advice(a policy.Answer) []mogile.DevID {
	if len(a.Ideal) > 0 {
		return a.Ideal
	}
	return a.Desperate
}

func TestSuggestionsAreFreeDevicesThatTakeFiles(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f, p := drawFacts(t), drawPolicy(t)
		a := p.Decide(f)
		suggested := slices.Concat(a.Ideal, a.Desperate)
		if (a.Verdict == policy.Suggest) != (len(suggested) > 0) {
			t.Fatalf("%s, facts %+v: got verdict %v with lists %v and %v", p, f, a.Verdict, a.Ideal, a.Desperate)
		}
		seen := map[mogile.DevID]bool{}
		for _, id := range suggested {
			d, known := find(f.Candidates, id)
			if _, used := find(f.Copies, id); used || !known || !d.TakesNewFiles || d.Failed || seen[id] {
				t.Fatalf("%s, facts %+v: got device %d suggested; want only free ones that take files, once each", p, f, id)
			}
			seen[id] = true
		}
	})
}

func TestFollowingSuggestionsEndsWithEnoughCopies(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := drawFacts(t)
		name := rapid.SampledFrom([]string{"MultipleHosts()", "MultipleDevices()", "MultipleNetworks()"}).Draw(t, "policy")
		p := parse(t, name)
		a := p.Decide(f)
		for a.Verdict == policy.Suggest {
			f = with(f, rapid.SampledFrom(advice(a)).Draw(t, "next"))
			// A copy for a better spread, beyond the minimum, may well be one too many
			// then.
			a = p.Decide(f)
			if a.Verdict == policy.TooGood && len(living(f.Copies)) <= f.Min {
				t.Fatalf("%s, facts %+v: got too_good with no more copies than wanted", p, f)
			}
		}
		if a.Verdict == policy.AllGood && len(living(f.Copies)) < min(f.Min, len(living(f.Candidates))) {
			t.Fatalf("%s, facts %+v: got all_good with too few copies", p, f)
		}
		if a.Verdict == policy.TempFail && free(f) && len(living(f.Copies)) < f.Min {
			t.Fatalf("%s, facts %+v: got temp_fail though a device is free and copies are missing", p, f)
		}
	})
}

// Adds and removes as the answers say, whichever of the devices. A removal may be followed
// by an addition only where MultipleHosts moves a copy to another host; so there are never
// more steps than twice the devices.
func TestFollowingTheAnswersComesToAnEnd(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f, p := drawFacts(t), drawPolicy(t)
		begin := f
		for step := 0; ; step++ {
			if step > 2*len(f.Candidates) {
				t.Fatalf("%s, facts %+v: got no end; copies are %v now", p, begin, f.Copies)
			}
			a := p.Decide(f)
			if a.Verdict == policy.Suggest {
				f = with(f, rapid.SampledFrom(advice(a)).Draw(t, "next"))
				continue
			}
			if a.Verdict != policy.TooGood {
				return
			}
			spare := p.Spare(f)
			if len(spare) == 0 {
				t.Fatalf("%s, facts %+v: got too_good and nothing to spare", p, f)
			}
			f = without(f, rapid.SampledFrom(spare).Draw(t, "spare"))
		}
	})
}

func TestNothingIsSparedThatIsNeeded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f, p := drawFacts(t), drawPolicy(t)
		a, spare := p.Decide(f), p.Spare(f)
		if (a.Verdict == policy.TooGood) != (len(spare) > 0) {
			t.Fatalf("%s, facts %+v: got verdict %v and %v to spare", p, f, a.Verdict, spare)
		}
		for _, id := range spare {
			if _, ok := find(living(f.Copies), id); !ok {
				t.Fatalf("%s, facts %+v: got %d to spare, which has no living copy", p, f, id)
			}
			rest := without(f, id)
			if len(living(rest.Copies)) < 1 {
				t.Fatalf("%s, facts %+v: got the last copy to spare", p, f)
			}
			// MultipleHosts calls for a copy on another host when there are enough on one.
			if then := p.Decide(rest); !then.Content() && p.String()[:13] != "MultipleHosts" {
				t.Fatalf("%s, facts %+v: got %d to spare, and without it %s", p, f, id, say(then))
			}
		}
	})
}

// With numbers there is a floor that is easy to name.
func TestSparingLeavesNoFewerCopiesThanWanted(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := drawFacts(t)
		p := parse(t, rapid.SampledFrom([]string{
			"MultipleHosts()", "MultipleDevices()", "MultipleNetworks()",
			"Union(MultipleHosts(), HostsPerNetwork(near=1))", "Union(MultipleDevices(), MultipleHosts(2))",
		}).Draw(t, "policy"))
		for p.Decide(f).Verdict == policy.TooGood {
			f = without(f, rapid.SampledFrom(p.Spare(f)).Draw(t, "spare"))
			if n := len(living(f.Copies)); n < f.Min {
				t.Fatalf("%s, facts %+v: got %d copies left; want %d", p, f, n, f.Min)
			}
		}
	})
}

// A union that is content is so for each of its parts.
func TestAUnionIsContentOnlyWithContentParts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := drawFacts(t)
		a, b := drawPart(t), drawPart(t)
		if !parse(t, "Union("+a+", "+b+")").Decide(f).Content() {
			return
		}
		for _, part := range []string{a, b} {
			if got := parse(t, part).Decide(f); !got.Content() {
				t.Fatalf("Union(%s, %s), facts %+v: got content; want what its part says: %s", a, b, f, say(got))
			}
		}
	})
}

func TestTheOrderOfDevicesChangesOnlyThatOfTheLists(t *testing.T) {
	sorted := func(ids []mogile.DevID) string { return fmt.Sprint(slices.Sorted(slices.Values(ids))) }
	rapid.Check(t, func(t *rapid.T) {
		f, p := drawFacts(t), drawPolicy(t)
		mixed := policy.Facts{
			Min: f.Min, Copies: rapid.Permutation(f.Copies).Draw(t, "copies"),
			Candidates: rapid.Permutation(f.Candidates).Draw(t, "candidates"),
		}
		a, b := p.Decide(f), p.Decide(mixed)
		same := a.Verdict == b.Verdict && sorted(a.Ideal) == sorted(b.Ideal) && sorted(a.Desperate) == sorted(b.Desperate)
		if !same || sorted(p.Spare(f)) != sorted(p.Spare(mixed)) {
			t.Fatalf("%s, facts %+v: got %s, in another order %s", p, f, say(a), say(b))
		}
	})
}
