package topology_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/topology"
)

func withFree(id mogile.DevID, mbFree int64) topology.Device {
	return topology.Device{Device: mogile.Device{ID: id, MBTotal: 1000, MBUsed: 1000 - mbFree}}
}

func ids(devs []topology.Device) []mogile.DevID {
	var list []mogile.DevID
	for _, d := range devs {
		list = append(list, d.ID)
	}
	return list
}

// firsts counts how often each device came first.
func firsts(order func(rnd func() float64) []topology.Device) map[mogile.DevID]int {
	rnd := rand.New(rand.NewPCG(1, 2))
	count := map[mogile.DevID]int{}
	for range 10_000 {
		count[order(rnd.Float64)[0].ID]++
	}
	return count
}

func TestForWritingPrefersFreeSpace(t *testing.T) {
	devs := []topology.Device{withFree(1, 900), withFree(2, 100)}
	got := firsts(func(rnd func() float64) []topology.Device { return topology.ForWriting(devs, rnd) })
	if got[1] < 8_800 || got[1] > 9_200 {
		t.Errorf("got the device with 90 %% of the free space first in %d of 10000; want about 9000", got[1])
	}
}

func TestForWritingLeavesOutTheFullAndTheUnknown(t *testing.T) {
	devs := []topology.Device{withFree(1, 0), withFree(2, 10), {Device: mogile.Device{ID: 3}}, withFree(4, -5)}
	if got := ids(topology.ForWriting(devs, rand.Float64)); !slices.Equal(got, []mogile.DevID{2}) {
		t.Errorf("got %v; want [2]", got)
	}
}

func TestForWritingKeepsTheTwentyEmptiest(t *testing.T) {
	var devs []topology.Device
	for i := range 30 {
		devs = append(devs, withFree(mogile.DevID(i+1), int64(i+1)))
	}
	got := ids(topology.ForWriting(devs, rand.Float64))
	slices.Sort(got)
	if len(got) != 20 || got[0] != 11 {
		t.Errorf("got %v; want 11 to 30", got)
	}
}

func TestForReadingPrefersTheIdle(t *testing.T) {
	busy := func(id mogile.DevID, weight int, utilization string) topology.Device {
		return topology.Device{Device: mogile.Device{ID: id, Weight: weight}, Seen: topology.DeviceSeen{Utilization: utilization}}
	}
	for _, c := range []struct {
		name     string
		one, two topology.Device
		want     int // times of 10000 that one is first
	}{
		{"utilisation with decimals", busy(1, 0, "2.00"), busy(2, 0, "77.00"), 8000},
		{"more than all", busy(1, 0, "52"), busy(2, 0, "250"), 9615},
		{"utilisation and the operator's weights", busy(1, 300, "52.00"), busy(2, 100, "52.00"), 7500},
		{"the operator's weights", busy(1, 300, ""), busy(2, 100, "-"), 7500},
		{"no weights", busy(1, 0, ""), busy(2, 0, ""), 5000},
	} {
		devs := []topology.Device{c.one, c.two}
		got := firsts(func(rnd func() float64) []topology.Device { return topology.ForReading(devs, rnd) })
		if got[1] < c.want-200 || got[1] > c.want+200 {
			t.Errorf("%s: got %d first in %d of 10000; want about %d", c.name, 1, got[1], c.want)
		}
	}
}

func TestOrdersAreArrangementsOfWhatWasGiven(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var devs []topology.Device
		for i := range rapid.IntRange(0, 12).Draw(t, "n") {
			d := withFree(mogile.DevID(i+1), rapid.Int64Range(1, 1000).Draw(t, "free"))
			d.Seen.Utilization = rapid.SampledFrom([]string{"", "0", "3.5", "100", "x"}).Draw(t, "utilization")
			devs = append(devs, d)
		}
		rnd := func() float64 { return rapid.Float64Range(0, 0.999999).Draw(t, "rnd") }
		for _, order := range []func([]topology.Device, func() float64) []topology.Device{topology.ForWriting, topology.ForReading} {
			got := ids(order(devs, rnd))
			slices.Sort(got)
			if !slices.Equal(got, ids(devs)) {
				t.Fatalf("got %v; want each of %v once", got, ids(devs))
			}
		}
	})
}
