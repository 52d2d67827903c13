package client

import (
	"context"
	"fmt"
	"strconv"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/protocol"
)

// Entry is a storage node that a tracker should know.
type Entry struct {
	Host mogile.HostName
	IP   string
	Port uint16
	// GetPort is where reads go; 0 means to Port.
	GetPort uint16
	Devices []mogile.DevID
}

// Entered is what Enter did and found.
type Entered struct {
	// Host says that the host was entered; Devices are the devices that were.
	Host    bool
	Devices []mogile.DevID
	// Differs tells what the tracker knows otherwise, and has been left so.
	Differs []string
}

// Enter makes a tracker know a host and its devices, as alive. It enters what is
// missing and changes nothing: what is known is the operator's. Doing it again does
// nothing, so after an error it can just be repeated.
//
// Order: the host, then its devices one by one. A crash between leaves some of them
// missing, which the next Enter completes.
func (c *Client) Enter(ctx context.Context, e Entry) (Entered, error) {
	var done Entered
	host, err := c.enterHost(ctx, e, &done)
	if err != nil {
		return done, fmt.Errorf("enter host %s: %w", e.Host, err)
	}
	known, err := c.Devices(ctx)
	if err != nil {
		return done, fmt.Errorf("look which devices are known: %w", err)
	}
	on := map[mogile.DevID]mogile.HostID{}
	for _, d := range known {
		on[d.ID] = d.Host
	}
	for _, dev := range e.Devices {
		switch at, ok := on[dev]; {
		case !ok:
			if err := c.createDevice(ctx, dev, host); err != nil {
				return done, fmt.Errorf("enter device %d: %w", dev, err)
			}
			done.Devices = append(done.Devices, dev)
		case at != host:
			done.Differs = append(done.Differs, fmt.Sprintf("device %d belongs to another host, with hostid %d, and devids are never used twice", dev, at))
		}
	}
	return done, nil
}

// enterHost returns the number of the host.
func (c *Client) enterHost(ctx context.Context, e Entry, done *Entered) (mogile.HostID, error) {
	hosts, err := c.Hosts(ctx)
	if err != nil {
		return 0, err
	}
	for _, h := range hosts {
		if h.Name != e.Host {
			continue
		}
		if h.IP != e.IP || h.Port != e.Port {
			done.Differs = append(done.Differs, fmt.Sprintf("host %s is known at %s, not at %s",
				h.Name, mogile.HostAddr(h.IP, h.Port), mogile.HostAddr(e.IP, e.Port)))
		}
		if e.GetPort != 0 && h.GetPort != e.GetPort {
			done.Differs = append(done.Differs, fmt.Sprintf("host %s is known with the get port %d, not %d: 0 is none", h.Name, h.GetPort, e.GetPort))
		}
		return h.ID, nil
	}
	var args protocol.Pairs
	args.Add("host", string(e.Host))
	args.Add("ip", e.IP)
	args.AddInt("port", int64(e.Port))
	if e.GetPort != 0 {
		args.AddInt("getport", int64(e.GetPort))
	}
	args.Add("status", string(mogile.HostAlive))
	values, err := c.Do(ctx, "create_host", args)
	if err != nil {
		return 0, err
	}
	done.Host = true
	id, err := strconv.ParseUint(values["hostid"], 10, 32)
	if err != nil {
		return 0, fmt.Errorf("the tracker gave it the hostid %q", values["hostid"])
	}
	return mogile.HostID(id), nil
}

func (c *Client) createDevice(ctx context.Context, dev mogile.DevID, host mogile.HostID) error {
	var args protocol.Pairs
	args.Add("devid", dev.String())
	args.Add("hostid", host.String())
	args.Add("state", string(mogile.DevAlive))
	_, err := c.Do(ctx, "create_device", args)
	return err
}
