package topology

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/mogilefs/caddy-mogilefs/tracker/store"
)

// Network is where an address lies, as the settings network_zones and zone_<name> divide
// the addresses (docs/spec/jobs.md §6.1).
type Network struct {
	// Zone is the operator's name for it; empty when no zone has the address.
	Zone string
	// Name tells networks apart also where no zone is named: it is the zone's name, or
	// that of the network that is usual for an address.
	Name string
}

// Without zones, addresses in the same network of so many bits are close together: what
// the peer takes for IPv4, and what one site is given for IPv6.
const (
	usualBits4 = 16
	usualBits6 = 48
)

// networkZones is the zones of a cluster, the longest netmask first.
type networkZones []networkZone

type networkZone struct {
	name string
	mask netip.Prefix
}

// isListSeparator: the settings are lists that people write.
func isListSeparator(r rune) bool { return r == ',' || r == ' ' || r == '\t' || r == '\n' || r == '\r' }

// readZones skips what is no netmask, which only somebody who wrote into the database can
// have put there. Of two zones with the same netmask the one named first has it.
func readZones(settings map[string]string) networkZones {
	var zones networkZones
	for _, name := range strings.FieldsFunc(settings["network_zones"], isListSeparator) {
		for _, s := range strings.FieldsFunc(settings["zone_"+name], isListSeparator) {
			if mask, ok := parseNetmask(s); ok {
				zones = append(zones, networkZone{name, mask})
			}
		}
	}
	slices.SortStableFunc(zones, func(a, b networkZone) int { return b.mask.Bits() - a.mask.Bits() })
	return zones
}

func (z networkZones) of(addr netip.Addr) Network {
	addr = addr.Unmap()
	for _, zone := range z {
		if zone.mask.Contains(addr) {
			return Network{Zone: zone.name, Name: zone.name}
		}
	}
	bits := usualBits4
	if addr.Is6() {
		bits = usualBits6
	}
	if usual, err := addr.Prefix(bits); err == nil {
		return Network{Name: usual.String()}
	}
	return Network{}
}

// addNetworks is done once for each snapshot, so that asking costs nothing.
func (s *Snapshot) addNetworks(rows store.Rows) {
	s.zones = readZones(rows.Settings)
	s.networks = make([]Network, len(s.hosts))
	for i, h := range s.hosts {
		addr, err := netip.ParseAddr(h.IP)
		if s.networks[i] = s.zones.of(addr); err != nil {
			s.networks[i].Name = h.IP // by name: nobody can tell how close it is to others
		}
	}
}

// NetworkOf is where an address lies.
func (s *Snapshot) NetworkOf(addr netip.Addr) Network { return s.zones.of(addr) }

// HasZone reports whether network_zones names the zone and zone_<name> has a netmask.
func (s *Snapshot) HasZone(name string) bool {
	return slices.ContainsFunc(s.zones, func(z networkZone) bool { return z.name == name })
}

// Zones are the names of such zones, sorted.
func (s *Snapshot) Zones() []string {
	var names []string
	for _, z := range s.zones {
		names = append(names, z.name)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Near splits devices, in their order, into those in the zone of peer and the others.
// Without a peer it is the tracker itself that asks. Who is in no zone has none near, nor
// has anybody where the operator did not say that zones make a difference.
func (s *Snapshot) Near(peer netip.Addr, devs []Device) (near, far []Device) {
	if !s.local.IsValid() {
		return nil, devs
	}
	if !peer.IsValid() {
		peer = s.local
	}
	zone := s.zones.of(peer).Zone
	if zone == "" {
		return nil, devs
	}
	for _, d := range devs {
		if d.Network.Zone == zone {
			near = append(near, d)
		} else {
			far = append(far, d)
		}
	}
	return near, far
}
