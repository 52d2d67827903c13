package topology

import (
	"net"
	"net/netip"
	"strconv"
	"strings"

	"github.com/mogilefs/caddy-mogilefs/mogile"
)

// Zone says which of a host's two addresses a request is to be told
// (docs/spec/tracker-protocol.md §5.3). The zero Zone means the main address.
type Zone struct {
	// Alt asks for the alternative address.
	Alt bool
	// Peer is who asks; a peer inside a host's AltMask gets the alternative.
	Peer netip.Addr
}

func (z Zone) address(h mogile.Host) string {
	if h.AltIP == "" || (!z.Alt && !z.Peer.IsValid()) {
		return h.IP
	}
	mask, ok := parseNetmask(h.AltMask)
	if ok && (z.Alt || mask.Contains(z.Peer.Unmap())) {
		return h.AltIP
	}
	return h.IP
}

// ValidNetmask reports whether s is a netmask in a notation that a host's AltMask
// and a network zone may have.
func ValidNetmask(s string) bool {
	_, ok := parseNetmask(s)
	return ok
}

// parseNetmask reads the notations that operators have in host.altmask:
// 10.0.0.0/8, 10.0.0.0:255.0.0.0, short forms such as 10.0.0, and fd00::/8.
func parseNetmask(s string) (netip.Prefix, bool) {
	if p, err := netip.ParsePrefix(s); err == nil && p.Addr().Is6() {
		return p.Masked(), true
	}
	addr, bits, found := strings.Cut(s, "/")
	if base, mask, ok := strings.Cut(s, ":"); ok && !found {
		ip := net.ParseIP(mask).To4()
		if ip == nil {
			return netip.Prefix{}, false
		}
		ones, size := net.IPMask(ip).Size()
		if size == 0 { // not a run of ones
			return netip.Prefix{}, false
		}
		addr, bits = base, strconv.Itoa(ones)
	}
	octets := strings.Count(addr, ".") + 1
	if octets > 4 {
		return netip.Prefix{}, false
	}
	if bits == "" {
		bits = strconv.Itoa(8 * octets)
	}
	addr += strings.Repeat(".0", 4-octets)
	p, err := netip.ParsePrefix(addr + "/" + bits)
	return p.Masked(), err == nil
}
