package topology_test

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/topology"
)

// The questions of docs/spec/jobs.md §0.2, for a device that differs in one thing from
// one that may do everything.
func TestDevicesAnswerByStatesAndObservations(t *testing.T) {
	type answers struct{ monitored, mayDelete, readable, takesNewFiles bool }
	for _, c := range []struct {
		host   mogile.HostState
		dev    mogile.DevState
		seen   topology.DevSeen
		up     bool
		mbUsed int64
		want   answers
	}{
		{host: "alive", dev: "alive", seen: "writeable", up: true, want: answers{true, true, true, true}},
		{host: "alive", dev: "alive", seen: "readable", up: true, want: answers{true, true, true, false}},
		{host: "alive", dev: "alive", seen: "unreachable", up: true, want: answers{true, true, false, false}},
		{host: "alive", dev: "alive", seen: "", up: true, want: answers{true, true, false, false}},
		{host: "alive", dev: "alive", seen: "writeable", up: false, want: answers{true, true, false, false}},
		{host: "alive", dev: "alive", seen: "writeable", up: true, mbUsed: 900, want: answers{true, true, true, true}},
		{host: "alive", dev: "alive", seen: "writeable", up: true, mbUsed: 901, want: answers{true, true, true, false}},
		{host: "alive", dev: "readonly", seen: "readable", up: true, want: answers{true, false, true, false}},
		{host: "alive", dev: "drain", seen: "writeable", up: true, want: answers{true, true, true, false}},
		{host: "alive", dev: "down", seen: "writeable", up: true, want: answers{}},
		{host: "alive", dev: "dead", seen: "writeable", up: true, want: answers{}},
		{host: "alive", dev: "strange", seen: "writeable", up: true, want: answers{}},
		{host: "readonly", dev: "alive", seen: "writeable", up: true, want: answers{true, false, true, false}},
		{host: "down", dev: "alive", seen: "writeable", up: true, want: answers{}},
		{host: "dead", dev: "alive", seen: "writeable", up: true, want: answers{}},
	} {
		rows, seen := cluster()
		rows.Hosts[0].State, rows.Devices[0].State, rows.Devices[0].MBUsed = c.host, c.dev, c.mbUsed
		seen.Hosts[1], seen.Devices[1] = c.up, topology.DeviceSeen{State: c.seen}
		d, _ := live(t, rows, seen, topology.Config{MinFreeMB: 100}).Snapshot().Device(1)
		got := answers{d.Monitored(), d.MayDelete(), d.Readable(), d.TakesNewFiles()}
		if got != c.want {
			t.Errorf("host %s, device %s seen %q, host up %v, %d of 1000 MB used: got %+v; want %+v",
				c.host, c.dev, c.seen, c.up, c.mbUsed, got, c.want)
		}
	}
}

func TestDeviceOfUnknownSizeTakesNewFiles(t *testing.T) {
	rows, seen := cluster()
	rows.Devices[0].MBTotal, rows.Devices[0].MBUsed = 0, 0
	d, _ := live(t, rows, seen, topology.Config{MinFreeMB: 100}).Snapshot().Device(1)
	if !d.TakesNewFiles() {
		t.Error("got no; want yes: nothing is known to speak against it")
	}
}

func TestDeviceWithoutHostPermitsNothing(t *testing.T) {
	rows, seen := cluster()
	rows.Hosts = nil
	d, ok := live(t, rows, seen, topology.Config{}).Snapshot().Device(1)
	if !ok || d.Monitored() || d.MayDelete() || d.Readable() || d.TakesNewFiles() {
		t.Errorf("got device %+v, %v; want one that permits nothing", d, ok)
	}
}

// docs/spec/tracker-protocol.md §5.3.
func TestURLsFollowTheZone(t *testing.T) {
	inside, outside := netip.MustParseAddr("192.168.1.7"), netip.MustParseAddr("10.9.9.9")
	mapped := netip.MustParseAddr("::ffff:192.168.1.7")
	for _, c := range []struct {
		altIP, mask string
		zone        topology.Zone
		want        string
	}{
		{"", "", topology.Zone{}, "10.0.0.1"},
		{"192.168.1.1", "192.168.1.0/24", topology.Zone{}, "10.0.0.1"},
		{"192.168.1.1", "192.168.1.0/24", topology.Zone{Alt: true}, "192.168.1.1"},
		{"192.168.1.1", "192.168.1.0/24", topology.Zone{Peer: inside}, "192.168.1.1"},
		{"192.168.1.1", "192.168.1.0/24", topology.Zone{Peer: mapped}, "192.168.1.1"},
		{"192.168.1.1", "192.168.1.0/24", topology.Zone{Peer: outside}, "10.0.0.1"},
		{"192.168.1.1", "192.168.1.0:255.255.255.0", topology.Zone{Peer: inside}, "192.168.1.1"},
		{"192.168.1.1", "192.168.1", topology.Zone{Peer: inside}, "192.168.1.1"},
		{"192.168.1.1", "192.168.1.1:255.0.255.0", topology.Zone{Alt: true}, "10.0.0.1"},
		{"192.168.1.1", "192.168.1.0:mask", topology.Zone{Alt: true}, "10.0.0.1"},
		{"192.168.1.1", "1.2.3.4.5", topology.Zone{Alt: true}, "10.0.0.1"},
		{"192.168.1.1", "", topology.Zone{Alt: true}, "10.0.0.1"},
		{"192.168.1.1", "nonsense", topology.Zone{Alt: true}, "10.0.0.1"},
		{"", "192.168.1.0/24", topology.Zone{Alt: true}, "10.0.0.1"},
	} {
		rows, seen := cluster()
		rows.Hosts[0].AltIP, rows.Hosts[0].AltMask = c.altIP, c.mask
		d, _ := live(t, rows, seen, topology.Config{}).Snapshot().Device(1)
		read := fmt.Sprintf("http://%s:7600/dev1/0/000/000/0000000007.fid", c.want)
		write := fmt.Sprintf("http://%s:7500/dev1/0/000/000/0000000007.fid", c.want)
		if got := d.ReadURL(7, c.zone); got != read {
			t.Errorf("altip %q altmask %q zone %+v: got read URL %s; want %s", c.altIP, c.mask, c.zone, got, read)
		}
		if got := d.WriteURL(7, c.zone); got != write {
			t.Errorf("altip %q altmask %q zone %+v: got write URL %s; want %s", c.altIP, c.mask, c.zone, got, write)
		}
	}
}

func FuzzURLOfAnyNetmask(f *testing.F) {
	for _, mask := range []string{"10.0.0.0/8", "10.0.0.0:255.0.0.0", "10", "", "/", ":", "::1/128", "1.2.3.4/99"} {
		f.Add(mask)
	}
	f.Fuzz(func(t *testing.T, mask string) {
		rows, seen := cluster()
		rows.Hosts[0].AltIP, rows.Hosts[0].AltMask = "192.168.1.1", mask
		d, _ := live(t, rows, seen, topology.Config{}).Snapshot().Device(1)
		alt := d.ReadURL(7, topology.Zone{Alt: true}) == "http://192.168.1.1:7600/dev1/0/000/000/0000000007.fid"
		peer := d.ReadURL(7, topology.Zone{Peer: netip.MustParseAddr("10.9.9.9")})
		if !alt && peer != "http://10.0.0.1:7600/dev1/0/000/000/0000000007.fid" {
			t.Errorf("mask %q: got %s for a peer; want the main address, as nobody else gets the other", mask, peer)
		}
	})
}
