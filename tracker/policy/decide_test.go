package policy_test

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/policy"
)

type vector struct{ layout, want string }

func check(t *testing.T, name string, vectors []vector) {
	t.Helper()
	p, err := policy.Parse(name)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range vectors {
		if got := say(p.Decide(layout(t, v.layout))); got != v.want {
			t.Errorf("%s for %s: got %s; want %s", name, v.layout, got, v.want)
		}
	}
}

// The vectors of docs/spec/jobs.md §6, with the desperate list beside the ideal one.
func TestMultipleHostsKeepsTheConformanceVectors(t *testing.T) {
	check(t, "MultipleHosts()", []vector{
		{"min=2 h1[d1=X d2=_] h2[d3=X d4=_]", "all_good"},
		{"min=2 h1[d1=X d2=_] h2[d3=_ d4=_]", "ideal(3,4) desperate(2)"},
		{"min=2 h1[d1=X d2=X] h2[d3=_ d4=_]", "ideal(3,4)"},
		{"min=2 h1[d1=X d2=_] h2=down[d3=_ d4=_]", "desperate(2)"},
		{"min=2 h1[d1=X d2=_] h2=down[d3=_ d4=_] h3[d5=_ d6=_]", "ideal(5,6) desperate(2)"},
		{"min=2 h1[d1=_ d2=X,dead] h2[d3=X d4=_]", "ideal(1) desperate(4)"},
		{"min=3 h1[d1=_ d2=X] h2[d3=X d4=_]", "ideal(1,4)"},
		{"min=3 h1[d1=_ d2=X] h2[d3=X d4=_] h3[d5=_]", "ideal(5) desperate(1,4)"},
		{"min=3 h1[d1=_ d2=X] h2[d3=X d4=_] h3=down[d5=_]", "desperate(1,4)"},
		{"min=2 h1[d1=X d2=_] h2[d3=X d4=_] h3[d5=X]", "too_good"},
		{"min=2 h1[d1=X d2=X] h2[d3=X d4=_]", "too_good"},
		{"min=3 h1[d1=_ d2=X] h2[d3=X d4=X]", "all_good"},
		{"min=2 h1[d3=X,drain d5=_] h2[d4=X d6=_]", "all_good"},
		{"min=2 h1[d3=X,drain d5=X] h2[d4=X d6=_]", "too_good"},
	})
}

func TestMultipleHostsAtItsEdges(t *testing.T) {
	check(t, "MultipleHosts()", []vector{
		{"min=1 h1[d1=X d2=_] h2[d3=_]", "all_good"},
		{"min=1 h1[d1=X d2=X] h2[d3=_]", "too_good"},
		{"min=1 h1[d1=_] h2[d2=_]", "ideal(1,2)"},
		{"min=0 h1[d1=X] h2[d2=_]", "all_good"},            // no mindevcount ever asks for less than one copy
		{"min=2 h1[d1=X]", "temp_fail"},                    // one copy is never "everywhere"
		{"min=3 h1[d1=X d2=X]", "all_good"},                // 6: there are no more devices
		{"min=3 h1[d1=X d2=X d3=_,dead]", "all_good"},      // 6: a dead device is none
		{"min=3 h1[d1=X d2=X d3=_,down]", "temp_fail"},     // a down device is one, and may come back
		{"min=2 h1[d1=X d2=X] h2=down[d3=_]", "temp_fail"}, // 9: enough copies already, a third on h1 is no gain
		{"min=2 h1[d1=X d2=X] h2[d3=_,failed]", "temp_fail"},
		{"min=2 h1[d1=X d2=_] h2[d3=_,readonly]", "ideal(2)"}, // only one host is usable: no better place
		{"min=2 h1[d1=X] h2[d2=_,full d3=_,failed d4=_]", "ideal(4)"},
		{"min=2 h1[d1=X,down] h2[d2=_]", "ideal(2)"},
		{"min=2 h1[d1=X,readonly] h2[d2=X]", "all_good"},
	})
	check(t, "MultipleHosts(3)", []vector{
		{"min=1 h1[d1=X] h2[d2=X] h3[d3=_]", "ideal(3)"},
	})
}

func TestMultipleDevicesIgnoresHosts(t *testing.T) {
	check(t, "MultipleDevices()", []vector{
		{"min=2 h1[d1=X d2=X] h2[d3=_]", "all_good"},
		{"min=2 h1[d1=X d2=_] h2[d3=_]", "ideal(2,3)"},
		{"min=2 h1[d1=X d2=X] h2[d3=X]", "too_good"},
		{"min=3 h1[d1=X d2=X]", "all_good"},
		{"min=2 h1[d1=X] h2=down[d2=_]", "temp_fail"},
		{"min=2 h1[d1=X] h2[d2=X,dead d3=_]", "ideal(3)"},
	})
	check(t, "MultipleDevices(1)", []vector{{"min=2 h1[d1=X d2=_]", "all_good"}})
}

// drawFacts makes a cluster of up to 5 hosts and 15 devices.
func drawFacts(t *rapid.T) policy.Facts {
	f := policy.Facts{Min: rapid.IntRange(1, 5).Draw(t, "min")}
	states := []mogile.DevState{
		mogile.DevAlive, mogile.DevAlive, mogile.DevReadonly, mogile.DevDrain, mogile.DevDown, mogile.DevDead,
	}
	for id := range rapid.IntRange(1, 15).Draw(t, "devices") {
		d := policy.Device{
			ID:     mogile.DevID(id + 1),
			Host:   mogile.HostID(rapid.IntRange(1, 5).Draw(t, "host")),
			State:  rapid.SampledFrom(states).Draw(t, "state"),
			Failed: rapid.IntRange(0, 9).Draw(t, "failed") == 0,
		}
		d.TakesNewFiles = d.State.TakesNewFiles() && rapid.IntRange(0, 9).Draw(t, "full") > 0
		f.Candidates = append(f.Candidates, d)
		if rapid.IntRange(0, 2).Draw(t, "copy") == 0 {
			f.Copies = append(f.Copies, d)
		}
	}
	return f
}

func drawPolicy(t *rapid.T) policy.Policy {
	p, err := policy.Parse(rapid.SampledFrom([]string{"", "MultipleDevices()"}).Draw(t, "policy"))
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

func TestSuggestionsAreFreeDevicesThatTakeFiles(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := drawFacts(t)
		a := drawPolicy(t).Decide(f)
		suggested := slices.Concat(a.Ideal, a.Desperate)
		if (a.Verdict == policy.Suggest) != (len(suggested) > 0) {
			t.Fatalf("facts %+v: got verdict %v with lists %v and %v", f, a.Verdict, a.Ideal, a.Desperate)
		}
		seen := map[mogile.DevID]bool{}
		for _, id := range suggested {
			d, known := find(f.Candidates, id)
			if _, used := find(f.Copies, id); used || !known || !d.TakesNewFiles || d.Failed || seen[id] {
				t.Fatalf("facts %+v: got device %d suggested; want only free ones that take files, once each", f, id)
			}
			seen[id] = true
		}
	})
}

func TestFollowingSuggestionsEndsWithEnoughCopies(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f, p := drawFacts(t), drawPolicy(t)
		a := p.Decide(f)
		for a.Verdict == policy.Suggest {
			next := slices.Concat(a.Ideal, a.Desperate)[0]
			d, _ := find(f.Candidates, next)
			f.Copies = append(f.Copies, d)
			if len(f.Copies) > len(f.Candidates) {
				t.Fatalf("facts %+v: got a suggestion though every device has a copy", f)
			}
			// A copy for a better spread, beyond the minimum, may well be one too many
			// then: the surplus goes from where two lie on one host.
			a = p.Decide(f)
			if a.Verdict == policy.TooGood && len(living(f.Copies)) <= f.Min {
				t.Fatalf("facts %+v: got too_good with no more copies than wanted", f)
			}
		}
		if a.Verdict == policy.AllGood && len(living(f.Copies)) < min(f.Min, len(living(f.Candidates))) {
			t.Fatalf("facts %+v: got all_good with too few copies", f)
		}
		if a.Verdict == policy.TempFail && slices.ContainsFunc(f.Candidates, func(d policy.Device) bool {
			_, used := find(f.Copies, d.ID)
			return d.TakesNewFiles && !d.Failed && !used
		}) && len(living(f.Copies)) < f.Min {
			t.Fatalf("facts %+v: got temp_fail though a device is free and copies are missing", f)
		}
	})
}

func living(devs []policy.Device) []policy.Device {
	return slices.DeleteFunc(slices.Clone(devs), func(d policy.Device) bool { return d.State.Lost() })
}
