package topology_test

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
	"github.com/mogilefs/caddy-mogilefs/tracker/topology"
)

func zoned(t *testing.T, settings map[string]string) *topology.Snapshot {
	t.Helper()
	return live(t, store.Rows{Settings: settings}, topology.Observations{}, topology.Config{}).Snapshot()
}

// The vectors of docs/spec/jobs.md §6.1.
func TestTheLongestNetmaskHasTheAddress(t *testing.T) {
	s := zoned(t, map[string]string{
		"network_zones": "one, two,three",
		"zone_one":      "127.0.0.0/16",
		"zone_two":      "10.0.0.0/8, 172.16.0.0/16",
		"zone_three":    "10.1.0.0/16",
		"zone_four":     "192.168.0.0/24", // not among the zones
	})
	for addr, want := range map[string]topology.Network{
		"127.0.0.1":       {Zone: "one", Name: "one"},
		"10.0.0.1":        {Zone: "two", Name: "two"},
		"172.16.3.4":      {Zone: "two", Name: "two"},
		"10.1.0.1":        {Zone: "three", Name: "three"},
		"::ffff:10.1.0.1": {Zone: "three", Name: "three"},
		"192.168.0.1":     {Name: "192.168.0.0/16"},
		"192.168.9.1":     {Name: "192.168.0.0/16"},
		"172.17.0.1":      {Name: "172.17.0.0/16"},
		"fd00:1:2:3::4":   {Name: "fd00:1:2::/48"},
	} {
		if got := s.NetworkOf(netip.MustParseAddr(addr)); got != want {
			t.Errorf("%s: got %+v; want %+v", addr, got, want)
		}
	}
}

func TestZonesAreReadAsPeopleWriteThem(t *testing.T) {
	s := zoned(t, map[string]string{
		"network_zones": " near ,far,, empty,absent\nsix bad",
		"zone_near":     "10.1.0.0:255.255.0.0",
		"zone_far":      "10.2 10.3.0.0/16,10.4.0.0/16",
		"zone_empty":    "",
		"zone_six":      "fd00::/8",
		"zone_bad":      "10.9.0.0/99, 10.5.0.0/16",
	})
	if got, want := s.Zones(), []string{"bad", "far", "near", "six"}; !slices.Equal(got, want) {
		t.Errorf("got zones %v; want %v", got, want)
	}
	for addr, want := range map[string]string{
		"10.1.9.9": "near", "10.2.9.9": "far", "10.3.9.9": "far", "10.4.9.9": "far",
		"fd00::1": "six", "10.5.1.1": "bad", "10.9.0.1": "",
	} {
		if got := s.NetworkOf(netip.MustParseAddr(addr)).Zone; got != want || want != "" && !s.HasZone(want) {
			t.Errorf("%s: got zone %q; want %q", addr, got, want)
		}
	}
}

func TestTheFirstOfTwoZonesWithOneNetmaskHasIt(t *testing.T) {
	s := zoned(t, map[string]string{"network_zones": "b,a", "zone_a": "10.0.0.0/8", "zone_b": "10.0.0.0/8"})
	if got := s.NetworkOf(netip.MustParseAddr("10.0.0.1")).Zone; got != "b" {
		t.Errorf("got zone %q; want b", got)
	}
}

func TestDevicesAreInTheNetworkOfTheirHost(t *testing.T) {
	rows, seen := cluster()
	rows.Settings = map[string]string{"network_zones": "near", "zone_near": "10.0.0.0/8"}
	rows.Hosts = append(rows.Hosts,
		mogile.Host{ID: 2, Name: "two", IP: "192.168.7.1", AltIP: "10.0.0.9", AltMask: "10.0.0.0/8"},
		mogile.Host{ID: 3, Name: "three", IP: "three.internal"})
	for id := range mogile.DevID(4) {
		rows.Devices = append(rows.Devices, mogile.Device{ID: id + 2, Host: mogile.HostID(id + 1)})
	}
	s := live(t, rows, seen, topology.Config{}).Snapshot()
	for id, want := range map[mogile.DevID]topology.Network{
		1: {Zone: "near", Name: "near"}, 2: {Zone: "near", Name: "near"},
		3: {Name: "192.168.0.0/16"}, // not by the alternative address
		4: {Name: "three.internal"},
		5: {}, // its host has no row
	} {
		if d, ok := s.Device(id); !ok || d.Network != want {
			t.Errorf("device %d: got %+v; want %+v", id, d.Network, want)
		}
	}
}

func TestNearIsTheZoneOfWhoAsks(t *testing.T) {
	rows, seen := cluster()
	rows.Hosts = nil
	for i, ip := range []string{"10.1.0.1", "10.2.0.1", "10.1.0.2", "10.9.0.1"} {
		rows.Hosts = append(rows.Hosts, mogile.Host{ID: mogile.HostID(i + 1), Name: mogile.HostName(ip), IP: ip})
	}
	rows.Devices = nil
	for id := range mogile.DevID(4) {
		rows.Devices = append(rows.Devices, mogile.Device{ID: id + 1, Host: mogile.HostID(id + 1)})
	}
	rows.Settings = map[string]string{"network_zones": "near,far", "zone_near": "10.1.0.0/16", "zone_far": "10.2.0.0/16"}
	for _, c := range []struct {
		local, peer string
		near, far   []mogile.DevID
	}{
		{"10.1.0.0", "10.1.7.7", []mogile.DevID{1, 3}, []mogile.DevID{2, 4}},
		{"10.1.0.0", "10.2.7.7", []mogile.DevID{2}, []mogile.DevID{1, 3, 4}},
		{"10.1.0.0", "", []mogile.DevID{1, 3}, []mogile.DevID{2, 4}}, // the tracker itself
		{"10.1.0.0", "10.9.7.7", nil, []mogile.DevID{1, 2, 3, 4}},    // in no zone, as device 4
		{"10.8.0.0", "", nil, []mogile.DevID{1, 2, 3, 4}},            // so is the tracker
		{"10.8.0.0", "10.2.7.7", []mogile.DevID{2}, []mogile.DevID{1, 3, 4}},
		{"", "10.1.7.7", nil, []mogile.DevID{1, 2, 3, 4}}, // nobody asked for it
	} {
		var config topology.Config
		if c.local != "" {
			config.Local = netip.MustParseAddr(c.local)
		}
		var peer netip.Addr
		if c.peer != "" {
			peer = netip.MustParseAddr(c.peer)
		}
		s := live(t, rows, seen, config).Snapshot()
		near, far := s.Near(peer, s.Devices())
		if !slices.Equal(ids(near), c.near) || !slices.Equal(ids(far), c.far) {
			t.Errorf("tracker at %q, peer %q: got near %v, far %v; want %v, %v", c.local, c.peer, ids(near), ids(far), c.near, c.far)
		}
	}
}
