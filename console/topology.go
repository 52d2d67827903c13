package console

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strconv"

	"golang.org/x/sync/errgroup"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/client"
	"github.com/mogilefs/caddy-mogilefs/tracker/protocol"
)

// Topology is hosts with their devices, and domains with their classes.
type Topology struct {
	Hosts   []Host   `json:"hosts"`
	Domains []Domain `json:"domains"`
}

// Host is a storage node.
type Host struct {
	ID      mogile.HostID    `json:"hostid"`
	Name    mogile.HostName  `json:"hostname"`
	Status  mogile.HostState `json:"status"`
	IP      string           `json:"hostip"`
	Port    uint16           `json:"http_port"`
	GetPort uint16           `json:"http_get_port,omitempty"`
	AltIP   string           `json:"altip,omitempty"`
	AltMask string           `json:"altmask,omitempty"`
	// Reachable is null where nobody has looked, or the tracker does not tell.
	Reachable *bool    `json:"reachable"`
	Devices   []Device `json:"devices"`
}

// Device is a disk.
type Device struct {
	ID     mogile.DevID    `json:"devid"`
	Status mogile.DevState `json:"status"`
	// Observed is writeable, readable, unreachable, or empty when it was not looked at.
	Observed string `json:"observed_state"`
	Weight   int    `json:"weight"`
	// The sizes are MiB; MBTotal is 0 until the device was measured. AsOf is when that
	// was, in unix time.
	MBTotal int64 `json:"mb_total"`
	MBUsed  int64 `json:"mb_used"`
	MBFree  int64 `json:"mb_free"`
	AsOf    int64 `json:"mb_asof"`
	// Fill is the used part, from 0 to 1.
	Fill float64 `json:"fill"`
	// Utilization is how busy the disk is, in percent; null when that is not known.
	Utilization *float64 `json:"utilization"`
}

// Domain is a namespace of keys.
type Domain struct {
	Name    mogile.DomainName `json:"domain"`
	Classes []Class           `json:"classes"`
}

// Class is a class of a domain.
type Class struct {
	Name        mogile.ClassName `json:"class"`
	MinDevCount int              `json:"mindevcount"`
	Policy      string           `json:"replpolicy"`
	Hash        string           `json:"hashtype"`
}

// Topology asks for hosts, devices, domains and classes.
func (c *Console) Topology(ctx context.Context) (Topology, error) {
	var hosts []mogile.Host
	var devices []client.Device
	var domains []client.Domain
	group, groupCtx := errgroup.WithContext(ctx)
	for _, ask := range []func() error{
		func() (err error) { hosts, err = read(groupCtx, c, "get_hosts", client.ReadHosts); return err },
		func() (err error) { devices, err = read(groupCtx, c, "get_devices", client.ReadDevices); return err },
		func() (err error) { domains, err = read(groupCtx, c, "get_domains", client.ReadDomains); return err },
	} {
		group.Go(ask)
	}
	if err := group.Wait(); err != nil {
		return Topology{}, err
	}
	var reachable map[mogile.HostID]bool
	if c.config.Here != nil {
		var err error
		if reachable, err = c.config.Here.HostsReachable(ctx); err != nil {
			return Topology{}, asError(err)
		}
	}
	return joined(hosts, devices, domains, reachable), nil
}

func read[T any](ctx context.Context, c *Console, command string, parse func(protocol.Values) ([]T, error)) ([]T, error) {
	values, err := c.do(ctx, command)
	if err != nil {
		return nil, err
	}
	all, err := parse(values)
	if err != nil {
		return nil, refuse(http.StatusBadGateway, "%s: the tracker's answer makes no sense: %w", command, err)
	}
	return all, nil
}

func joined(hosts []mogile.Host, devices []client.Device, domains []client.Domain, reachable map[mogile.HostID]bool) Topology {
	t := Topology{Hosts: []Host{}, Domains: []Domain{}}
	for _, h := range hosts {
		one := Host{
			ID: h.ID, Name: h.Name, Status: h.State, IP: h.IP, Port: h.Port, GetPort: h.GetPort, AltIP: h.AltIP, AltMask: h.AltMask,
			Devices: []Device{},
		}
		if up, looked := reachable[h.ID]; looked {
			one.Reachable = &up
		}
		for _, d := range devices {
			if d.Host == h.ID {
				one.Devices = append(one.Devices, shown(d, one.Reachable))
			}
		}
		slices.SortFunc(one.Devices, func(a, b Device) int { return cmp.Compare(a.ID, b.ID) })
		t.Hosts = append(t.Hosts, one)
	}
	slices.SortFunc(t.Hosts, func(a, b Host) int { return cmp.Compare(a.ID, b.ID) })
	for _, d := range domains {
		one := Domain{Name: d.Name, Classes: []Class{}}
		for _, cls := range d.Classes {
			one.Classes = append(one.Classes, Class{cls.Name, cls.MinDevCount, cls.Policy, cls.Hash.String()})
		}
		t.Domains = append(t.Domains, one)
	}
	return t
}

// shown is a device; on a host that does not answer it is unreachable, whatever was seen of
// it before.
func shown(d client.Device, reachable *bool) Device {
	one := Device{
		ID: d.ID, Status: d.State, Observed: d.Observed, Weight: d.Weight,
		MBTotal: d.MBTotal, MBUsed: d.MBUsed, AsOf: d.AsOf,
	}
	if free, known := d.MBFree(); known {
		one.MBFree, one.Fill = free, 1-d.FreeShare()
	}
	if reachable != nil && !*reachable && d.State.Monitored() && one.Observed != "" {
		one.Observed = unreachable
	}
	if busy, err := strconv.ParseFloat(d.Utilization, 64); err == nil {
		one.Utilization = &busy
	}
	return one
}

// The observed states.
const (
	writeable   = "writeable"
	readable    = "readable"
	unreachable = "unreachable"
)

// at finds a device with its host.
func (t Topology) at(dev mogile.DevID) (Host, Device, bool) {
	for _, h := range t.Hosts {
		for _, d := range h.Devices {
			if d.ID == dev {
				return h, d, true
			}
		}
	}
	return Host{}, Device{}, false
}

// class finds a class by its names.
func (t Topology) class(domain mogile.DomainName, name mogile.ClassName) (Class, bool) {
	for _, d := range t.Domains {
		for _, c := range d.Classes {
			if d.Name == domain && c.Name == name {
				return c, true
			}
		}
	}
	return Class{}, false
}
