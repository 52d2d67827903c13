package command

import (
	"context"
	"errors"
	"math"
	"strconv"
	"strings"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/protocol"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
	"github.com/mogilefs/caddy-mogilefs/tracker/topology"
)

const (
	// newDeviceWeight is the default of the column device.weight.
	newDeviceWeight = 100
	// maxWeight is what that column holds.
	maxWeight = 1<<23 - 1
)

func (c *Commands) getDevices(_ context.Context, in *call) error {
	var devs []topology.Device
	for _, d := range c.topology.Snapshot().Devices() {
		if !in.truthy("devid") || int64(d.ID) == in.num("devid") {
			devs = append(devs, d)
		}
	}
	in.out.AddInt("devices", int64(len(devs)))
	for i, d := range devs {
		showDevice(numbered("dev", i)+"_", d, in)
	}
	return nil
}

func showDevice(prefix string, d topology.Device, in *call) {
	var total, used, free, asOf string
	if mb, known := d.MBFree(); known {
		total, used, free = itoa(d.MBTotal), itoa(d.MBUsed), itoa(mb)
	}
	if d.AsOf != 0 {
		asOf = itoa(d.AsOf)
	}
	// A node without figures says -, which one client can't read as a number.
	utilization := d.Seen.Utilization
	if utilization == "-" {
		utilization = ""
	}
	in.out.Add(prefix+"devid", d.ID.String())
	in.out.Add(prefix+"hostid", d.Host.String())
	in.out.Add(prefix+"status", string(d.State))
	in.out.AddInt(prefix+"weight", int64(d.Weight))
	in.out.Add(prefix+"mb_total", total)
	in.out.Add(prefix+"mb_used", used)
	in.out.Add(prefix+"mb_free", free)
	in.out.Add(prefix+"mb_asof", asOf)
	in.out.Add(prefix+"observed_state", string(d.Seen.State))
	in.out.Add(prefix+"utilization", utilization)
	in.out.Add(prefix+"reject_bad_md5", d.Seen.RejectsBadMD5)
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

func (c *Commands) createDevice(ctx context.Context, in *call) error {
	d := mogile.Device{State: mogile.DevAlive, Weight: newDeviceWeight}
	var err error
	if in.truthy("state") {
		if d.State, err = mogile.ParseDevState(in.Arg("state")); err != nil {
			return protocol.Fail(protocol.InvalidState)
		}
	}
	if d.ID, err = mogile.ParseDevID(in.Arg("devid")); err != nil {
		return protocol.Fail(protocol.InvalidDevID)
	}
	if d.Host, err = c.hostOfNewDevice(ctx, in); err != nil {
		return err
	}
	if err := c.store.CreateDevice(ctx, d); err != nil {
		return onDevice.fail("create device", err)
	}
	c.settle(ctx)
	return nil
}

func (c *Commands) hostOfNewDevice(ctx context.Context, in *call) (mogile.HostID, error) {
	if digits := in.Arg("hostid"); digits != "" && strings.Trim(digits, "0123456789") == "" {
		snap, err := c.fresh(ctx)
		if err != nil {
			return 0, err
		}
		id, err := strconv.ParseUint(digits, 10, 32)
		if _, ok := snap.Host(mogile.HostID(id)); err != nil || !ok {
			return 0, protocol.Fail(protocol.UnknownHostID)
		}
		return mogile.HostID(id), nil
	}
	name, given := in.Lookup("hostname")
	if !given {
		return 0, protocol.Failf(protocol.BadArgs, "No hostid/hostname parameter")
	}
	h, err := c.store.HostByName(ctx, mogile.HostName(name))
	if errors.Is(err, store.ErrNotFound) {
		return 0, protocol.Fail(protocol.UnknownHost)
	}
	return h.ID, err
}

func (c *Commands) setState(ctx context.Context, in *call) error {
	state, err := mogile.ParseDevState(in.Arg("state"))
	if err != nil {
		return protocol.Fail(protocol.BadParams)
	}
	d, err := c.named(ctx, in)
	if err != nil {
		return err
	}
	if !d.State.CanBecome(state) {
		return protocol.Fail(protocol.StateTooHigh)
	}
	if err := c.store.SetDeviceState(ctx, d.ID, state); err != nil {
		return onDevice.fail("set state of dev "+d.ID.String(), err)
	}
	c.settle(ctx)
	return nil
}

func (c *Commands) setWeight(ctx context.Context, in *call) error {
	weight := in.num("weight")
	if weight < 0 || weight > maxWeight {
		return protocol.Fail(protocol.BadParams)
	}
	d, err := c.named(ctx, in)
	if err != nil {
		return err
	}
	if err := c.store.SetDeviceWeight(ctx, d.ID, int(weight)); err != nil {
		return onDevice.fail("set weight of dev "+d.ID.String(), err)
	}
	c.settle(ctx)
	return nil
}

// named is the device that a request names together with its host, so that a
// slip of the pen hits none.
func (c *Commands) named(ctx context.Context, in *call) (topology.Device, error) {
	id := in.num("device")
	if !in.truthy("host") || id <= 0 || id > math.MaxUint32 {
		return topology.Device{}, protocol.Fail(protocol.BadParams)
	}
	snap, err := c.fresh(ctx)
	if err != nil {
		return topology.Device{}, err
	}
	d, ok := snap.Device(mogile.DevID(id))
	if !ok {
		return topology.Device{}, protocol.Fail(protocol.NoDevice)
	}
	if string(d.On.Name) != in.Arg("host") {
		return topology.Device{}, protocol.Fail(protocol.HostMismatch)
	}
	return d, nil
}
