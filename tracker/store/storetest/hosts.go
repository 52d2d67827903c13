package storetest

import (
	"strconv"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
)

var hostChecks = []check{
	{"HostsKeepWhatTheyAreTold", hostsKeepWhatTheyAreTold},
	{"HostNamesAndAddressesAreUnique", hostNamesAndAddressesAreUnique},
	{"HostNumbersAreGivenOnce", hostNumbersAreGivenOnce},
	{"EmptyAltAddressesNeverCollide", emptyAltAddressesNeverCollide},
	{"AHostWithDevicesStays", hostWithDevicesStays},
	{"DevicesKeepWhatTheyAreTold", devicesKeepWhatTheyAreTold},
	{"NoSuchDeviceIsNotFound", noSuchDeviceIsNotFound},
	{"UsageIsStoredForMany", usageIsStoredForMany},
}

func aHost(name mogile.HostName, ip string) mogile.Host {
	return mogile.Host{Name: name, State: mogile.HostAlive, IP: ip, Port: 7500}
}

func (e env) host(h mogile.Host) mogile.HostID {
	e.Helper()
	id, err := e.s.CreateHost(e.ctx, h)
	e.must(err, "create host %q", h.Name)
	return id
}

func hostsKeepWhatTheyAreTold(e env) {
	h := mogile.Host{
		ID: 55, Name: "node1", State: mogile.HostDown, IP: "10.0.0.1", AltIP: "192.168.0.1", AltMask: "192.168.0.0/16",
		Port: 7500, GetPort: 7600,
	}
	h.ID = e.host(h)
	e.same(h.ID, mogile.HostID(1), "first number")
	e.same(e.load().Hosts, []mogile.Host{h}, "hosts")
	h.Name, h.State, h.IP, h.AltIP, h.AltMask, h.Port, h.GetPort = "n", mogile.HostReadonly, "10.0.0.9", "", "", 80, 0
	e.must(e.s.UpdateHost(e.ctx, h), "update host")
	e.same(e.load().Hosts, []mogile.Host{h}, "hosts after an update")
	e.must(e.s.UpdateHost(e.ctx, h), "update to the same")
	h.ID = 99
	h.Name, h.IP = "m", "10.0.0.8"
	e.wants(store.ErrNotFound, e.s.UpdateHost(e.ctx, h), "update no host")
}

func hostNamesAndAddressesAreUnique(e env) {
	a := aHost("a", "10.0.0.1")
	a.AltIP = "192.168.0.1"
	e.host(a)
	b := aHost("b", "10.0.0.2")
	b.ID = e.host(b)
	for what, h := range map[string]mogile.Host{
		"name":  aHost("a", "10.0.0.3"),
		"ip":    aHost("c", "10.0.0.1"),
		"altip": {Name: "c", State: mogile.HostAlive, IP: "10.0.0.3", AltIP: "192.168.0.1", Port: 7500},
	} {
		_, err := e.s.CreateHost(e.ctx, h)
		e.wants(store.ErrDup, err, "create a host with a taken %s", what)
		h.ID = b.ID
		e.wants(store.ErrDup, e.s.UpdateHost(e.ctx, h), "update a host to a taken %s", what)
	}
	e.same(len(e.load().Hosts), 2, "number of hosts")
	e.same(e.load().Hosts[1], b, "host after refused updates")
}

func hostNumbersAreGivenOnce(e env) {
	const n = 8
	e.eachTwice(n, func(i int) error {
		_, err := e.s.CreateHost(e.ctx, aHost(mogile.HostName('a'+rune(i)), "10.0.0."+strconv.Itoa(i)))
		return err
	})
	e.same(len(e.load().Hosts), n, "number of hosts")
}

func emptyAltAddressesNeverCollide(e env) {
	e.same(e.host(aHost("a", "10.0.0.1")), mogile.HostID(1), "first number")
	e.same(e.host(aHost("b", "10.0.0.2")), mogile.HostID(2), "second number")
}

func hostWithDevicesStays(e env) {
	id := e.host(aHost("a", "10.0.0.1"))
	e.must(e.s.CreateDevice(e.ctx, mogile.Device{ID: 1, Host: id, State: mogile.DevDead}), "create device")
	e.wants(store.ErrHasDevices, e.s.DeleteHost(e.ctx, id), "delete host")
	e.same(len(e.load().Hosts), 1, "number of hosts after the refusal")
	other := e.host(aHost("b", "10.0.0.2"))
	e.must(e.s.DeleteHost(e.ctx, other), "delete host without devices")
	e.wants(store.ErrNotFound, e.s.DeleteHost(e.ctx, other), "delete host twice")
}

func devicesKeepWhatTheyAreTold(e env) {
	d := mogile.Device{ID: 4, Host: 2, State: mogile.DevAlive, Weight: 50, MBTotal: 9, MBUsed: 8, AsOf: 7}
	e.must(e.s.CreateDevice(e.ctx, d), "create device")
	e.wants(store.ErrDup, e.s.CreateDevice(e.ctx, d), "create device twice")
	d.MBTotal, d.MBUsed, d.AsOf = 0, 0, 0
	e.same(e.load().Devices, []mogile.Device{d}, "devices")
	for range 2 {
		d.State, d.Weight = mogile.DevDrain, 7
		e.must(e.s.SetDeviceState(e.ctx, d.ID, d.State), "set state")
		e.must(e.s.SetDeviceWeight(e.ctx, d.ID, d.Weight), "set weight")
		e.same(e.load().Devices, []mogile.Device{d}, "devices after a change")
	}
}

func noSuchDeviceIsNotFound(e env) {
	e.wants(store.ErrNotFound, e.s.SetDeviceState(e.ctx, 9, mogile.DevDown), "set state")
	e.wants(store.ErrNotFound, e.s.SetDeviceWeight(e.ctx, 9, 1), "set weight")
}

func usageIsStoredForMany(e env) {
	e.must(e.s.SetDeviceUsage(e.ctx, nil), "set usage of no device")
	var want []mogile.Device
	for id := range mogile.DevID(3) {
		d := mogile.Device{ID: id + 1, Host: 1, State: mogile.DevAlive, Weight: 100}
		e.must(e.s.CreateDevice(e.ctx, d), "create device")
		d.MBTotal, d.MBUsed, d.AsOf = 2_000_000_000, int64(id), 1_790_000_000
		want = append(want, d)
	}
	changed := append([]mogile.Device{}, want...)
	changed[0].State, changed[0].Weight = mogile.DevDead, 1
	e.must(e.s.SetDeviceUsage(e.ctx, changed), "set usage")
	e.same(e.load().Devices, want, "devices: only sizes change")
}
