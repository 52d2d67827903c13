package tracker

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
)

// defaultConnections is far more than the clients of a large site have; an idle one
// costs a few KiB.
const defaultConnections = 16 << 10

// Access is who may talk to a tracker, how many may at once, and who may do what. The
// protocol has no users: all that is known of a client is its address. The zero value
// lets this machine in and nobody else.
type Access struct {
	// Allow is who may connect; nil means this machine. Those of AdminAllow may too.
	Allow []netip.Prefix
	// AdminAllow is the operators: they may change the cluster, its settings and its
	// work, and give the commands that begin with a !. nil means this machine.
	AdminAllow []netip.Prefix
	// MaxConnections is how many clients may be connected at once; 0 means 16384.
	// There are never more than [FittingConnections].
	MaxConnections int
	// MaxPerClient is how many of them may have the same address; 0 means any number,
	// as a proxy or the processes of one machine share theirs.
	MaxPerClient int
	// Shutdown ends the whole process, gracefully and after it has returned. Optional;
	// nil means that operators can't.
	Shutdown func(reason string)
}

// Validate names the first field that can't be, and what it can.
func (a Access) Validate() error {
	for _, list := range []struct {
		name     string
		prefixes []netip.Prefix
	}{{"allow", a.Allow}, {"admin_allow", a.AdminAllow}} {
		for _, p := range list.prefixes {
			if !p.IsValid() || p.Addr().Is4In6() {
				return fmt.Errorf("%s: %s is no range of addresses: want one such as 10.0.0.0/8 or fd00::/8", list.name, p)
			}
		}
	}
	switch {
	case a.MaxConnections < 0:
		return fmt.Errorf("max_connections is %d: want 1 or more, or 0 for the default", a.MaxConnections)
	case a.MaxPerClient < 0:
		return fmt.Errorf("max_connections_per_client is %d: want 1 or more, or 0 for any number", a.MaxPerClient)
	}
	return nil
}

// unbounded is more descriptors than any process has use for.
const unbounded = 1 << 30

// FittingConnections is how many clients the process has descriptors for. A quarter of
// them is left to storage nodes, the database and whatever else the process does.
func FittingConnections() int { return int(min(descriptors(), unbounded) / 4 * 3) }

// maxConnections is at most what fits.
func (a *Access) maxConnections(fit int) int {
	n := a.MaxConnections
	if n == 0 {
		n = defaultConnections
	}
	return min(n, fit)
}

// admits reports whether a client may be connected.
func (a *Access) admits(peer netip.Addr) bool {
	return contains(a.Allow, peer) || a.administers(peer)
}

// administers reports whether a client is an operator.
func (a *Access) administers(peer netip.Addr) bool { return contains(a.AdminAllow, peer) }

func contains(ranges []netip.Prefix, peer netip.Addr) bool {
	if ranges == nil {
		return peer.IsLoopback()
	}
	return slices.ContainsFunc(ranges, func(p netip.Prefix) bool { return p.Contains(peer) })
}

// peerOf is the client's address. One on a Unix socket is on this machine, and so has
// that of the loopback; one of which no address is known is nobody that may do anything.
func peerOf(conn net.Conn) netip.Addr {
	switch addr := conn.RemoteAddr().(type) {
	case *net.TCPAddr:
		return addr.AddrPort().Addr().Unmap().WithZone("") // no range has a zone
	case *net.UnixAddr:
		return netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	return netip.Addr{}
}
