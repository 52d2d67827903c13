package topology

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
)

// Domain is a domain with its classes by number, the default class among them.
type Domain struct {
	ID      mogile.DomainID
	Name    mogile.DomainName
	Classes []mogile.Class
}

// Snapshot is the cluster at one moment. It is immutable; what it returns must
// not be changed either.
type Snapshot struct {
	domains []Domain
	byName  map[mogile.DomainName]int
	byID    map[mogile.DomainID]int

	hosts      []mogile.Host
	hostByID   map[mogile.HostID]int
	hostByName map[mogile.HostName]int
	networks   []Network // of the hosts

	devices  []Device
	deviceAt map[mogile.DevID]int

	settings map[string]string
	zones    networkZones
	local    netip.Addr // see [Config]
}

func newSnapshot(rows store.Rows, seen Observations, config Config) *Snapshot {
	s := &Snapshot{settings: rows.Settings, local: config.Local}
	s.addDomains(rows, config)
	s.addHosts(rows.Hosts)
	s.addNetworks(rows)
	s.addDevices(rows.Devices, seen, config)
	return s
}

func (s *Snapshot) addDomains(rows store.Rows, config Config) {
	classes := map[mogile.DomainID][]mogile.Class{}
	for _, c := range rows.Classes {
		classes[c.Domain] = append(classes[c.Domain], c)
	}
	s.byName = make(map[mogile.DomainName]int, len(rows.Domains))
	s.byID = make(map[mogile.DomainID]int, len(rows.Domains))
	for i, id := range slices.Sorted(maps.Keys(rows.Domains)) {
		d := Domain{ID: id, Name: rows.Domains[id], Classes: classes[id]}
		if !slices.ContainsFunc(d.Classes, func(c mogile.Class) bool { return c.ID == 0 }) {
			d.Classes = append(d.Classes, mogile.Class{
				Domain: id, Name: mogile.DefaultClass, MinDevCount: config.DefaultMinDevCount,
			})
		}
		slices.SortFunc(d.Classes, func(a, b mogile.Class) int { return cmp.Compare(a.ID, b.ID) })
		s.domains = append(s.domains, d)
		s.byName[d.Name], s.byID[id] = i, i
	}
}

func (s *Snapshot) addHosts(hosts []mogile.Host) {
	s.hosts = slices.SortedFunc(slices.Values(hosts), func(a, b mogile.Host) int { return cmp.Compare(a.ID, b.ID) })
	s.hostByID = make(map[mogile.HostID]int, len(hosts))
	s.hostByName = make(map[mogile.HostName]int, len(hosts))
	for i, h := range s.hosts {
		s.hostByID[h.ID], s.hostByName[h.Name] = i, i
	}
}

func (s *Snapshot) addDevices(rows []mogile.Device, seen Observations, config Config) {
	s.deviceAt = make(map[mogile.DevID]int, len(rows))
	rows = slices.SortedFunc(slices.Values(rows), func(a, b mogile.Device) int { return cmp.Compare(a.ID, b.ID) })
	for i, row := range rows {
		saved := row.AsOf
		// Sizes seen by this tracker are fresher than those another wrote.
		if u, ok := seen.Usage[row.ID]; ok && u.AsOf >= row.AsOf {
			row.MBTotal, row.MBUsed, row.AsOf = u.MBTotal, u.MBUsed, u.AsOf
		}
		host, _ := s.Host(row.Host) // a device without host row gets the zero host, which permits nothing
		d := Device{
			Device: row, On: host, HostReachable: seen.Hosts[row.Host], Seen: seen.Devices[row.ID],
			SavedAsOf: saved, minFreeMB: config.MinFreeMB,
		}
		if at, ok := s.hostByID[row.Host]; ok {
			d.Network = s.networks[at]
		}
		s.devices = append(s.devices, d)
		s.deviceAt[row.ID] = i
	}
}

// Domains lists all domains by number.
func (s *Snapshot) Domains() []Domain { return s.domains }

// Domain finds a domain by its exact name.
func (s *Snapshot) Domain(name mogile.DomainName) (Domain, bool) {
	i, ok := s.byName[name]
	if !ok {
		return Domain{}, false
	}
	return s.domains[i], true
}

// DomainByID finds a domain by its number.
func (s *Snapshot) DomainByID(id mogile.DomainID) (Domain, bool) {
	i, ok := s.byID[id]
	if !ok {
		return Domain{}, false
	}
	return s.domains[i], true
}

// Class finds a class by its exact name.
func (d Domain) Class(name mogile.ClassName) (mogile.Class, bool) {
	for _, c := range d.Classes {
		if c.Name == name {
			return c, true
		}
	}
	return mogile.Class{}, false
}

// ClassByID finds a class by its number.
func (d Domain) ClassByID(id mogile.ClassID) (mogile.Class, bool) {
	for _, c := range d.Classes {
		if c.ID == id {
			return c, true
		}
	}
	return mogile.Class{}, false
}

// ClassOf finds the class of a file; ok is false when its domain or class is gone.
func (s *Snapshot) ClassOf(f store.File) (mogile.Class, bool) {
	d, _ := s.DomainByID(f.Domain)
	return d.ClassByID(f.Class)
}

// Hosts lists all hosts by number.
func (s *Snapshot) Hosts() []mogile.Host { return s.hosts }

// Host finds a host by its number.
func (s *Snapshot) Host(id mogile.HostID) (mogile.Host, bool) {
	i, ok := s.hostByID[id]
	if !ok {
		return mogile.Host{}, false
	}
	return s.hosts[i], true
}

// HostByName finds a host by its exact name.
func (s *Snapshot) HostByName(name mogile.HostName) (mogile.Host, bool) {
	i, ok := s.hostByName[name]
	if !ok {
		return mogile.Host{}, false
	}
	return s.hosts[i], true
}

// Devices lists all devices by number.
func (s *Snapshot) Devices() []Device { return s.devices }

// Device finds a device by its number.
func (s *Snapshot) Device(id mogile.DevID) (Device, bool) {
	i, ok := s.deviceAt[id]
	if !ok {
		return Device{}, false
	}
	return s.devices[i], true
}

// Setting is a server setting, empty when it is unset.
func (s *Snapshot) Setting(field string) string { return s.settings[field] }
