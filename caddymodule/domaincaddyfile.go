package caddymodule

import (
	"strconv"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

func (dom *Domain) parseBlock(d *caddyfile.Dispenser) error {
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		if d.Val() != "class" {
			return d.Errf("unrecognized subdirective: %s", d.Val())
		}
		if !d.NextArg() {
			return d.ArgErr()
		}
		name := d.Val()
		if _, taken := dom.Classes[name]; taken {
			return d.Errf("class %s stands twice", name)
		}
		class := new(Class)
		if dom.Classes == nil {
			dom.Classes = map[string]*Class{}
		}
		dom.Classes[name] = class
		if err := class.parse(d); err != nil {
			return err
		}
	}
	return nil
}

func (c *Class) parse(d *caddyfile.Dispenser) error {
	if d.NextArg() {
		if err := c.parseMinDevCount(d, d.Val()); err != nil {
			return err
		}
	}
	if d.NextArg() {
		return d.ArgErr()
	}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		if err := c.parseWord(d); err != nil {
			return err
		}
	}
	return nil
}

func (c *Class) parseWord(d *caddyfile.Dispenser) error {
	switch d.Val() {
	case "mindevcount":
		var value string
		if err := oneArg(d, &value); err != nil {
			return err
		}
		return c.parseMinDevCount(d, value)
	case "replpolicy":
		return oneArg(d, &c.ReplPolicy)
	case "hashtype":
		return oneArg(d, &c.HashType)
	}
	return d.Errf("unrecognized subdirective: %s", d.Val())
}

func (c *Class) parseMinDevCount(d *caddyfile.Dispenser, value string) error {
	if c.MinDevCount != 0 {
		return d.Errf("mindevcount stands twice: %d and %s", c.MinDevCount, value)
	}
	n, err := strconv.Atoi(value)
	if err != nil || n < 1 {
		return d.Errf("mindevcount %s: want a number from 1 up", value)
	}
	c.MinDevCount = n
	return nil
}
