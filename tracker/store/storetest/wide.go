package storetest

import (
	"testing"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
)

var wideChecks = []check{
	{"DevidsMayBeGreat", devidsMayBeGreat},
	{"SizesMayBeGreat", sizesMayBeGreat},
}

// RunWide tests a store whose numbers are as great as MySQL's. Those of a PostgreSQL that
// the peer created end earlier (docs/spec/schema.md §1.2).
func RunWide(t *testing.T, open func(t *testing.T) store.Store) {
	runChecks(t, open, wideChecks)
}

const greatDev mogile.DevID = 1<<24 - 1

func devidsMayBeGreat(e env) {
	fid := e.put("key")
	e.must(e.s.AddCopy(e.ctx, fid, greatDev), "add copy")
	e.devices(fid, 1, greatDev)
	d := mogile.Device{ID: greatDev, Host: 1, State: mogile.DevAlive, Weight: 100}
	e.must(e.s.CreateDevice(e.ctx, d), "create device")
	e.same(e.load().Devices, []mogile.Device{d}, "devices")
}

func sizesMayBeGreat(e env) {
	d := mogile.Device{ID: 1, Host: 1, State: mogile.DevAlive, Weight: 100}
	e.must(e.s.CreateDevice(e.ctx, d), "create device")
	d.MBTotal, d.MBUsed, d.AsOf = 4_000_000_000, 3_999_999_999, 1_790_000_000
	e.must(e.s.SetDeviceUsage(e.ctx, []mogile.Device{d}), "set usage")
	e.same(e.load().Devices, []mogile.Device{d}, "devices")
}
