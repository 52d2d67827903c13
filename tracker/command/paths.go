package command

import (
	"context"
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
		w.intact = func(url string) bool {
			n, found, err := c.nodes.Size(ctx, url)
			return err == nil && found && n == f.Length
		}
	}
	copies := w.copies(topology.ForReading(f.known(snap), c.rand))
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
	// intact, or nil, is asked whether a copy is all there, until one is listed.
	intact func(url string) bool
}

// copies keeps the order of devs, but puts copies on draining devices last. When
// nothing is readable, it is one copy that is not: the device may be better than
// what is known of it.
func (w walk) copies(devs []topology.Device) []mogile.Copy {
	copies := make([]mogile.Copy, 0, min(len(devs), w.most))
	var draining []mogile.Copy
	var fallback mogile.Copy
	for _, d := range devs {
		at := mogile.Copy{Dev: d.ID, URL: d.ReadURL(w.fid, w.zone)}
		switch {
		case !d.Readable():
			fallback = at
		case w.intact != nil && len(copies) == 0 && !w.intact(at.URL):
		case d.State.Draining():
			draining = append(draining, at)
		default:
			if copies = append(copies, at); len(copies) == w.most {
				return copies
			}
		}
	}
	copies = append(copies, draining[:min(len(draining), w.most-len(copies))]...)
	if len(copies) == 0 && fallback.Dev != 0 {
		copies = append(copies, fallback)
	}
	return copies
}
