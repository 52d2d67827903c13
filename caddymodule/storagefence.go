package caddymodule

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/storage"
	"github.com/mogilefs/caddy-mogilefs/tracker/client"
)

// StorageAccess is who may use a storage node over HTTP. It has no users: all that is known
// of a client is the address at the other end of its connection, which is a proxy's when
// there is one.
type StorageAccess struct {
	// Who may store and delete: addresses and ranges such as `10.0.0.0/8`,
	// `private_ranges`, and `cluster`, which is this machine and the hosts that the
	// tracker of this process, or those of `register_at`, know, with those trackers
	// themselves. Placeholders such as `{env.CLIENTS}` are replaced when the config is
	// loaded. Default: `cluster`. Clients and edges of other machines that upload to
	// the node directly must be named.
	WriteFrom []string `json:"write_from,omitempty"`

	// Who may read, written as in `write_from`. Default: everybody.
	ReadFrom []string `json:"read_from,omitempty"`
}

// clusterWord stands for the machines that are known to belong to us.
const clusterWord = "cluster"

// fence is what the handlers of the node's sites ask.
func (a StorageAccess) fence(known func(netip.Addr) bool, log *zap.Logger) (*storage.Fence, error) {
	f := &storage.Fence{
		Read: storage.Peers{Anybody: true}, Write: storage.Peers{Cluster: true},
		Known: known, Log: log,
	}
	for _, side := range []struct {
		name  string
		words []string
		to    *storage.Peers
	}{{"read_from", a.ReadFrom, &f.Read}, {"write_from", a.WriteFrom, &f.Write}} {
		if side.words == nil {
			continue
		}
		var err error
		if *side.to, err = parsePeers(side.words); err != nil {
			return nil, fmt.Errorf("%s: %w", side.name, err)
		}
	}
	return f, nil
}

func parsePeers(words []string) (storage.Peers, error) {
	var p storage.Peers
	ranges := slices.Clone(words)
	if ranges = slices.DeleteFunc(ranges, func(w string) bool { return w == clusterWord }); len(ranges) < len(words) {
		p.Cluster = true
	}
	var err error
	p.Ranges, err = parseRanges(ranges)
	return p, err
}

// fenced gives the node its fence. tracker is that of this process, or nil.
func (n *StorageNode) fenced(t *Tracker, log *zap.Logger) error {
	var err error
	n.fence, err = n.StorageAccess.fence(func(addr netip.Addr) bool { return n.knows(t, addr) }, log)
	return err
}

// knows reports whether an address is that of a host of the cluster, as far as the trackers
// have told.
func (n *StorageNode) knows(t *Tracker, addr netip.Addr) bool {
	if addr == n.address.Addr().Unmap() || n.remote != nil && n.remote.hosts.has(addr) {
		return true
	}
	if t == nil {
		return false
	}
	select {
	case <-t.shared.ready:
		return t.shared.value.KnowsHost(addr)
	default:
		return false
	}
}

// knownHosts is what remote trackers have told of a cluster's hosts. It lies in the pool, so
// that nobody is a stranger after a reload until they have been asked again.
type knownHosts struct {
	addrs atomic.Pointer[[]netip.Addr]
}

// Destruct has nothing to close.
func (k *knownHosts) Destruct() error { return nil }

func (k *knownHosts) has(addr netip.Addr) bool {
	addrs := k.addrs.Load()
	return addrs != nil && slices.Contains(*addrs, addr)
}

// hostsEvery is how often remote trackers are asked for the hosts of their cluster: a new
// node may have to wait that long before it can write to this one.
const hostsEvery = 15 * time.Second

// keepHosts asks until ctx ends. While nobody answers, what was told before holds.
func (g *registration) keepHosts(ctx context.Context, c *client.Client, log *zap.Logger) {
	pause, complained := firstRegisterPause, false
	for {
		hosts, err := c.Hosts(ctx)
		switch {
		case err == nil:
			addrs := append(hostAddrs(hosts), trackerAddrs(ctx, g.config.Addresses)...)
			g.hosts.addrs.Store(&addrs)
			pause, complained = hostsEvery, false
		case ctx.Err() == nil && !complained:
			log.Warn("the trackers don't tell the hosts of the cluster: those that they told before may write, and this machine", zap.Error(err))
			complained = true
			pause = firstRegisterPause
		default:
			pause = min(2*pause, hostsEvery)
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return
		}
	}
}

// hostAddrs are those of all hosts that are not given up.
func hostAddrs(hosts []mogile.Host) (addrs []netip.Addr) {
	for _, h := range hosts {
		if h.State == mogile.HostDead {
			continue
		}
		for _, text := range []string{h.IP, h.AltIP} {
			if addr, err := netip.ParseAddr(text); err == nil {
				addrs = append(addrs, addr.Unmap())
			}
		}
	}
	return addrs
}

// trackerAddrs are those of trackers, which write to nodes although they need not be hosts.
// One whose name can't be resolved now is left out.
func trackerAddrs(ctx context.Context, trackers []string) (addrs []netip.Addr) {
	for _, t := range trackers {
		host := strings.TrimPrefix(t, tlsPrefix)
		if h, _, err := net.SplitHostPort(host); err == nil {
			host = h
		}
		found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", strings.Trim(host, "[]"))
		if err != nil {
			continue
		}
		for _, addr := range found {
			addrs = append(addrs, addr.Unmap())
		}
	}
	return addrs
}
