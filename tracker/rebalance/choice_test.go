package rebalance_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/rebalance"
)

// dev is a device of 1000 MiB that may be taken from and put on.
func dev(id mogile.DevID, host mogile.HostID, mbUsed int64) rebalance.Device {
	return rebalance.Device{
		Device: mogile.Device{ID: id, Host: host, MBTotal: 1000, MBUsed: mbUsed}, MayDelete: true, TakesNewFiles: true,
	}
}

// hall has devices 1 and 2 on host 1, 3 and 4 on host 2, ever fuller; 5 on host 3 was
// never measured, 6 may not be deleted from, 7 takes no files.
func hall() []rebalance.Device {
	devs := []rebalance.Device{dev(1, 1, 100), dev(2, 1, 400), dev(3, 2, 800), dev(4, 2, 900), dev(5, 3, 0), dev(6, 3, 500), dev(7, 3, 500)}
	devs[4].MBTotal = 0
	devs[5].MayDelete = false
	devs[6].TakesNewFiles = false
	return devs
}

func TestSourcesPassTheFilters(t *testing.T) {
	for policy, want := range map[string][]mogile.DevID{
		"":                                     {1, 2, 3, 4, 5, 7},
		"from_all_devs=0":                      {1, 2, 3, 4, 5, 7},
		"from_hosts=1":                         {1, 2},
		"from_hosts=1,2 from_devices=2,3,6":    {2, 3},
		"from_devices=6":                       nil,
		"from_percent_used=80":                 {4}, // more than that
		"from_percent_used=79.9":               {3, 4},
		"from_percent_free=60":                 {1},
		"from_space_used=400":                  {3, 4, 7},
		"from_space_free=199":                  {1, 2, 3, 7},
		"from_space_free=200":                  {1, 2, 7},
		"from_percent_used=0":                  {1, 2, 3, 4, 7}, // the size of 5 is not known
		"from_space_used=0 from_hosts=3":       {7},
		"to_hosts=1 not_to_devices=1,2,3":      {1, 2, 3, 4, 5, 7},
		"from_percent_used=30 from_hosts=1,99": {2},
	} {
		if got := parse(t, policy).Sources(hall()); !slices.Equal(got, want) {
			t.Errorf("%q: got sources %v; want %v", policy, got, want)
		}
	}
}

func TestDestinationsAreNoSourcesAndPassTheFilters(t *testing.T) {
	state := rebalance.State{Completed: []mogile.DevID{1}, Sources: []mogile.DevID{4}, Current: 3}
	for policy, want := range map[string][]mogile.DevID{
		"":                     {2, 5, 6},
		"to_hosts=1,3":         {2, 5, 6},
		"to_devices=3,5":       {5},
		"not_to_hosts=3":       {2},
		"not_to_devices=2":     {5, 6},
		"to_percent_free=50":   {2},
		"to_percent_free=49":   {2, 6},
		"to_percent_used=40":   {6},
		"to_space_free=500":    {2},
		"to_space_used=399":    {2, 6},
		"from_devices=1,2,5,6": {2, 5, 6}, // sources are those of the state
	} {
		if got := parse(t, policy).Destinations(hall(), state); !slices.Equal(got, want) {
			t.Errorf("%q: got destinations %v; want %v", policy, got, want)
		}
	}
}

func TestEachFileIsOfferedSomeDestinations(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2)).Float64
	dests := []mogile.DevID{1, 2, 3, 4}
	if got := parse(t, "use_dest_devs=all").Offered(dests, rnd); !slices.Equal(got, dests) {
		t.Errorf("got %v; want all", got)
	}
	if got := parse(t, "use_dest_devs=9").Offered(dests, rnd); !slices.Equal(got, dests) {
		t.Errorf("got %v; want all there are", got)
	}
	count := map[mogile.DevID]int{}
	for range 4000 {
		got := parse(t, "use_dest_devs=2").Offered(dests, rnd)
		if len(got) != 2 || got[0] == got[1] {
			t.Fatalf("got %v; want two different ones", got)
		}
		count[got[0]]++
		count[got[1]]++
	}
	for id, n := range count {
		if n < 1800 || n > 2200 {
			t.Errorf("device %d was offered %d times of 4000; want about 2000", id, n)
		}
	}
	if !slices.Equal(dests, []mogile.DevID{1, 2, 3, 4}) {
		t.Errorf("the destinations became %v; want them untouched", dests)
	}
}

func TestNothingIsMovedFromADeviceToItself(t *testing.T) {
	devices := rapid.Custom(func(t *rapid.T) rebalance.Device {
		d := dev(mogile.DevID(rapid.Uint32Range(1, 9).Draw(t, "devid")), mogile.HostID(rapid.Uint32Range(1, 3).Draw(t, "host")),
			rapid.Int64Range(0, 1000).Draw(t, "used"))
		d.MayDelete, d.TakesNewFiles = rapid.Bool().Draw(t, "deletable"), rapid.Bool().Draw(t, "takes files")
		return d
	})
	rapid.Check(t, func(t *rapid.T) {
		p := policies.Draw(t, "policy")
		devs := rapid.SliceOfNDistinct(devices, 0, 9, func(d rebalance.Device) mogile.DevID { return d.ID }).Draw(t, "devices")
		sources := p.Sources(devs)
		for _, id := range p.Destinations(devs, p.Begin(sources, 1)) {
			at := slices.IndexFunc(devs, func(d rebalance.Device) bool { return d.ID == id })
			switch {
			case slices.Contains(sources, id):
				t.Fatalf("device %d is a source and a destination", id)
			case !devs[at].TakesNewFiles || slices.Contains(p.NotToDevices, id) || slices.Contains(p.NotToHosts, devs[at].Host):
				t.Fatalf("device %d may not be put on; want it left out", id)
			}
		}
	})
}
