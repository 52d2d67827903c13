package job

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/node"
	"github.com/mogilefs/caddy-mogilefs/tracker/topology"
)

// takeBackTime bounds taking back what a failed copy left, also when everything is to stop.
const takeBackTime = 5 * time.Second

// route is one copy to be made.
type route struct {
	snap         *topology.Snapshot
	class        mogile.Class
	source, dest topology.Device
	free         func() // gives the slots back; for transfer to call
}

// follow makes one copy, between the first two devices that have a slot. What goes wrong
// with a node bars that node for this run; an error ends the run.
func (r *replicator) follow(ctx context.Context, a *attempt, way route, sources, dests []topology.Device) error {
	p, err := r.slots.take(ctx, a.file.Length, sources, dests)
	if err != nil {
		return err
	}
	way.source, way.dest, way.free = p.source, p.dest, p.free
	err = r.copy(ctx, a, way)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, node.ErrSource):
		a.badSources[way.source.ID] = true
		a.story.failed(way, true, err)
	case errors.Is(err, node.ErrDestination):
		a.badDests[way.dest.ID] = true
		a.story.failed(way, false, err)
	default:
		return err
	}
	r.log.Warn("copy failed", zap.Stringer("fid", a.file.FID), zap.Stringer("from", way.source.ID),
		zap.Stringer("to", way.dest.ID), zap.Error(err))
	return nil
}

func (r *replicator) order(snap *topology.Snapshot, ids []mogile.DevID) []topology.Device {
	var devs []topology.Device
	for _, id := range ids {
		if d, ok := snap.Device(id); ok {
			devs = append(devs, d)
		}
	}
	return topology.ForWriting(devs, r.rand)
}

// copy makes one copy and records it.
//
// Order: 1. the bytes reach the destination, 2. they are verified there, 3. the
// checksum is recorded when there was none, 4. the copy is recorded, 5. caches are
// told. A crash after 1 or 2 leaves bytes that no row names; after 3 also a checksum,
// which is that of the content whoever holds it. The queue row is still there, and the
// next run makes the copy again: over the same bytes, if it picks the same device. A
// crash after 4 leaves caches that don't know the new copy yet; they are in this
// process and have gone with it.
func (r *replicator) copy(ctx context.Context, a *attempt, way route) error {
	sum, err := r.transfer(ctx, a, way)
	if err != nil {
		return err
	}
	fid := a.file.FID
	if a.recorded.IsZero() && !sum.IsZero() {
		if err := r.store.SetChecksum(ctx, fid, sum); err != nil {
			return fmt.Errorf("record checksum: %w", err)
		}
		a.recorded = sum
	}
	if err := r.store.AddCopy(ctx, fid, way.dest.ID); err != nil {
		return fmt.Errorf("record copy on device %d: %w", way.dest.ID, err)
	}
	a.on = append(a.on, way.dest.ID)
	a.made = append(a.made, way.dest.ID)
	r.copied(a.file.Length)
	if !sum.IsZero() || a.masked != 0 { // else nobody has looked at it yet
		a.found[way.dest.ID] = whole
	}
	if d, ok := way.snap.DomainByID(a.file.Domain); ok {
		r.changed(d.Name, a.file.Key)
	}
	return nil
}

// transfer has the bytes copied and verified, and takes them back when that fails. The
// devices have to do with it that long: what the database does then is not theirs.
func (r *replicator) transfer(ctx context.Context, a *attempt, way route) (mogile.Checksum, error) {
	defer way.free()
	fid := a.file.FID
	r.nodes.MakeDirs(ctx, way.dest.ID, base(way.dest, way.dest.On.Port), fid)
	to := way.dest.WriteURL(fid, topology.Zone{})
	sum, err := r.nodes.Copy(ctx, node.CopyArgs{
		From: way.source.WriteURL(fid, topology.Zone{}), To: to,
		Length: a.file.Length, Want: a.recorded, Hash: way.class.Hash,
	})
	left := errors.Is(err, node.ErrLeftover)
	if err == nil {
		if err = r.verify(ctx, a, way.dest, to, sum); err != nil {
			left, err = true, fmt.Errorf("verify copy: %w: %w", node.ErrDestination, err)
		}
	}
	if left && r.takeBack(ctx, a, way.dest, to) {
		r.log.Warn("copy failed, and is there all the same", zap.Stringer("fid", fid), zap.Stringer("from", way.source.ID),
			zap.Stringer("to", way.dest.ID), zap.Error(err))
		if errors.Is(err, node.ErrSource) {
			a.badSources[way.source.ID] = true
		}
		return a.recorded, nil
	}
	return sum, err
}

// verify looks at a copy that its node says to have stored. When there was no digest, or the
// node has compared it, only one is looked at for which another will be deleted, and only how
// long it is: the node has seen the right bytes go by, and its disk may have kept a part. (The
// peer takes the node's word for it.)
func (r *replicator) verify(ctx context.Context, a *attempt, dest topology.Device, url string, sum mogile.Checksum) error {
	told := sum.IsZero() || verifiedByNode(a.recorded, dest)
	switch {
	case told && a.masked == 0:
		return nil
	case told:
		n, there, err := r.nodes.Size(ctx, url)
		if err == nil && (!there || n != a.file.Length) {
			err = fmt.Errorf("%s has length %d; want %d", url, n, a.file.Length)
		}
		return err
	}
	there, err := r.nodes.Digest(ctx, url, sum.Type)
	if err == nil && !there.Equal(sum) {
		err = fmt.Errorf("%s digests to %s; want %s", url, there, sum)
	}
	return err
}

// verifiedByNode reports whether the node has compared the bytes with a digest that was
// sent ahead. (The peer also trusts it when there was none to send.)
func verifiedByNode(recorded mogile.Checksum, dest topology.Device) bool {
	return recorded.Type == mogile.HashMD5 && dest.Seen.RejectsBadMD5 == "1"
}

// takeBack deletes what a failed copy left, unless the device is recorded as holding the
// file: then another tracker, whose lock did not keep us out, was quicker. What has the
// checksum that is recorded for the file stays, too, and counts, which is reported: a
// tracker that was killed before it recorded it may have left it, and those that are
// recorded may be the bad ones.
func (r *replicator) takeBack(ctx context.Context, a *attempt, dest topology.Device, url string) (whole bool) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), takeBackTime)
	defer cancel()
	on, err := r.store.Devices(ctx, a.file.FID)
	if err == nil && !slices.Contains(on, dest.ID) {
		if whole, err = r.isWhole(ctx, a, url); err == nil && !whole {
			err = r.nodes.Delete(ctx, url)
		}
	}
	if err != nil {
		r.log.Warn("failed copy may be left", zap.Stringer("fid", a.file.FID),
			zap.Stringer("device", dest.ID), zap.Error(err))
	}
	return whole
}

// isWhole compares what a node has with the checksum that is recorded; without one,
// nothing is known to be whole.
func (r *replicator) isWhole(ctx context.Context, a *attempt, url string) (bool, error) {
	if a.recorded.IsZero() {
		return false, nil
	}
	n, there, err := r.nodes.Size(ctx, url)
	if err != nil || !there || n != a.file.Length {
		return false, err
	}
	sum, err := r.nodes.Digest(ctx, url, a.recorded.Type)
	return err == nil && sum.Equal(a.recorded), err
}
