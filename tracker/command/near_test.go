package command_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/command"
	"github.com/mogilefs/caddy-mogilefs/tracker/protocol"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
	"github.com/mogilefs/caddy-mogilefs/tracker/topology"
)

// zones puts host 2 and 3 into a zone each.
func (c *cluster) zones() {
	c.t.Helper()
	must(c.t, c.store.ChangeSettings(c.t.Context(), func(map[string]string) (store.SettingChanges, error) {
		return store.SettingChanges{Set: map[string]string{
			"network_zones": "two,three", "zone_two": "10.0.0.2/32", "zone_three": "10.0.0.3/32, 10.3.0.0/16",
		}}, nil
	}))
	must(c.t, c.fakes.live.Reload(c.t.Context()))
}

func TestClientsAreToldTheDevicesOfTheirZoneFirst(t *testing.T) {
	c := newCluster(t, nil)
	c.zones()
	fid := c.upload("k")
	c.copyTo(fid, 2, 3)
	for peer, want := range map[string][]mogile.DevID{
		"10.0.0.2": {2, 1, 3},
		"10.3.9.9": {3, 1, 2},
		"10.9.9.9": {1, 2, 3},
		"":         {1, 2, 3}, // the tracker itself, which is in no zone
	} {
		var zone topology.Zone
		if peer != "" {
			zone.Peer = netip.MustParseAddr(peer)
		}
		loc, err := c.Locate(t.Context(), "images", "k", zone)
		must(t, err)
		opened, err := c.Open(t.Context(), command.OpenArgs{Domain: "images", Key: "new", Destinations: 3, Local: true, Zone: zone})
		must(t, err)
		if got := devices(loc.Copies); !slices.Equal(got, want) {
			t.Errorf("peer %q: got copies on %v; want %v", peer, got, want)
		}
		if got := devices(opened.Destinations); !slices.Equal(got, want) {
			t.Errorf("peer %q: got destinations %v; want %v", peer, got, want)
		}
		if peer == "" {
			continue
		}
		line := string(c.Run(t.Context(), protocol.Parse([]byte("get_paths domain=images&key=k&noverify=1")), zone.Peer).
			Append(nil, protocol.Request{}))
		if first := "path1=" + loc.Copies[0].URL + "&"; !strings.Contains(line, first) {
			t.Errorf("peer %q: got %s; want %s", peer, line, first)
		}
	}
}

func TestTheNearestCopyOnADrainingDeviceStillComesLast(t *testing.T) {
	c := newCluster(t, nil)
	c.zones()
	fid := c.upload("k")
	c.copyTo(fid, 2, 3)
	c.setState(2, mogile.DevDrain)
	loc, err := c.Locate(t.Context(), "images", "k", topology.Zone{Peer: netip.MustParseAddr("10.0.0.2")})
	must(t, err)
	if got, want := devices(loc.Copies), []mogile.DevID{1, 3, 2}; !slices.Equal(got, want) {
		t.Errorf("got copies on %v; want %v", got, want)
	}
}

func devices(copies []mogile.Copy) []mogile.DevID {
	var devs []mogile.DevID
	for _, at := range copies {
		devs = append(devs, at.Dev)
	}
	return devs
}
