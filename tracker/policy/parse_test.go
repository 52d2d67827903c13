package policy_test

import (
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
		"MogileFS::ReplicationPolicy::MultipleHosts(2)": "MultipleHosts(2)",
	} {
		p, err := policy.Parse(text)
		if err != nil || p.String() != want {
			t.Errorf("Parse(%q): got %v, %v; want %s", text, p, err, want)
		}
	}
}

func TestParseSaysWhatIsWrongAndWhatIsKnown(t *testing.T) {
	for text, want := range map[string]string{
		"MultipleHosts":                     "want Name() or Name(number)",
		"MultipleHosts(":                    "want Name() or Name(number)",
		"MultipleHosts(3":                   "want Name() or Name(number)",
		"(3)":                               "want Name() or Name(number)",
		"Multiple Hosts(3)":                 "want Name() or Name(number)",
		"MultipleHosts(x)":                  `not "x"`,
		"MultipleHosts(-1)":                 `not "-1"`,
		"MultipleHosts(3, 4)":               `not "3, 4"`,
		"MultipleHosts(256)":                "0 to 255",
		"Union(MultipleHosts(2))":           "there is no Union; known are MultipleDevices, MultipleHosts",
		"HostsPerNetwork(near=2)":           "there is no HostsPerNetwork",
		"My::MultipleHosts(2)":              "there is no My::MultipleHosts",
		"MultipleHosts(1) MultipleHosts(2)": "not",
	} {
		if _, err := policy.Parse(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Parse(%q): got error %v; want one with %q", text, err, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"", "MultipleHosts(3)", "MultipleDevices()", "Union(A(),B(2),)", "a::b(1"} {
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
