package job

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/node"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
	"github.com/mogilefs/caddy-mogilefs/tracker/topology"
)

// Copy makes a copy of a fid on the device to, out of that on the device from, has it
// verified and records it. refusal says in words why nodes, devices or the fid don't
// allow it, and is empty when the copy is there; err is that of the store. No policy is
// asked: one copy too many is for the file's class to find out.
func (j *Jobs) Copy(ctx context.Context, fid mogile.FID, from, to mogile.DevID) (refusal string, err error) {
	return j.replicator.copyTo(ctx, fid, from, to)
}

func (r *replicator) copyTo(ctx context.Context, fid mogile.FID, from, to mogile.DevID) (refusal string, err error) {
	a, release, res, err := r.take(ctx, store.Item{FID: fid})
	defer release()
	if res != "" || err != nil {
		return string(res), err
	}
	way, refusal := a.route(r.live.Snapshot(), from, to)
	if refusal != "" {
		return refusal, nil
	}
	p, err := r.slots.take(ctx, a.file.Length, []topology.Device{way.source}, []topology.Device{way.dest})
	if err != nil {
		return "", err
	}
	way.free = p.free
	err = r.copy(ctx, a, way)
	if errors.Is(err, node.ErrSource) || errors.Is(err, node.ErrDestination) {
		return err.Error(), nil
	}
	if err == nil {
		_, err = r.confirm(ctx, a, replicated)
	}
	return "", err
}

// route is the way that an operator chose, or why it can't be gone.
func (a *attempt) route(snap *topology.Snapshot, from, to mogile.DevID) (way route, refusal string) {
	source, _ := snap.Device(from)
	dest, known := snap.Device(to)
	switch {
	case !slices.Contains(a.on, from):
		return way, fmt.Sprintf("device %d does not have the file", from)
	case !source.Readable():
		return way, fmt.Sprintf("device %d can't be read from", from)
	case !known:
		return way, fmt.Sprintf("there is no device %d", to)
	case slices.Contains(a.on, to):
		return way, fmt.Sprintf("device %d has the file already", to)
	case !dest.TakesNewFiles():
		return way, fmt.Sprintf("device %d takes no files", to)
	}
	class, _ := snap.ClassOf(a.file)
	return route{snap: snap, class: class, source: source, dest: dest}, ""
}
