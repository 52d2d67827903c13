package command

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/protocol"
)

func (c *Commands) createOpen(ctx context.Context, in *call) error {
	a := openArgs(in)
	var p profile
	p.start()
	o, err := c.offer(ctx, a)
	if err != nil {
		return err
	}
	p.lap("pick_devices")
	if in.truthy("fid") {
		if a.FID, err = fidArg(in); err != nil {
			return protocol.Fail(protocol.DB)
		}
	}
	opened, err := c.register(ctx, a, o)
	if err != nil {
		return err
	}
	p.lap("register_tempfile")
	c.makeDirs(ctx, opened)
	p.lap("make_directories")

	opened.answer(in)
	if in.truthy("debug_profile") {
		p.answer(in)
	}
	return nil
}

func openArgs(in *call) OpenArgs {
	a := OpenArgs{Domain: in.domain(), Key: in.key(), Size: in.num("size"), Destinations: 1, Zone: in.zone}
	if in.truthy("class") {
		a.Class = mogile.ClassName(in.Arg("class"))
	}
	if in.truthy("multi_dest") {
		a.Destinations = maxDestinations
		a.Copies = copiesArg(in)
	}
	return a
}

// copiesArg is how many copies an upload is to have when it is closed, which only this
// tracker knows to do something with.
func copiesArg(in *call) int {
	if !in.truthy("copies") {
		return 1
	}
	return int(min(max(in.num("copies"), 1), MaxCopies))
}

// answer adds no pair that the protocol does not have, but for those who ask for several
// copies, and so learn that they can be recorded: one client sends all pairs back with
// create_close.
func (o Opened) answer(in *call) {
	in.out.Add("fid", o.FID.String())
	if !in.truthy("multi_dest") {
		in.out.Add("devid", o.Destinations[0].Dev.String())
		in.out.Add("path", o.Destinations[0].URL)
		return
	}
	if n := copiesArg(in); n > 1 {
		in.out.AddInt("copies", int64(n))
	}
	in.out.AddInt("dev_count", int64(len(o.Destinations)))
	for i, at := range o.Destinations {
		in.out.Add(numbered("devid_", i), at.Dev.String())
		in.out.Add(numbered("path_", i), at.URL)
	}
}

// profile is how long the stages of a command took.
type profile struct {
	last  time.Time
	names []string
	times []time.Duration
}

func (p *profile) start() { p.last = time.Now() }

func (p *profile) lap(name string) {
	now := time.Now()
	p.names, p.times = append(p.names, name), append(p.times, now.Sub(p.last))
	p.last = now
}

func (p *profile) answer(in *call) {
	in.out.AddInt("profpoints", int64(len(p.names)))
	for i, name := range p.names {
		in.out.Add(numbered("prof_", i)+"_name", name)
		in.out.Add(numbered("prof_", i)+"_time", fmt.Sprintf("%.3f", p.times[i].Seconds()))
	}
}

// createCloseCopies is create_close of an upload that has several copies. It is a command of
// its own so that a tracker that would forget all but one of them refuses it.
func (c *Commands) createCloseCopies(ctx context.Context, in *call) error {
	return c.closeCopies(ctx, in, copiesArg(in))
}

func (c *Commands) createClose(ctx context.Context, in *call) error { return c.closeCopies(ctx, in, 1) }

func (c *Commands) closeCopies(ctx context.Context, in *call, copies int) error {
	if _, err := findDomain(c.topology.Snapshot(), in.domain()); err != nil {
		return err
	}
	a, err := closeArgs(in)
	if err != nil {
		return err
	}
	for i := 1; i < copies; i++ {
		dev, err := mogile.ParseDevID(in.Arg(numbered("devid_", i)))
		if err != nil {
			return protocol.Fail(protocol.BogusArgs)
		}
		a.Others = append(a.Others, StoredCopy{Copy: mogile.Copy{Dev: dev, URL: in.Arg(numbered("path_", i))}})
	}
	return c.Close(ctx, a)
}

func closeArgs(in *call) (CloseArgs, error) {
	for _, arg := range []struct {
		name string
		code protocol.Code
	}{{"fid", protocol.NoFID}, {"devid", protocol.NoDevID}, {"path", protocol.NoPath}} {
		if !in.truthy(arg.name) {
			return CloseArgs{}, protocol.Fail(arg.code)
		}
	}
	a := CloseArgs{
		Domain: in.domain(), Key: in.key(), URL: in.Arg("path"), Size: unknownSize,
		Verify: in.truthy("checksumverify"), Zone: in.zone,
	}
	var err error
	if in.truthy("checksum") {
		if a.Checksum, err = mogile.ParseChecksum(in.Arg("checksum")); err != nil {
			return CloseArgs{}, protocol.Fail(protocol.InvalidChecksumFormat)
		}
	}
	// A size of 0 is compared with nothing: clients send it for want of a better.
	if in.truthy("size") {
		a.Size = max(in.num("size"), unknownSize)
	}
	// Numbers that no path was ever made of are found out with the path.
	a.FID, err = fidArg(in)
	if err == nil {
		a.Dev, err = mogile.ParseDevID(in.Arg("devid"))
	}
	if err != nil {
		return CloseArgs{}, protocol.Fail(protocol.BogusArgs)
	}
	return a, nil
}

// fidArg reads the argument fid. What is beyond a signed 64-bit number no database here
// can be asked for, let alone has.
func fidArg(in *call) (mogile.FID, error) {
	fid, err := mogile.ParseFID(in.Arg("fid"))
	if err == nil && fid > math.MaxInt64 {
		return 0, fmt.Errorf("fid %d: at most %d", fid, int64(math.MaxInt64))
	}
	return fid, err
}
