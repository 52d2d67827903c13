package command

import (
	"cmp"
	"context"
	"errors"
	"strconv"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/protocol"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
)

func (c *Commands) getHosts(_ context.Context, in *call) error {
	var hosts []mogile.Host
	for _, h := range c.topology.Snapshot().Hosts() {
		if !in.truthy("hostid") || int64(h.ID) == in.num("hostid") {
			hosts = append(hosts, h)
		}
	}
	in.out.AddInt("hosts", int64(len(hosts)))
	for i, h := range hosts {
		prefix := numbered("host", i) + "_"
		in.out.Add(prefix+"hostid", h.ID.String())
		in.out.Add(prefix+"status", string(h.State))
		in.out.Add(prefix+"hostname", string(h.Name))
		in.out.Add(prefix+"hostip", h.IP)
		in.out.Add(prefix+"http_port", showPort(h.Port))
		in.out.Add(prefix+"http_get_port", showPort(h.GetPort))
		in.out.Add(prefix+"altip", h.AltIP)
		in.out.Add(prefix+"altmask", h.AltMask)
	}
	return nil
}

// showPort leaves empty what the database has no value for.
func showPort(port uint16) string {
	if port == 0 {
		return ""
	}
	return strconv.Itoa(int(port))
}

func (c *Commands) createHost(ctx context.Context, in *call) error {
	name := mogile.HostName(in.Arg("host"))
	if !in.truthy("host") {
		return protocol.Fail(protocol.NoHost)
	}
	if err := isName(string(name), maxHostName); err != nil {
		return err
	}
	if err := c.isFreeHost(ctx, name); err != nil {
		return err
	}
	h := mogile.Host{Name: name, State: mogile.HostDown}
	if err := in.applyTo(&h); err != nil {
		return err
	}
	var err error
	h.ID, err = c.store.CreateHost(ctx, h)
	if errors.Is(err, store.ErrDup) { // the name since a moment ago, or an address
		err = cmp.Or(c.isFreeHost(ctx, name), err)
	}
	if err != nil {
		return onHost.fail("create host", err)
	}
	c.settle(ctx)
	in.answerHost(h)
	return nil
}

// isFreeHost refuses a name that a host has.
func (c *Commands) isFreeHost(ctx context.Context, name mogile.HostName) error {
	_, err := c.store.HostByName(ctx, name)
	switch {
	case err == nil:
		return protocol.Fail(protocol.HostExists)
	case errors.Is(err, store.ErrNotFound):
		return nil
	}
	return onHost.fail("look up host", err)
}

// updateHost changes what it is given and leaves the rest.
func (c *Commands) updateHost(ctx context.Context, in *call) error {
	if !in.truthy("host") {
		return protocol.Fail(protocol.NoHost)
	}
	h, err := c.store.HostByName(ctx, mogile.HostName(in.Arg("host")))
	if err != nil {
		return onHost.fail("look up host", err)
	}
	if err := in.applyTo(&h); err != nil {
		return err
	}
	if err := c.store.UpdateHost(ctx, h); err != nil {
		return onHost.fail("update host", err)
	}
	c.settle(ctx)
	in.answerHost(h)
	return nil
}

// answerHost has the pair host beside those of the peer: one client takes the
// command for failed without it, and none minds it.
func (in *call) answerHost(h mogile.Host) {
	in.out.Add("hostid", h.ID.String())
	in.out.Add("hostname", string(h.Name))
	in.out.Add("host", string(h.Name))
}

// either is an argument that has two names.
func (in *call) either(name, alias string) (value string, given bool) {
	if value, given = in.Lookup(name); given {
		return value, true
	}
	return in.Lookup(alias)
}

// applyTo puts the arguments that were given into a host. One without ID is new
// and needs an address and a port.
func (in *call) applyTo(h *mogile.Host) error {
	isNew := h.ID == 0
	if ip, given := in.either("ip", "hostip"); given || isNew {
		if ip == "" {
			return protocol.Fail(protocol.NoIP)
		}
		h.IP = ip
	}
	if port, given := in.either("port", "http_port"); given || isNew {
		if !protocol.Truthy(port) {
			return protocol.Fail(protocol.NoPort)
		}
		if err := parsePort(port, &h.Port); err != nil {
			return err
		}
	}
	if port, given := in.either("getport", "http_get_port"); given {
		if err := parsePort(port, &h.GetPort); err != nil {
			return err
		}
	}
	if altip, given := in.Lookup("altip"); given {
		h.AltIP = altip
	}
	if altmask, given := in.Lookup("altmask"); given {
		h.AltMask = altmask
	}
	if !in.truthy("status") {
		return nil
	}
	state, err := mogile.ParseHostState(in.Arg("status"))
	if err != nil {
		return protocol.Fail(protocol.UnknownState)
	}
	h.State = state
	return nil
}

// parsePort reads a port; one that is empty is none.
func parsePort(s string, port *uint16) error {
	if s == "" {
		*port = 0
		return nil
	}
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil {
		return protocol.Fail(protocol.BadParams)
	}
	*port = uint16(n)
	return nil
}

func (c *Commands) deleteHost(ctx context.Context, in *call) error {
	h, err := c.store.HostByName(ctx, mogile.HostName(in.Arg("host")))
	if errors.Is(err, store.ErrNotFound) {
		return protocol.Fail(protocol.UnknownHost)
	}
	if err != nil {
		return onHost.fail("look up host", err)
	}
	if err := c.store.DeleteHost(ctx, h.ID); err != nil {
		return onHost.fail("delete host", err)
	}
	c.settle(ctx)
	return nil
}
