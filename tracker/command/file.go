package command

import (
	"context"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/protocol"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
)

// Delete makes a key unknown. Its content is deleted later.
func (c *Commands) Delete(ctx context.Context, domain mogile.DomainName, key mogile.Key) error {
	snap, err := c.snapshot(ctx)
	if err != nil {
		return err
	}
	dom, err := findDomain(snap, domain)
	if err != nil {
		return err
	}
	if err := isKey(key); err != nil {
		return err
	}
	if _, err := c.store.Delete(ctx, dom.ID, key); err != nil {
		return onFile.fail("delete", err)
	}
	c.changed(domain, key)
	c.jobs.Wake(store.DeleteQueue)
	return nil
}

func (c *Commands) deleteKey(ctx context.Context, in *call) error {
	return c.Delete(ctx, in.domain(), in.key())
}

func (c *Commands) rename(ctx context.Context, in *call) error {
	dom, err := findDomain(c.topology.Snapshot(), in.domain())
	if err != nil {
		return err
	}
	from, to := mogile.Key(in.Arg("from_key")), mogile.Key(in.Arg("to_key"))
	if err := isKey(from); err != nil {
		return err
	}
	if err := isNewKey(to); err != nil {
		return err
	}
	if err := c.store.Rename(ctx, dom.ID, from, to); err != nil {
		return onFile.fail("rename", err)
	}
	c.changed(dom.Name, from)
	c.changed(dom.Name, to)
	return nil
}

func (c *Commands) updateFileClass(ctx context.Context, in *call) error {
	snap := c.topology.Snapshot()
	dom, err := findDomain(snap, in.domain())
	if err != nil {
		return err
	}
	if err := isKey(in.key()); err != nil {
		return err
	}
	if !in.truthy("class") {
		return protocol.Fail(protocol.NoClass)
	}
	cls, ok := dom.Class(mogile.ClassName(in.Arg("class")))
	if !ok {
		return protocol.Fail(protocol.ClassNotFound)
	}
	// Not Locate, which may be stale: the fid decides whose class is changed.
	f, err := c.store.FileByKey(ctx, dom.ID, in.key())
	if err != nil {
		return onReclass.fail("find key", err)
	}
	devs, err := c.store.Devices(ctx, f.FID)
	if err != nil {
		return onReclass.fail("list devices of fid "+f.FID.String(), err)
	}
	if len(devs) == 0 {
		return protocol.Fail(protocol.NoDevices)
	}
	if err := c.store.SetClass(ctx, f.FID, cls.ID); err != nil {
		return onReclass.fail("set class of fid "+f.FID.String(), err)
	}
	c.jobs.Wake(store.ReplicateQueue)
	return nil
}
