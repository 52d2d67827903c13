package policy_test

import (
	"testing"

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
		{"min=2 h1[d1=X d2=X d4=_] h2=down[d3=_]", "temp_fail"},
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

// The remark of docs/spec/jobs.md §6 on two hosts, and its other rules.
func TestHostsPerNetworkCountsHostsOrDevicesOfItsZones(t *testing.T) {
	check(t, "HostsPerNetwork(near=2, far=1)", []vector{
		{"min=9 h1@near[d1=X] h2@near[d2=X] h3@far[d3=X]", "all_good"}, // mindevcount is not asked
		{"h1@near[d1=_] h2@near[d2=_] h3@far[d3=_]", "ideal(1,2,3)"},
		{"h1@near[d1=X d2=_] h2@near[d3=_] h3@far[d4=X d5=_]", "ideal(3) desperate(2)"},
		{"h1@near[d1=X d2=_] h2@near[d3=_,full] h3@far[d4=X]", "desperate(2)"},
		{"h1@near[d1=X d2=X d3=_] h2@near[d4=_,full] h3@far[d5=X]", "temp_fail"}, // a third one on h1 gains nothing
		{"h1@near[d1=X d2=X d3=_] h2@near[d4=_] h3@far[d5=X]", "ideal(4)"},
		{"h1@near[d1=X d2=X] h2@near[d3=X] h3@far[d4=X]", "too_good"},
		{"h1@near[d1=X] h2@near[d2=X] h3@far[d3=X d4=X]", "too_good"},
		{"h1@near[d1=X] h2@near[d2=X] h3@far[d3=X] h4@other[d4=X] h5[d5=X]", "all_good"}, // elsewhere is ignored
		{"h1@near[d1=X] h2@near[d2=X] h3@far[d3=_,full] h4@other[d4=_]", "temp_fail"},
		{"h1@near[d1=X d2=_]          h3@far[d3=X]", "desperate(2)"}, // one host: devices count
		{"h1@near[d1=X d2=X]          h3@far[d3=X]", "all_good"},
		{"h1@near[d1=X d2=X d3=X]     h3@far[d4=X]", "too_good"},
		{"h1@near[d1=X d2=X] h2@near[d3=_,dead] h3@far[d4=X]", "all_good"},
		{"h1@near[d1=X d2=X] h2@near[d3=_,down] h3@far[d4=X]", "temp_fail"}, // will be back
		{"h1@near[d1=X] h2@near[d2=X,dead d3=_] h3@far[d4=X]", "ideal(3)"},
		{"h1@near[d1=X] h2@near[d2=X,drain d3=_] h3@far[d4=X]", "all_good"},
		{"h1@near[d1=X d2=X] h2@near[d3=_] h3@far[d4=_]", "ideal(3,4)"}, // lacking before too many
		{"h1[d1=X] h2[d2=X]", "temp_fail"},                              // no zone is known
	})
	check(t, "HostsPerNetwork(near=3)", []vector{
		{"h1@near[d1=_ d2=X] h2@near[d3=X d4=_]", "desperate(1,4)"},
	})
	check(t, "HostsPerNetwork(near=1)", []vector{
		{"h1@near[d1=X d2=X]", "too_good"},
	})
	check(t, "HostsPerNetwork(near=0, far=1)", []vector{
		{"h1@near[d1=X] h2@far[d2=_]", "ideal(2)"},
		{"h1@near[d1=X] h2@far[d2=X]", "too_good"},
		{"h1@near[d1=_] h2@far[d2=X]", "all_good"},
	})
}

func TestMultipleNetworksReachesForAnotherNetwork(t *testing.T) {
	check(t, "MultipleNetworks()", []vector{
		{"min=1 h1@a[d1=X] h2@b[d2=_]", "all_good"},
		{"min=1 h1@a[d1=X d2=X] h2@b[d3=X]", "all_good"}, // so it is with the peer
		{"min=1 h1@a[d1=_] h2@b[d2=_]", "ideal(1,2)"},
		{"min=2 h1@a[d1=X] h2@b[d2=X]", "all_good"},
		{"min=2 h1@a[d1=X] h2@a[d2=_] h3@b[d3=_]", "ideal(3) desperate(2)"},
		{"min=2 h1@a[d1=X d2=_] h2@a[d3=_] h3@b[d4=_,full]", "desperate(3)"}, // before d2, which is on a used host
		{"min=2 h1@a[d1=X d2=_] h2@a[d3=_,full] h3@b[d4=_,full]", "desperate(2)"},
		{"min=2 h1@a[d1=X] h2@a[d2=X] h3@b[d3=_]", "ideal(3)"}, // one copy more, to be on two networks
		{"min=2 h1@a[d1=X] h2@a[d2=X d3=_] h4@a[d4=_] h3@b[d5=_,full]", "temp_fail"},
		{"min=2 h1@a[d1=X] h2@a[d2=X] h3@b[d3=X d4=_]", "too_good"},
		{"min=2 h1@a[d1=X d2=X] h2@b[d3=X d4=_]", "too_good"},
		{"min=2 h1@a[d1=X] h2@a[d2=X] h3@b[d3=X]", "all_good"}, // every device has one
		{"min=2 h1@a[d1=X d2=X] h2@a[d3=_]", "desperate(3)"},   // one network: another host of it
		{"min=2 h1@a[d1=X d2=X d4=_] h2@a[d3=_,full]", "temp_fail"},
		{"min=2 h1@a[d1=X] h2@a[d2=X]", "all_good"},
		{"min=2 h1@a[d1=X] h2@a[d2=X] h3@b[d3=_,down]", "all_good"}, // b has no device that is wanted
		{"min=2 h1@a[d1=X] h2@a[d2=X] h3@b=down[d3=_]", "temp_fail"},
		{"min=2 h1@a[d1=X d2=_]", "ideal(2)"}, // every host is used
		{"min=2 h1@a[d1=X d2=X d3=_]", "all_good"},
		{"min=2 h1@a[d1=X d2=X d3=X d4=_]", "all_good"},
		{"min=3 h1@a[d1=X d2=X]", "all_good"}, // there are no more devices
		{"min=3 h1@a[d1=X] h2@b[d2=X] h3@a[d3=_] h4@b[d4=_]", "desperate(3,4)"},
		{"min=3 h1@a[d1=X] h2@b[d2=X] h3@a[d3=_] h4@c[d4=_]", "ideal(4) desperate(3)"},
		{"min=3 h1@a[d1=X d2=X] h2@b[d3=X d4=_]", "all_good"},
		{"min=2 h1@10.1[d1=X] h2@10.1[d2=_] h3@10.2[d3=_]", "ideal(3) desperate(2)"},
		{"min=2 h1@a[d1=X,drain] h2@b[d2=_] h3@a[d3=_]", "ideal(2) desperate(3)"},
		{"min=2 h1@a[d1=X] h2@b[d2=X,dead] h3@b[d3=_]", "ideal(3)"},
		{"min=2 h1@a[d1=X] h2@b[d2=_,failed] h3@a[d3=_]", "desperate(3)"},
		{"min=2 h1@a[d1=X,full]", "temp_fail"},
	})
	check(t, "MultipleNetworks(3)", []vector{
		{"min=1 h1@a[d1=X] h2@b[d2=X] h3@c[d3=_]", "ideal(3)"},
	})
}

func TestAUnionIsContentWhenAllOfItsPartsAre(t *testing.T) {
	check(t, "Union(MultipleHosts(2), HostsPerNetwork(far=1))", []vector{
		{"h1@near[d1=X] h2@near[d2=_] h3@far[d3=_]", "ideal(3) desperate(2)"}, // serves both
		{"h1@near[d1=X] h2@near[d2=_] h3@far[d3=_,full]", "ideal(2)"},         // serves one of them
		{"h1@near[d1=X] h2@near[d2=X] h3@far[d3=_]", "ideal(3)"},
		{"h1@near[d1=X] h2@near[d2=X] h3@far[d3=_,full]", "temp_fail"},
		{"h1@near[d1=X] h2@near[d2=X] h3@far[d3=X]", "too_good"}, // 1 or 2 may go
		{"h1@near[d1=X] h2@near[d2=_] h3@far[d3=X]", "all_good"},
		{"h1@near[d1=X d2=X d3=X] h2@near[d4=_] h3@far[d5=_]", "ideal(5) desperate(4)"}, // first the copy that is lacking
		{"h1@near[d1=_] h2@near[d2=_] h3@far[d3=X d4=X]", "ideal(1,2)"},
	})
	check(t, "Union(HostsPerNetwork(near=1), HostsPerNetwork(far=1))", []vector{
		{"h1@near[d1=_] h2@far[d2=_]", "ideal(1,2)"},
		{"h1@near[d1=X] h2@far[d2=_]", "ideal(2)"},
		{"h1@near[d1=X] h2@far[d2=X]", "all_good"},
		{"h1@near[d1=X d3=X] h2@far[d2=X]", "too_good"},
	})
	check(t, "Union(MultipleDevices(4), MultipleHosts(2))", []vector{
		{"h1[d1=X d2=X] h2[d3=X d4=X]", "all_good"}, // too many for one part, needed by the other
		{"h1[d1=X d2=X] h2[d3=X d4=_]", "ideal(4)"},
		{"h1[d1=X d2=X d5=X] h2[d3=X d4=X]", "too_good"},
		{"h1[d1=X d2=X d5=X d6=X] h2[d3=_]", "ideal(3)"},
	})
	check(t, "Union(MultipleHosts(3), MultipleNetworks(2))", []vector{
		{"h1@a[d1=X] h2@a[d2=_] h3@b[d3=_]", "ideal(3) desperate(2)"},
		{"h1@a[d1=X] h2@a[d2=X] h3@b[d3=_] h4@a[d4=_]", "ideal(3) desperate(4)"},
	})
	check(t, "Union(MultipleHosts())", []vector{ // as alone, but that it moves a copy by adding first
		{"min=2 h1[d1=X d2=_] h2[d3=_]", "ideal(3) desperate(2)"},
		{"min=2 h1[d1=X d2=X d4=X] h2[d3=_]", "ideal(3)"},
		{"min=2 h1[d1=X] h2[d3=X]", "all_good"},
		{"min=2 h1[d1=X d2=X] h2[d3=X]", "too_good"},
	})
}
