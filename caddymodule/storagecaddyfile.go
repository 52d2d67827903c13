package caddymodule

import (
	"strconv"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

func (n *StorageNode) parseBlock(d *caddyfile.Dispenser) error {
	var durable string
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		var err error
		switch d.Val() {
		case "root":
			err = oneArg(d, &n.Root)
		case "devices":
			err = n.parseDevices(d)
		case "address":
			err = oneArg(d, &n.Address)
		case "get_port":
			err = n.parseGetPort(d)
		case "allow_shutdown":
			err = oneFlag(d, &n.AllowShutdown)
		case "management":
			err = oneArg(d, &n.Management)
		case "register":
			err = n.parseRegister(d)
		case "min_free_space":
			err = oneSize(d, &n.MinFreeSpace)
		case "write_from":
			n.WriteFrom, err = someArgs(d, n.WriteFrom)
		case "read_from":
			n.ReadFrom, err = someArgs(d, n.ReadFrom)
		case "durable":
			var on bool
			on, err = onOff(d, &durable)
			n.Fast = !on
		default:
			err = d.Errf("unrecognized subdirective: %s", d.Val())
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// parseRegister reads
//
//	register [<address>... { <tls options> }]
func (n *StorageNode) parseRegister(d *caddyfile.Dispenser) error {
	switch {
	case n.Register || n.RegisterAt != nil:
		return d.Err("register stands twice: put all addresses into one line")
	case d.CountRemainingArgs() == 0:
		n.Register = true
		return nil
	}
	n.RegisterAt = new(RemoteTrackers)
	return n.RegisterAt.parse(d)
}

func (n *StorageNode) parseDevices(d *caddyfile.Dispenser) error {
	ids, err := someArgs(d, nil)
	if err != nil {
		return err
	}
	for _, id := range ids {
		dev, err := strconv.ParseUint(id, 10, 32)
		if err != nil || dev == 0 {
			return d.Errf("devices %s: want numbers from 1 up", id)
		}
		n.Devices = append(n.Devices, uint32(dev))
	}
	return nil
}

func (n *StorageNode) parseGetPort(d *caddyfile.Dispenser) error {
	if n.GetPort != 0 {
		return d.Err("get_port stands twice")
	}
	var word string
	if err := oneArg(d, &word); err != nil {
		return err
	}
	port, err := strconv.ParseUint(word, 10, 16)
	if err != nil || port == 0 {
		return d.Errf("get_port %s: want a port's number", word)
	}
	n.GetPort = uint16(port)
	return nil
}
