package tracker

import (
	"net/netip"

	"github.com/mogilefs/caddy-mogilefs/mogile"
)

// KnowsHost reports whether an address is that of a host which is not given up. It asks the
// snapshot, not the database.
func (t *Tracker) KnowsHost(addr netip.Addr) bool {
	for _, h := range t.topology.Snapshot().Hosts() {
		if h.State != mogile.HostDead && (isAddr(h.IP, addr) || isAddr(h.AltIP, addr)) {
			return true
		}
	}
	return false
}

func isAddr(text string, addr netip.Addr) bool {
	parsed, err := netip.ParseAddr(text)
	return err == nil && parsed.Unmap() == addr
}
