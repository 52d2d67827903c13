package tracker

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"unicode/utf8"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/policy"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
	"github.com/mogilefs/caddy-mogilefs/tracker/topology"
)

// declareTries is how often a declaration is begun anew because somebody else, such as
// another tracker that starts with the same one, made an entry at the same instant.
const declareTries = 3

// defaultWeight is the read preference of a device that nobody has weighed
// (docs/spec/tracker-protocol.md §7.8).
const defaultWeight = 100

// Declaration is what should be there. Nothing that it does not name is touched.
type Declaration struct {
	Domains []DeclaredDomain
	Hosts   []DeclaredHost
	Devices []DeclaredDevice
}

// DeclaredDomain is a domain and classes of it.
type DeclaredDomain struct {
	Name    mogile.DomainName
	Classes []DeclaredClass
}

// DeclaredClass is a class; it may be the default class.
type DeclaredClass struct {
	Name        mogile.ClassName
	MinDevCount int
	// Policy is a replication policy; empty means MultipleHosts().
	Policy string
	Hash   mogile.HashType
}

// DeclaredHost is a storage node. An unknown one is entered as alive; the state of a
// known one is the operator's.
type DeclaredHost struct {
	Name          mogile.HostName
	IP            string
	Port, GetPort uint16
}

// DeclaredDevice is a device of a host. An unknown one is entered as alive; the state of
// a known one is the operator's.
type DeclaredDevice struct {
	DevID mogile.DevID
	Host  mogile.HostName
}

// Declare enters what is missing, changes what differs, and removes nothing. Doing it
// again does nothing. When it returns without an error the monitor has looked at what
// is there now.
//
// Order: domains, classes, hosts, devices, so that each finds what it belongs to. A
// crash between leaves a part of it, which the next start completes.
func (t *Tracker) Declare(ctx context.Context, d Declaration) error {
	if err := d.Validate(); err != nil {
		return fmt.Errorf("declare: %w", err)
	}
	for try := 1; ; try++ {
		err := t.declare(ctx, d)
		if err == nil {
			break
		}
		if !errors.Is(err, store.ErrDup) || try == declareTries {
			return fmt.Errorf("declare: %w", err)
		}
	}
	if err := t.jobs.Refresh(ctx); err != nil {
		return fmt.Errorf("declare: %w", err)
	}
	t.warnOfZones(d)
	t.declared.Store(&d)
	return nil
}

// HasDeclared reports whether d is what Declare has applied last.
func (t *Tracker) HasDeclared(d Declaration) bool {
	last := t.declared.Load()
	return last != nil && reflect.DeepEqual(*last, d)
}

// The widths of the columns that hold names (docs/spec/schema.md §1).
const (
	maxDomainName = 255
	maxClassName  = 50
	maxHostName   = 40
)

// checkName refuses a name that is empty or too long for its column.
func checkName(what, name string, most int) error {
	switch n := utf8.RuneCountInString(name); {
	case n == 0:
		return fmt.Errorf("a %s has no name", what)
	case n > most:
		return fmt.Errorf("%s %q: the name has %d characters; at most %d fit", what, name, n, most)
	}
	return nil
}

// Validate names the first entry that can't be, without asking any database.
func (d Declaration) Validate() error {
	for _, domain := range d.Domains {
		if err := checkName("domain", string(domain.Name), maxDomainName); err != nil {
			return err
		}
		for _, c := range domain.Classes {
			if err := c.validate(); err != nil {
				return fmt.Errorf("domain %q: %w", domain.Name, err)
			}
		}
	}
	for _, h := range d.Hosts {
		if err := checkName("host", string(h.Name), maxHostName); err != nil {
			return err
		}
		if h.IP == "" || h.Port == 0 {
			return fmt.Errorf("host %q at %q port %d: want an IP and a port", h.Name, h.IP, h.Port)
		}
	}
	for _, dev := range d.Devices {
		if dev.DevID == 0 || dev.Host == "" {
			return fmt.Errorf("device %d of host %q: want a devid from 1 and a host", dev.DevID, dev.Host)
		}
	}
	return nil
}

func (c DeclaredClass) validate() error {
	if err := checkName("class", string(c.Name), maxClassName); err != nil {
		return err
	}
	if c.MinDevCount < 1 || c.MinDevCount > maxMinDevCount {
		return fmt.Errorf("class %q: mindevcount is %d: want 1 to %d", c.Name, c.MinDevCount, maxMinDevCount)
	}
	if _, err := policy.Parse(c.Policy); err != nil {
		return fmt.Errorf("class %q: %w", c.Name, err)
	}
	return nil
}

// declare compares with what the database says now.
func (t *Tracker) declare(ctx context.Context, d Declaration) error {
	if err := t.declareDomains(ctx, d.Domains); err != nil {
		return err
	}
	snap := t.topology.Snapshot()
	for _, domain := range d.Domains {
		is, _ := snap.Domain(domain.Name)
		for _, c := range domain.Classes {
			if err := t.declareClass(ctx, is, c); err != nil {
				return fmt.Errorf("domain %q: class %q: %w", domain.Name, c.Name, err)
			}
		}
	}
	hosts := map[mogile.HostName]mogile.HostID{}
	for _, h := range d.Hosts {
		id, err := t.declareHost(ctx, snap, h)
		if err != nil {
			return fmt.Errorf("host %q at %s: %w", h.Name, h.IP, err)
		}
		hosts[h.Name] = id
	}
	for _, dev := range d.Devices {
		if err := t.declareDevice(ctx, snap, hosts, dev); err != nil {
			return fmt.Errorf("device %d: %w", dev.DevID, err)
		}
	}
	return nil
}

// declareDomains leaves a snapshot that has all of them.
func (t *Tracker) declareDomains(ctx context.Context, domains []DeclaredDomain) error {
	if err := t.topology.Reload(ctx); err != nil {
		return err
	}
	snap := t.topology.Snapshot()
	for _, d := range domains {
		if _, ok := snap.Domain(d.Name); ok {
			continue
		}
		if _, err := t.store.CreateDomain(ctx, d.Name); err != nil {
			return fmt.Errorf("domain %q: %w", d.Name, err)
		}
	}
	return t.topology.Reload(ctx)
}

// declareClass knows that the default class is there with or without a row.
func (t *Tracker) declareClass(ctx context.Context, domain topology.Domain, c DeclaredClass) error {
	is, ok := domain.Class(c.Name)
	want := mogile.Class{
		Domain: domain.ID, ID: is.ID, Name: c.Name, MinDevCount: c.MinDevCount, Policy: c.Policy, Hash: c.Hash,
	}
	if ok {
		if is.MinDevCount == want.MinDevCount && is.Hash == want.Hash && samePolicy(is.Policy, want.Policy) {
			return nil
		}
		err := t.store.UpdateClass(ctx, want)
		if !errors.Is(err, store.ErrNotFound) || is.ID != 0 {
			return err
		}
	}
	_, err := t.store.CreateClass(ctx, want)
	return err
}

// samePolicy compares what the texts mean. One that can't be read is like no other.
func samePolicy(a, b string) bool {
	p, err := policy.Parse(a)
	q, err2 := policy.Parse(b)
	return err == nil && err2 == nil && p.String() == q.String()
}

func (t *Tracker) declareHost(ctx context.Context, snap *topology.Snapshot, h DeclaredHost) (mogile.HostID, error) {
	is, ok := snap.HostByName(h.Name)
	if !ok {
		return t.store.CreateHost(ctx, mogile.Host{
			Name: h.Name, State: mogile.HostAlive, IP: h.IP, Port: h.Port, GetPort: h.GetPort,
		})
	}
	want := is
	want.IP, want.Port, want.GetPort = h.IP, h.Port, h.GetPort
	if want == is {
		return is.ID, nil
	}
	return is.ID, t.store.UpdateHost(ctx, want)
}

// declareDevice never moves a device: its number is in the paths and in the rows of all
// its files.
func (t *Tracker) declareDevice(ctx context.Context, snap *topology.Snapshot, hosts map[mogile.HostName]mogile.HostID, d DeclaredDevice) error {
	host, ok := hosts[d.Host]
	if !ok {
		known, ok := snap.HostByName(d.Host)
		if !ok {
			return fmt.Errorf("there is no host %q: declare it, or create it first", d.Host)
		}
		host = known.ID
	}
	is, ok := snap.Device(d.DevID)
	switch {
	case !ok:
		return t.store.CreateDevice(ctx, mogile.Device{
			ID: d.DevID, Host: host, State: mogile.DevAlive, Weight: defaultWeight,
		})
	case is.Host != host:
		return fmt.Errorf("it is declared for host %q and belongs to host %q: devids are never used twice, so give the directory a number that is free, or declare it for host %q",
			d.Host, is.On.Name, is.On.Name)
	}
	return nil
}
