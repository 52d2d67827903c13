package storage

import (
	"net"
	"net/http"
	"net/netip"
	"slices"

	"go.uber.org/zap"

	"github.com/mogilefs/caddy-mogilefs/complaint"
)

// Peers is some of those who may connect. The zero value is nobody.
type Peers struct {
	Anybody bool
	// Cluster is this machine, and those that the fence's Known knows.
	Cluster bool
	Ranges  []netip.Prefix
}

// Fence is who may do what with a node over HTTP. It has no users: all that is known of a
// client is the address at the other end of its connection. What a proxy in between says of
// its own clients does not count.
type Fence struct {
	// Read is for GET, HEAD and all that changes nothing, Write for PUT, DELETE and MKCOL.
	Read, Write Peers
	// Known tells hosts of the cluster from strangers; nil knows none.
	Known func(netip.Addr) bool
	// Log is told of who is refused, now and then; nil logs nothing.
	Log *zap.Logger

	complaint complaint.Complaint
}

// Admits reports whether a request may go on to the node. One that may not is answered.
func (f *Fence) Admits(w http.ResponseWriter, r *http.Request) bool {
	peers, word := &f.Read, "read_from"
	switch r.Method {
	case http.MethodPut, http.MethodDelete, "MKCOL":
		peers, word = &f.Write, "write_from"
	}
	if peers.Anybody || f.has(peers, r) {
		return true
	}
	f.complaint.Warn(f.Log, "refused a stranger to the storage node",
		zap.String("client", r.RemoteAddr), zap.String("method", r.Method), zap.String("path", r.URL.Path),
		zap.String("way out", "when it is one of yours, add its address, or its network, to the storage node's "+word))
	refuseUnread(w, r)
	refuse(w, http.StatusForbidden, "Not from this address")
	return false
}

func (f *Fence) has(peers *Peers, r *http.Request) bool {
	local, _ := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if _, ok := local.(*net.UnixAddr); ok {
		return peers.Cluster // whoever opened the socket is on this machine
	}
	addr := addrOf(r.RemoteAddr)
	if !addr.IsValid() {
		return false
	}
	if peers.Cluster {
		own := local != nil && addr == addrOf(local.String())
		if own || addr.IsLoopback() || f.Known != nil && f.Known(addr) {
			return true
		}
	}
	return slices.ContainsFunc(peers.Ranges, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// addrOf is the address of an address with its port; the zero value when there is none.
func addrOf(text string) netip.Addr {
	parsed, err := netip.ParseAddrPort(text)
	if err != nil {
		return netip.Addr{}
	}
	return parsed.Addr().Unmap().WithZone("") // no range has a zone
}
