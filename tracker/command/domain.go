package command

import (
	"context"
	"unicode/utf8"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/protocol"
)

// implicitPolicy is how a class without a policy of its own is shown.
const implicitPolicy = "MultipleHosts()"

// The widths of the columns for names, in characters (docs/spec/schema.md §1).
const (
	maxDomainName = 255
	maxClassName  = 50
	maxHostName   = 40
)

// isName refuses names that not all databases can keep.
func isName(s string, maxChars int) error {
	if utf8.RuneCountInString(s) > maxChars || hasNUL(s) {
		return protocol.Fail(protocol.BadParams)
	}
	return nil
}

func (c *Commands) getDomains(_ context.Context, in *call) error {
	domains := c.topology.Snapshot().Domains()
	in.out.AddInt("domains", int64(len(domains)))
	for i, d := range domains {
		prefix := numbered("domain", i)
		in.out.Add(prefix, string(d.Name))
		in.out.AddInt(prefix+"classes", int64(len(d.Classes)))
		for j, cls := range d.Classes {
			showClass(numbered(prefix+"class", j), cls, in)
		}
	}
	return nil
}

func showClass(prefix string, cls mogile.Class, in *call) {
	policy := cls.Policy
	if policy == "" {
		policy = implicitPolicy
	}
	in.out.Add(prefix+"name", string(cls.Name))
	in.out.AddInt(prefix+"mindevcount", int64(cls.MinDevCount))
	in.out.Add(prefix+"replpolicy", policy)
	in.out.Add(prefix+"hashtype", cls.Hash.String())
}

func (c *Commands) createDomain(ctx context.Context, in *call) error {
	if !in.truthy("domain") {
		return protocol.Fail(protocol.NoDomain)
	}
	if err := isName(in.Arg("domain"), maxDomainName); err != nil {
		return err
	}
	if _, err := c.store.CreateDomain(ctx, in.domain()); err != nil {
		return onDomain.fail("create domain", err)
	}
	c.settle(ctx)
	in.out.Add("domain", in.Arg("domain"))
	return nil
}

func (c *Commands) deleteDomain(ctx context.Context, in *call) error {
	if !in.truthy("domain") {
		return protocol.Fail(protocol.NoDomain)
	}
	if err := c.store.DeleteDomain(ctx, in.domain()); err != nil {
		return onDomain.fail("delete domain", err)
	}
	c.settle(ctx)
	in.out.Add("domain", in.Arg("domain"))
	return nil
}
