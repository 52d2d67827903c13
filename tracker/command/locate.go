package command

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/protocol"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
	"github.com/mogilefs/caddy-mogilefs/tracker/topology"
)

// Locate finds a key's content and all its copies, best first, without asking a
// storage node. Copies that can't be reached now come last: who remembers the answer may
// need them when they are back and others are gone. A file that has no copy that may be
// read has one that may not, if it has any.
func (c *Commands) Locate(ctx context.Context, domain mogile.DomainName, key mogile.Key, zone topology.Zone) (mogile.Location, error) {
	snap, err := c.snapshot(ctx)
	if err != nil {
		return mogile.Location{}, err
	}
	f, err := c.find(ctx, snap, domain, key)
	if err != nil {
		return mogile.Location{}, err
	}
	w := walk{fid: f.FID, zone: zone, most: math.MaxInt, hidden: true}
	near, far := c.nearAndFar(snap, f, zone)
	loc := mogile.Location{
		FID: f.FID, Length: f.Length, Checksum: f.sum,
		Copies: w.copies(append(near, far...)),
	}
	for loc.Near < len(loc.Copies) && has(near, loc.Copies[loc.Near].Dev) {
		loc.Near++
	}
	return loc, nil
}

// LocateFID is Locate of whatever key of the domain has the fid.
func (c *Commands) LocateFID(ctx context.Context, domain mogile.DomainName, fid mogile.FID, zone topology.Zone) (mogile.Location, error) {
	f, err := c.store.FileByFID(ctx, fid)
	if errors.Is(err, store.ErrNotFound) {
		return mogile.Location{}, protocol.Fail(protocol.UnknownKey)
	}
	if err != nil {
		return mogile.Location{}, fmt.Errorf("find fid %d: %w", fid, err)
	}
	loc, err := c.Locate(ctx, domain, f.Key, zone)
	if err == nil && loc.FID != fid { // another domain's, or overwritten since
		return mogile.Location{}, protocol.Fail(protocol.UnknownKey)
	}
	return loc, err
}

// Repair has fsck look at a file soon, without a run of fsck, because somebody found one of
// its copies missing or wrong. One that is to be looked at already is looked at once.
func (c *Commands) Repair(ctx context.Context, fid mogile.FID) error {
	if err := c.store.EnqueueWork(ctx, store.WorkRow{FID: fid, Kind: store.FsckWork}); err != nil {
		return fmt.Errorf("queue fid %d for fsck: %w", fid, err)
	}
	c.jobs.Wake(store.FsckQueue)
	return nil
}

// fsckFile is Repair for who reads files in another process. It is ours alone:
// docs/compatibility.md. A fid that is no visible file is not queued.
func (c *Commands) fsckFile(ctx context.Context, in *call) error {
	fid, err := c.debugged(ctx, c.topology.Snapshot(), in)
	if err != nil {
		return err
	}
	_, err = c.store.FileByFID(ctx, fid)
	if errors.Is(err, store.ErrNotFound) {
		return protocol.Fail(protocol.UnknownFID)
	}
	if err == nil {
		err = c.Repair(ctx, fid)
	}
	if err != nil {
		err = onFile.fail("have fid "+fid.String()+" checked", err)
	}
	return err
}

func has(devs []topology.Device, id mogile.DevID) bool {
	return slices.ContainsFunc(devs, func(d topology.Device) bool { return d.ID == id })
}

// found is a visible file and what is recorded of its content.
type found struct {
	store.File
	devs []mogile.DevID
	sum  mogile.Checksum
}

// find is how commands look up a file: check the domain, check the key, look.
func (c *Commands) find(ctx context.Context, snap *topology.Snapshot, domain mogile.DomainName, key mogile.Key) (found, error) {
	dom, err := findDomain(snap, domain)
	if err != nil {
		return found{}, err
	}
	if err := isKey(key); err != nil {
		return found{}, err
	}
	var f found
	if f.File, f.devs, f.sum, err = c.store.Locate(ctx, dom.ID, key); err != nil {
		return found{}, onFile.fail("locate", err)
	}
	return f, nil
}

// forReading is the devices that hold the file, the best for the client first.
func (c *Commands) forReading(snap *topology.Snapshot, f found, zone topology.Zone) []topology.Device {
	near, far := c.nearAndFar(snap, f, zone)
	return append(near, far...)
}

func (c *Commands) nearAndFar(snap *topology.Snapshot, f found, zone topology.Zone) (near, far []topology.Device) {
	return snap.Near(zone.Peer, topology.ForReading(f.known(snap), c.rand))
}

// known is the devices that hold the file, without those that have no row, nor
// their host. (The peer fails the whole command for one of them.)
func (f found) known(snap *topology.Snapshot) []topology.Device {
	devs := make([]topology.Device, 0, len(f.devs))
	for _, id := range f.devs {
		if d, ok := snap.Device(id); ok && d.On.ID != 0 {
			devs = append(devs, d)
		}
	}
	return devs
}
