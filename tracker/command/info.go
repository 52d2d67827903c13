package command

import (
	"context"
	"errors"
	"strings"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
	"github.com/mogilefs/caddy-mogilefs/tracker/topology"
)

// missingChecksum stands for the checksum that a file's class wants and it has not.
const missingChecksum = "MISSING"

func (c *Commands) fileInfo(ctx context.Context, in *call) error {
	snap := c.topology.Snapshot()
	f, err := c.find(ctx, snap, in.domain(), in.key())
	if err != nil {
		return err
	}
	// A file whose class is gone has a class without name. (The peer fails.)
	cls, _ := snap.ClassOf(f.File)
	in.out.Add("fid", f.FID.String())
	in.out.Add("domain", in.Arg("domain"))
	in.out.Add("class", string(cls.Name))
	in.out.Add("key", in.Arg("key"))
	in.out.AddInt("length", f.Length)
	in.out.AddInt("devcount", int64(f.DevCount))
	if in.truthy("devices") {
		in.out.Add("devids", joinDevs(f.devs))
	}
	switch {
	case cls.Hash == mogile.HashNone:
	case f.sum.IsZero():
		in.out.Add("checksum", missingChecksum)
	default:
		in.out.Add("checksum", f.sum.String())
	}
	return nil
}

func joinDevs(devs []mogile.DevID) string {
	words := make([]string, len(devs))
	for i, d := range devs {
		words[i] = d.String()
	}
	return strings.Join(words, ",")
}

// fileDebug shows every row there is of a fid.
func (c *Commands) fileDebug(ctx context.Context, in *call) error {
	snap := c.topology.Snapshot()
	fid, err := c.debugged(ctx, snap, in)
	if err != nil {
		return err
	}
	for _, show := range []func(context.Context, *topology.Snapshot, mogile.FID, *call) error{
		c.debugFile, c.debugUpload, c.debugReplication, c.debugDeletion, c.debugWork, c.debugCopies, c.debugChecksum,
	} {
		if err := show(ctx, snap, fid, in); err != nil && !errors.Is(err, store.ErrNotFound) {
			return onFile.fail("look up fid "+fid.String(), err)
		}
	}
	return nil
}

// debugged is the fid that is asked for, by number or by key. A number that no
// fid can have is 0, which has no rows.
func (c *Commands) debugged(ctx context.Context, snap *topology.Snapshot, in *call) (mogile.FID, error) {
	if in.truthy("fid") {
		fid, _ := fidArg(in)
		return fid, nil
	}
	dom, err := findDomain(snap, in.domain())
	if err != nil {
		return 0, err
	}
	if err := isKey(in.key()); err != nil {
		return 0, err
	}
	f, err := c.store.FileByKey(ctx, dom.ID, in.key()) // not from a replica
	if err != nil {
		err = onFile.fail("find key", err)
	}
	return f.FID, err
}

func (c *Commands) debugFile(ctx context.Context, snap *topology.Snapshot, fid mogile.FID, in *call) error {
	f, err := c.store.FileByFID(ctx, fid)
	if err != nil {
		return err
	}
	dom, _ := snap.DomainByID(f.Domain)
	cls, _ := dom.ClassByID(f.Class)
	in.out.Add("fid_fid", f.FID.String())
	in.out.AddInt("fid_dmid", int64(f.Domain))
	in.out.Add("fid_dkey", string(f.Key))
	in.out.AddInt("fid_length", f.Length)
	in.out.Add("fid_classid", f.Class.String())
	in.out.AddInt("fid_devcount", int64(f.DevCount))
	in.out.Add("fid_domain", string(dom.Name))
	in.out.Add("fid_class", string(cls.Name))
	return nil
}

func (c *Commands) debugUpload(ctx context.Context, _ *topology.Snapshot, fid mogile.FID, in *call) error {
	up, err := c.store.Upload(ctx, fid)
	if err != nil {
		return err
	}
	in.out.Add("tempfile_classid", up.Class.String())
	in.out.AddInt("tempfile_dmid", int64(up.Domain))
	in.out.Add("tempfile_dkey", string(up.Key))
	in.out.Add("tempfile_devids", joinDevs(up.Devices))
	return nil
}

func (c *Commands) debugReplication(ctx context.Context, _ *topology.Snapshot, fid mogile.FID, in *call) error {
	row, err := c.store.Queued(ctx, store.ReplicateQueue, fid)
	if err != nil {
		return err
	}
	showQueued("replqueue_", row, in)
	in.out.Add("replqueue_fromdevid", devOrNone(row.From))
	in.out.AddInt("replqueue_flags", int64(row.Flags))
	return nil
}

func (c *Commands) debugDeletion(ctx context.Context, _ *topology.Snapshot, fid mogile.FID, in *call) error {
	row, err := c.store.Queued(ctx, store.DeleteQueue, fid)
	if err != nil {
		return err
	}
	showQueued("delqueue_", row, in)
	return nil
}

// workPrefix is how the rows of each kind of work are shown.
var workPrefix = map[store.WorkKind]string{store.FsckWork: "fsckqueue_", store.RebalanceWork: "rebqueue_"}

func (c *Commands) debugWork(ctx context.Context, _ *topology.Snapshot, fid mogile.FID, in *call) error {
	rows, err := c.store.WorkRows(ctx, fid)
	for _, row := range rows {
		prefix, known := workPrefix[row.Kind]
		if !known {
			continue
		}
		showQueued(prefix, store.QueueRow{FID: row.FID, NextTry: row.NextTry, FailCount: row.FailCount}, in)
		in.out.Add(prefix+"devid", devOrNone(row.Dev))
		in.out.AddInt(prefix+"type", int64(row.Kind))
		in.out.AddInt(prefix+"flags", int64(row.Flags))
		in.out.Add(prefix+"arg", row.Arg)
	}
	return err
}

// devOrNone is empty for a device that there is none.
func devOrNone(dev mogile.DevID) string {
	if dev == 0 {
		return ""
	}
	return dev.String()
}

func showQueued(prefix string, row store.QueueRow, in *call) {
	in.out.Add(prefix+"fid", row.FID.String())
	in.out.AddInt(prefix+"nexttry", row.NextTry)
	in.out.AddInt(prefix+"failcount", int64(row.FailCount))
}

func (c *Commands) debugCopies(ctx context.Context, snap *topology.Snapshot, fid mogile.FID, in *call) error {
	devs, err := c.store.Devices(ctx, fid)
	if err != nil || len(devs) == 0 {
		return err
	}
	in.out.Add("devids", joinDevs(devs))
	for _, d := range (found{devs: devs}).known(snap) {
		in.out.Add("devpath_"+d.ID.String(), d.ReadURL(fid, in.zone))
	}
	return nil
}

func (c *Commands) debugChecksum(ctx context.Context, _ *topology.Snapshot, fid mogile.FID, in *call) error {
	sum, err := c.store.Checksum(ctx, fid)
	if err == nil || errors.Is(err, store.ErrNotFound) {
		in.out.Add("checksum", sum.String())
	}
	return err
}
