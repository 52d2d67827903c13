package command

import (
	"context"
	"fmt"
	"math"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/topology"
)

// minPathCount is the fewest paths a client can limit an answer to.
const minPathCount = 2

func (c *Commands) getPaths(ctx context.Context, in *call) error {
	snap := c.topology.Snapshot()
	f, err := c.find(ctx, snap, in.domain(), in.key())
	if err != nil {
		return err
	}
	w := walk{fid: f.FID, zone: in.zone, most: int(min(max(in.num("pathcount"), minPathCount), math.MaxInt32))}
	if !in.truthy("noverify") {
		w.verify = func(devs []topology.Device) []topology.Device {
			return c.verified(ctx, devs, func(ctx context.Context, d topology.Device) bool {
				n, found, err := c.nodes.Size(ctx, d.ReadURL(f.FID, in.zone))
				return err == nil && found && n == f.Length
			})
		}
	}
	copies := w.copies(c.forReading(snap, f, in.zone))
	if ctx.Err() != nil {
		return fmt.Errorf("verify paths: %w", context.Cause(ctx))
	}
	in.out.AddInt("paths", int64(len(copies)))
	for i, at := range copies {
		in.out.Add(numbered("path", i), at.URL)
	}
	return nil
}

// walk goes through the devices of a file and collects copies for readers.
type walk struct {
	fid  mogile.FID
	zone topology.Zone
	// most is how many copies are wanted.
	most int
	// verify, or nil, leaves out devices that don't have the file.
	verify func([]topology.Device) []topology.Device
	// hidden has copies follow that can't be read now as far as is known here, if the
	// operator lets them be.
	hidden bool
}

// copies keeps the order of devs, but puts copies on draining devices last. When
// nothing is readable, it is one copy that is not: the device may be better than
// what is known of it.
func (w walk) copies(devs []topology.Device) []mogile.Copy {
	readable := make([]topology.Device, 0, len(devs))
	var fallback mogile.Copy
	var hidden []mogile.Copy
	for _, d := range devs {
		if d.Readable() {
			readable = append(readable, d)
			continue
		}
		fallback = w.at(d)
		if w.hidden && d.MayRead() {
			hidden = append(hidden, fallback)
		}
	}
	if w.verify != nil {
		readable = w.verify(readable)
	}
	copies := make([]mogile.Copy, 0, min(len(devs), w.most))
	for _, draining := range []bool{false, true} {
		for _, d := range readable {
			if d.State.Draining() == draining && len(copies) < w.most {
				copies = append(copies, w.at(d))
			}
		}
	}
	copies = append(copies, hidden...)
	if len(copies) == 0 && fallback.Dev != 0 {
		copies = append(copies, fallback)
	}
	return copies
}

func (w walk) at(d topology.Device) mogile.Copy {
	return mogile.Copy{Dev: d.ID, URL: d.ReadURL(w.fid, w.zone)}
}
