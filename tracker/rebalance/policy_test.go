package rebalance_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/rebalance"
)

func parse(t testing.TB, text string) rebalance.Policy {
	t.Helper()
	p, err := rebalance.Parse(text)
	if err != nil {
		t.Fatalf("Parse(%q): got %v; want nil", text, err)
	}
	return p
}

func TestEverySettingIsRead(t *testing.T) {
	text := "from_all_devs=1 from_hosts=1,2 from_devices=3,,4, from_percent_used=80 from_percent_free=0.5 " +
		"from_space_used=1000 from_space_free=10 fid_age=new limit_type=global limit_by=size limit=10g " +
		"to_all_devs=1 to_hosts=5 to_devices=6 to_percent_used=1 to_percent_free=2 to_space_used=3 to_space_free=4 " +
		"not_to_hosts=7 not_to_devices=8,9 use_dest_devs=2 leave_in_drain_mode=1"
	want := rebalance.Policy{
		From: rebalance.Filter{
			Hosts: []mogile.HostID{1, 2}, Devices: []mogile.DevID{3, 4},
			PercentUsed: rebalance.Over(80), PercentFree: rebalance.Over(0.5),
			SpaceUsed: rebalance.Over(1000), SpaceFree: rebalance.Over(10),
		},
		To: rebalance.Filter{
			Hosts: []mogile.HostID{5}, Devices: []mogile.DevID{6},
			PercentUsed: rebalance.Over(1), PercentFree: rebalance.Over(2),
			SpaceUsed: rebalance.Over(3), SpaceFree: rebalance.Over(4),
		},
		NotToHosts: []mogile.HostID{7}, NotToDevices: []mogile.DevID{8, 9},
		Newest: true, Limit: rebalance.Limit{By: rebalance.BySize, Most: 10737418240, Global: true},
		Offer: 2, LeaveDraining: true,
	}
	exported := cmp.AllowUnexported(rebalance.Bound{})
	if diff := cmp.Diff(want, parse(t, text), exported); diff != "" {
		t.Errorf("policy (-want +got):\n%s", diff)
	}
	for _, plain := range []string{"", "fid_age=old limit_type=device limit_by=none use_dest_devs=all leave_in_drain_mode=0 "} {
		if diff := cmp.Diff(rebalance.Policy{Limit: parse(t, plain).Limit}, parse(t, plain), exported); diff != "" {
			t.Errorf("Parse(%q): want what is the default (-want +got):\n%s", plain, diff)
		}
	}
}

func TestLimitsHaveUnits(t *testing.T) {
	for text, want := range map[string]int64{
		"7": 7, "7b": 7, "7k": 7 << 10, "7M": 7 << 20, "10g": 10737418240, "1T": 1 << 40, "2p": 2 << 50,
		"9223372036854775807": math.MaxInt64, "9223372036854775807b": math.MaxInt64,
	} {
		if got := parse(t, "limit_by=size limit="+text).Limit.Most; got != want {
			t.Errorf("limit=%s: got %d; want %d", text, got, want)
		}
	}
}

func TestParseSaysWhatIsWrong(t *testing.T) {
	for text, want := range map[string]string{
		"nonsense=1":                       "Invalid setting nonsense",
		"from_hosts":                       "from_hosts has no value",
		" from_hosts=1":                    "Invalid setting ",
		"from_hosts=1  to_hosts=2":         "Invalid setting ",
		"from_hosts =1":                    "from_hosts has no value",
		"FROM_HOSTS=1":                     "Invalid setting FROM_HOSTS",
		"from_hosts=a":                     `from_hosts=a: "a" is no id`,
		"from_devices=1,0":                 `"0" is no id`,
		"not_to_devices=-1":                `"-1" is no id`,
		"to_percent_free=80%":              "to_percent_free=80%: want a number",
		"to_percent_free=NaN":              "want a number",
		"to_space_free=-1":                 "want a number",
		"from_space_used=":                 "want a number",
		"fid_age=young":                    "want old or new",
		"limit_type=host":                  "want device or global",
		"limit_by=percent":                 "want none, count or size",
		"limit=10x":                        "want a number",
		"limit=g":                          "want a number",
		"limit=":                           "want a number",
		"limit=9000p":                      "want a number",
		"limit=9223372036854775808":        "want a number",
		"limit_by=count":                   "limit is missing or 0",
		"limit_by=size limit=0":            "limit is missing or 0",
		"use_dest_devs=0":                  "want all",
		"use_dest_devs=some":               "want all",
		"leave_in_drain_mode=yes":          "want 0 or 1",
		"from_hosts=1\tto_hosts=2\nlimit=": "limit=: want a number",
	} {
		_, err := rebalance.Parse(text)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Parse(%q): got error %v; want one with %q", text, err, want)
		}
	}
}

// devID and the like draw what a policy may hold.
func devIDs(most int) *rapid.Generator[[]mogile.DevID] {
	return rapid.Custom(func(t *rapid.T) []mogile.DevID {
		var ids []mogile.DevID
		for _, n := range rapid.SliceOfN(rapid.Uint32Range(1, 9), 0, most).Draw(t, "ids") {
			ids = append(ids, mogile.DevID(n))
		}
		return ids
	})
}

func hostIDs(most int) *rapid.Generator[[]mogile.HostID] {
	return rapid.Custom(func(t *rapid.T) []mogile.HostID {
		var ids []mogile.HostID
		for _, id := range devIDs(most).Draw(t, "hosts") {
			ids = append(ids, mogile.HostID(id))
		}
		return ids
	})
}

var bounds = rapid.Custom(func(t *rapid.T) rebalance.Bound {
	if rapid.Bool().Draw(t, "set") {
		return rebalance.Over(float64(rapid.IntRange(0, 1000).Draw(t, "tenths")) / 10)
	}
	return rebalance.Bound{}
})

var filters = rapid.Custom(func(t *rapid.T) rebalance.Filter {
	return rebalance.Filter{
		Hosts: hostIDs(3).Draw(t, "hosts"), Devices: devIDs(4).Draw(t, "devices"),
		PercentUsed: bounds.Draw(t, "percent used"), PercentFree: bounds.Draw(t, "percent free"),
		SpaceUsed: bounds.Draw(t, "space used"), SpaceFree: bounds.Draw(t, "space free"),
	}
})

var policies = rapid.Custom(func(t *rapid.T) rebalance.Policy {
	p := rebalance.Policy{
		From: filters.Draw(t, "from"), To: filters.Draw(t, "to"),
		NotToHosts: hostIDs(2).Draw(t, "not to hosts"), NotToDevices: devIDs(2).Draw(t, "not to devices"),
		Newest: rapid.Bool().Draw(t, "newest"), Offer: rapid.IntRange(0, 4).Draw(t, "offer"),
		LeaveDraining: rapid.Bool().Draw(t, "leave draining"),
	}
	p.Limit.Global = rapid.Bool().Draw(t, "global")
	if p.Limit.By = rapid.SampledFrom([]rebalance.LimitBy{"", rebalance.ByCount, rebalance.BySize}).Draw(t, "by"); p.Limit.By != "" {
		p.Limit.Most = rapid.Int64Range(1, math.MaxInt64).Draw(t, "most")
	}
	return p
})

func TestPoliciesAreReadAsTheyAreWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := policies.Draw(t, "policy")
		got, err := rebalance.Parse(p.String())
		if diff := cmp.Diff(p, got, cmp.AllowUnexported(rebalance.Bound{})); err != nil || diff != "" {
			t.Fatalf("Parse(%q): got %v (-want +got):\n%s", p, err, diff)
		}
	})
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"", "from_hosts=1,2 to_percent_free=10.5", "limit_by=size limit=10g limit_type=global", "a=b", "= =", "from_devices",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := rebalance.Parse(s)
		if err != nil {
			return
		}
		again, err := rebalance.Parse(p.String())
		if err != nil || again.String() != p.String() {
			t.Errorf("Parse(%q) is %q, which reads as %q, %v; want the same", s, p, again, err)
		}
		if slices.Contains(p.From.Devices, 0) || p.Limit.Most < 0 || p.Offer < 0 {
			t.Errorf("Parse(%q): got %+v; want no device 0 and nothing below 0", s, p)
		}
	})
}
