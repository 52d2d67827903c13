package policy_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/mogilefs/caddy-mogilefs/tracker/policy"
)

func TestParseReadsTheGrammar(t *testing.T) {
	for text, want := range map[string]string{
		"":                     "MultipleHosts()",
		"  ":                   "MultipleHosts()",
		"MultipleHosts()":      "MultipleHosts()",
		"MultipleHosts(0)":     "MultipleHosts()",
		"MultipleHosts(3)":     "MultipleHosts(3)",
		" MultipleHosts ( 3 )": "MultipleHosts(3)",
		"MultipleDevices()":    "MultipleDevices()",
		"MultipleDevices(2)":   "MultipleDevices(2)",
		"MogileFS::ReplicationPolicy::MultipleHosts(2)":          "MultipleHosts(2)",
		"MultipleNetworks()":                                     "MultipleNetworks()",
		"MultipleNetworks(3)":                                    "MultipleNetworks(3)",
		"HostsPerNetwork(near=2)":                                "HostsPerNetwork(near=2)",
		"HostsPerNetwork( near = 2 ,far=1, )":                    "HostsPerNetwork(near=2,far=1)",
		"HostsPerNetwork(rack-1.b=1,2=0)":                        "HostsPerNetwork(rack-1.b=1,2=0)",
		"MogileFS::ReplicationPolicy::HostsPerNetwork(a=1)":      "HostsPerNetwork(a=1)",
		"Union(MultipleHosts(2))":                                "Union(MultipleHosts(2))",
		"Union(MultipleHosts(),\n\tHostsPerNetwork(a=1,b=2),\n)": "Union(MultipleHosts(),HostsPerNetwork(a=1,b=2))",
		"Union(Union(MultipleHosts(2)), MultipleNetworks(3))":    "Union(MultipleHosts(2),MultipleNetworks(3))",
	} {
		p, err := policy.Parse(text)
		if err != nil || p.String() != want {
			t.Errorf("Parse(%q): got %v, %v; want %s", text, p, err, want)
		}
	}
}

func TestParseSaysWhatIsWrongAndWhatIsKnown(t *testing.T) {
	for text, want := range map[string]string{
		"MultipleHosts":                                 "want Name() or Name(number)",
		"MultipleHosts(":                                "want Name() or Name(number)",
		"MultipleHosts(3":                               "want Name() or Name(number)",
		"(3)":                                           "want Name() or Name(number)",
		"Multiple Hosts(3)":                             "want Name() or Name(number)",
		"MultipleHosts(x)":                              `not "x"`,
		"MultipleHosts(-1)":                             `not "-1"`,
		"MultipleHosts(3, 4)":                           `has "," where it should end`,
		"MultipleHosts(256)":                            "0 to 255",
		"OnHosts(1, 2)":                                 "there is no OnHosts; known are HostsPerNetwork, MultipleDevices, MultipleHosts, MultipleNetworks, Union",
		"multiplehosts(2)":                              "there is no multiplehosts; known are",
		"HostsPerNetwork(3)":                            `as in HostsPerNetwork(near=2, far=1); "3" is none`,
		"HostsPerNetwork()":                             "asks for no copy at all",
		"HostsPerNetwork(near=0)":                       "asks for no copy at all",
		"HostsPerNetwork(near)":                         `"near" is none`,
		"HostsPerNetwork(near=)":                        `zone near takes a number of hosts from 0 to 255, not ")"`,
		"HostsPerNetwork(near=x)":                       `not "x"`,
		"HostsPerNetwork(near=300)":                     `not "300"`,
		"HostsPerNetwork(near=1 far=1)":                 `after near=1 comes "far": want a comma or a )`,
		"HostsPerNetwork(near=1, near=2)":               "zone near is named twice",
		"HostsPerNetwork(near=1":                        "after near=1 comes nothing: want a )",
		"HostsPerNetwork(,)":                            `"," is none`,
		"MultipleNetworks(a=1)":                         `not "a"`,
		"Union()":                                       "Union has no parts",
		"Union":                                         "want Name() or Name(number)",
		"Union(2)":                                      "part 1 of Union: want Name() or Name(number)",
		"Union(MultipleHosts(2) MultipleDevices(2))":    `after MultipleHosts(2) comes "MultipleDevices": want a comma`,
		"Union(MultipleHosts(2), Other(1))":             "part 2 of Union: there is no Other",
		"Union(MultipleHosts(2), Union(MultipleHosts))": "part 2 of Union: part 1 of Union: want Name()",
		"Union(MultipleHosts(2)":                        "after MultipleHosts(2) comes nothing: want a )",
		"MultipleHosts(2), MultipleDevices(3)":          "Union(A(), B()) joins policies",
		"MultipleHosts(2)é":                             `comes "é"`,
		strings.Repeat("Union(", 50):                    "at most 255 fit",
		"My::MultipleHosts(2)":                          "there is no My::MultipleHosts",
		"MultipleHosts(1) MultipleHosts(2)":             "want nothing there",
	} {
		if _, err := policy.Parse(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Parse(%q): got error %v; want one with %q", text, err, want)
		}
	}
}

func TestWhatIsParsedIsNoShorterThanItsString(t *testing.T) {
	text := "Union(" + strings.Repeat("MultipleHosts(),", 15) + ")"
	p, err := policy.Parse(text)
	if err != nil || len(p.String()) > len(text) {
		t.Errorf("Parse(%q): got %s, %v; want no more bytes", text, p, err)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"", "MultipleHosts(3)", "MultipleDevices()", "Union(A(),B(2),)", "a::b(1", "HostsPerNetwork(a=1,b=2,)", "Union(MultipleHosts(),Union(MultipleNetworks(2),),)"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := policy.Parse(s)
		if err != nil {
			return
		}
		again, err := policy.Parse(p.String())
		if err != nil || again.String() != p.String() {
			t.Errorf("Parse(%q) is %s, which parses to %v, %v", s, p, again, err)
		}
	})
}

func TestZonesAreThoseOfAllParts(t *testing.T) {
	p, err := policy.Parse("Union(HostsPerNetwork(near=1, far=1), MultipleHosts(2), Union(HostsPerNetwork(far=2, away=1)))")
	if got, want := p.Zones(), []string{"away", "far", "near"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("got zones %v, %v; want %v", got, err, want)
	}
}
