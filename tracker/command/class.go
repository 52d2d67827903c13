package command

import (
	"context"
	"errors"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/protocol"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
)

// maxMinDevCount is what the column class.mindevcount holds.
const maxMinDevCount = 255

// classArgs is the arguments of create_class and update_class.
type classArgs struct {
	domain      mogile.DomainName
	class       mogile.ClassName
	minDevCount int
	policy      string // empty: leave it
	hash        mogile.HashType
	setHash     bool
}

func (c *Commands) classArgs(ctx context.Context, in *call) (classArgs, error) {
	a := classArgs{domain: in.domain(), class: mogile.ClassName(in.Arg("class")), setHash: in.truthy("hashtype")}
	n := in.num("mindevcount")
	switch {
	case a.domain == "":
		return a, protocol.Fail(protocol.NoDomain)
	case a.class == "":
		return a, protocol.Fail(protocol.NoClass)
	case n <= 0:
		return a, protocol.Fail(protocol.InvalidMinDevCount)
	case n > maxMinDevCount:
		return a, protocol.Fail(protocol.BadParams)
	}
	a.minDevCount = int(n)
	if in.truthy("replpolicy") {
		a.policy = in.Arg("replpolicy")
		if err := c.validPolicy(ctx, a.policy); err != nil {
			return a, &protocol.Error{Code: protocol.InvalidPolicy, Text: err.Error()}
		}
	}
	if a.setHash {
		var err error
		if a.hash, err = mogile.ParseHashType(in.Arg("hashtype")); err != nil {
			return a, protocol.Fail(protocol.InvalidHashType)
		}
	}
	return a, isName(string(a.class), maxClassName)
}

// apply puts the arguments into a class. A policy can be replaced, not cleared.
func (a classArgs) apply(cls *mogile.Class) {
	cls.MinDevCount = a.minDevCount
	if a.policy != "" {
		cls.Policy = a.policy
	}
	if a.setHash {
		cls.Hash = a.hash
	}
}

func (a classArgs) answer(in *call) {
	in.out.Add("class", string(a.class))
	in.out.AddInt("mindevcount", int64(a.minDevCount))
	in.out.Add("domain", string(a.domain))
}

func (c *Commands) createClass(ctx context.Context, in *call) error {
	if in.truthy("update") {
		return c.updateClass(ctx, in)
	}
	a, err := c.classArgs(ctx, in)
	if err != nil {
		return err
	}
	dm, err := c.domainNamed(ctx, a.domain)
	if err != nil {
		return err
	}
	cls := mogile.Class{Domain: dm, Name: a.class}
	a.apply(&cls)
	if _, err := c.store.CreateClass(ctx, cls); err != nil {
		return onClass.fail("create class", err)
	}
	c.settle(ctx)
	a.answer(in)
	return nil
}

func (c *Commands) updateClass(ctx context.Context, in *call) error {
	a, err := c.classArgs(ctx, in)
	if err != nil {
		return err
	}
	dm, err := c.domainNamed(ctx, a.domain)
	if err != nil {
		return err
	}
	if err := c.storeClass(ctx, dm, a); err != nil {
		return onClass.fail("update class", err)
	}
	c.settle(ctx)
	a.answer(in)
	return nil
}

// storeClass updates a class. Where the database takes another spelling for its name, it
// is spelt so from then on, but for the default class, which everybody knows by its name.
func (c *Commands) storeClass(ctx context.Context, dm mogile.DomainID, a classArgs) error {
	cls, err := c.store.ClassByName(ctx, dm, a.class)
	switch {
	case errors.Is(err, store.ErrNotFound) && a.class == mogile.DefaultClass:
		// The default class has no row until somebody changes it.
		cls = mogile.Class{Domain: dm, Name: a.class}
		a.apply(&cls)
		_, err = c.store.CreateClass(ctx, cls)
		return err
	case err != nil:
		return err
	case cls.ID != 0:
		cls.Name = a.class
	}
	a.apply(&cls)
	return c.store.UpdateClass(ctx, cls)
}

func (c *Commands) deleteClass(ctx context.Context, in *call) error {
	name := mogile.ClassName(in.Arg("class"))
	switch {
	case in.domain() == "":
		return protocol.Fail(protocol.NoDomain)
	case name == mogile.DefaultClass:
		return protocol.Fail(protocol.NoDelDefaultClass)
	}
	dm, err := c.domainNamed(ctx, in.domain())
	if err != nil {
		return err
	}
	cls, err := c.store.ClassByName(ctx, dm, name)
	if err == nil && cls.ID == 0 { // in another spelling
		return protocol.Fail(protocol.NoDelDefaultClass)
	}
	if err == nil {
		err = c.store.DeleteClass(ctx, dm, cls.ID)
	}
	if err != nil {
		return onClass.fail("delete class", err)
	}
	c.settle(ctx)
	in.out.Add("domain", in.Arg("domain"))
	in.out.Add("class", string(name))
	return nil
}

// domainNamed asks the database, which may take A for a, as commands that change the
// cluster do.
func (c *Commands) domainNamed(ctx context.Context, name mogile.DomainName) (mogile.DomainID, error) {
	dm, err := c.store.DomainByName(ctx, name)
	if err != nil {
		return 0, onDomain.fail("look up domain", err)
	}
	return dm, nil
}
