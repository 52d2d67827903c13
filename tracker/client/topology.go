package client

import (
	"context"
	"fmt"
	"strconv"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/protocol"
)

// Domain is a domain with its classes, the default class among them. Its number, and
// theirs, are not told.
type Domain struct {
	Name    mogile.DomainName
	Classes []mogile.Class
}

// Domains lists all domains.
func (c *Client) Domains(ctx context.Context) ([]Domain, error) {
	values, err := c.Do(ctx, "get_domains", protocol.Pairs{})
	if err != nil {
		return nil, err
	}
	return ReadDomains(values)
}

// ReadDomains reads the answer to get_domains.
func ReadDomains(v protocol.Values) ([]Domain, error) {
	return list(v, "domains", "domain", parseDomain)
}

func parseDomain(v protocol.Values, prefix string) (Domain, error) {
	d := Domain{Name: mogile.DomainName(v[prefix])}
	if d.Name == "" {
		return d, fmt.Errorf("%s has no name", prefix)
	}
	var err error
	d.Classes, err = list(v, prefix+"classes", prefix+"class", parseClass)
	return d, err
}

func parseClass(v protocol.Values, prefix string) (mogile.Class, error) {
	cls := mogile.Class{
		Name:        mogile.ClassName(v[prefix+"name"]),
		MinDevCount: int(protocol.Num(v[prefix+"mindevcount"])),
		Policy:      v[prefix+"replpolicy"],
	}
	if cls.Name == "" {
		return cls, fmt.Errorf("%s has no name", prefix)
	}
	if hash, err := mogile.ParseHashType(v[prefix+"hashtype"]); err == nil {
		cls.Hash = hash // otherwise none: trackers before 2.60 do not tell
	}
	return cls, nil
}

// Hosts lists all hosts.
func (c *Client) Hosts(ctx context.Context) ([]mogile.Host, error) {
	values, err := c.Do(ctx, "get_hosts", protocol.Pairs{})
	if err != nil {
		return nil, err
	}
	return ReadHosts(values)
}

// ReadHosts reads the answer to get_hosts.
func ReadHosts(v protocol.Values) ([]mogile.Host, error) { return list(v, "hosts", "host", parseHost) }

func parseHost(v protocol.Values, prefix string) (mogile.Host, error) {
	get := func(field string) string { return v[prefix+"_"+field] }
	id, err := strconv.ParseUint(get("hostid"), 10, 32)
	if err != nil {
		return mogile.Host{}, fmt.Errorf("%s has the hostid %q", prefix, get("hostid"))
	}
	h := mogile.Host{
		ID: mogile.HostID(id), Name: mogile.HostName(get("hostname")), State: mogile.HostState(get("status")),
		IP: get("hostip"), AltIP: get("altip"), AltMask: get("altmask"),
	}
	if h.Port, err = port(get("http_port")); err != nil {
		return h, fmt.Errorf("%s: %w", prefix, err)
	}
	if h.GetPort, err = port(get("http_get_port")); err != nil {
		return h, fmt.Errorf("%s: %w", prefix, err)
	}
	return h, nil
}

// port reads a port that may be unset.
func port(s string) (uint16, error) {
	if s == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil {
		return 0, fmt.Errorf("port %q: want a number", s)
	}
	return uint16(n), nil
}

// Device is a device and what the tracker has seen of it.
type Device struct {
	mogile.Device
	// Observed is writeable, readable, unreachable, or empty when it was not looked at.
	Observed string
	// Utilization is how busy the disk is, in percent as its node says it; empty or -
	// when that is not known.
	Utilization string
}

// Devices lists all devices.
func (c *Client) Devices(ctx context.Context) ([]Device, error) {
	values, err := c.Do(ctx, "get_devices", protocol.Pairs{})
	if err != nil {
		return nil, err
	}
	return ReadDevices(values)
}

// ReadDevices reads the answer to get_devices.
func ReadDevices(v protocol.Values) ([]Device, error) { return list(v, "devices", "dev", parseDevice) }

func parseDevice(v protocol.Values, prefix string) (Device, error) {
	get := func(field string) string { return v[prefix+"_"+field] }
	id, err := mogile.ParseDevID(get("devid"))
	if err != nil {
		return Device{}, fmt.Errorf("%s: %w", prefix, err)
	}
	host, err := strconv.ParseUint(get("hostid"), 10, 32)
	if err != nil {
		return Device{}, fmt.Errorf("%s has the hostid %q", prefix, get("hostid"))
	}
	return Device{
		Device: mogile.Device{
			ID: id, Host: mogile.HostID(host), State: mogile.DevState(get("status")),
			Weight:  int(protocol.Num(get("weight"))),
			MBTotal: protocol.Num(get("mb_total")), MBUsed: protocol.Num(get("mb_used")), AsOf: protocol.Num(get("mb_asof")),
		},
		Observed: get("observed_state"), Utilization: get("utilization"),
	}, nil
}

// list reads what trackers number from 1 to the count that they tell.
func list[T any](v protocol.Values, count, prefix string, parse func(v protocol.Values, prefix string) (T, error)) ([]T, error) {
	n, err := number(v, count)
	if err != nil {
		return nil, err
	}
	var all []T
	for i := int64(1); i <= n; i++ { // ends at the first that is missing, however large n is
		one, err := parse(v, prefix+strconv.FormatInt(i, 10))
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, nil
}
