package policy_test

import (
	"testing"

	"github.com/mogilefs/caddy-mogilefs/tracker/policy"
)

func TestSpareIsTheCopiesThatNobodyMisses(t *testing.T) {
	for _, v := range []struct{ policy, layout, want string }{
		{"MultipleHosts(2)", "h1[d1=X] h2[d2=X]", "()"},
		{"MultipleHosts(2)", "h1[d1=X d2=X] h2[d3=X]", "(1,2)"}, // not the only one on h2
		{"MultipleHosts(2)", "h1[d1=X] h2[d2=X] h3[d3=X]", "(1,2,3)"},
		{"MultipleHosts(2)", "h1[d1=X] h2[d2=X] h3[d3=X,drain]", "(3,1,2)"},
		{"MultipleHosts(2)", "h1[d1=X d2=X,drain] h2[d3=X] h3[d4=X,drain]", "(2,1,4,3)"},
		{"MultipleHosts(2)", "h1[d1=X] h2[d2=X] h3[d3=X,dead]", "()"},       // a dead copy is none
		{"MultipleHosts(2)", "h1[d1=X d2=X d3=X] h2[d4=_]", "(1,2,3)"},      // makes room for one on h2
		{"MultipleHosts(1)", "h1[d1=X d2=X]", "(1,2)"},                      // of which one may go
		{"MultipleHosts(2)", "h1[d1=X d2=_] h2[d3=_]", "()"},                // lacks one
		{"MultipleDevices(2)", "h1[d1=X] h2[d2=X d3=X]", "(2,3,1)"},         // ignores hosts, but why lose one?
		{"HostsPerNetwork(near=1)", "h1@near[d1=X d2=X] h2[d3=X]", "(1,2)"}, // d3 is not its business
		{"HostsPerNetwork(near=2)", "h1@near[d1=X d2=X] h2@near[d3=X]", "(1,2)"},
		{"HostsPerNetwork(near=0, far=1)", "h1@near[d1=X] h2@far[d2=X]", "(1)"},
		{"MultipleNetworks(2)", "h1@a[d1=X] h2@a[d2=X] h3@b[d3=X d4=_]", "(1,2)"},
		{"MultipleNetworks(2)", "h1@a[d1=X d2=X] h3@b[d3=X d4=_]", "(1,2)"},
		{"Union(MultipleHosts(2), HostsPerNetwork(far=1))", "h1@near[d1=X] h2@near[d2=X] h3@far[d3=X]", "(1,2)"},
		{"Union(MultipleDevices(4), MultipleHosts(2))", "h1[d1=X d2=X] h2[d3=X d4=X]", "()"},
		{"Union(MultipleHosts(3), MultipleNetworks(2))", "h1@a[d1=X] h2@a[d2=X] h3@a[d3=X] h4@b[d4=X]", "(1,2,3)"},
	} {
		p, err := policy.Parse(v.policy)
		if err != nil {
			t.Fatal(err)
		}
		if got := ids(p.Spare(layout(t, v.layout))); got != v.want {
			t.Errorf("%s for %s: got %s to spare; want %s", v.policy, v.layout, got, v.want)
		}
	}
}
