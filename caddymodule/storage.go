package caddymodule

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/mogilefs/caddy-mogilefs/caddymodule/metrics"
	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/storage"
	"github.com/mogilefs/caddy-mogilefs/tally"
	"github.com/mogilefs/caddy-mogilefs/tracker"
)

const (
	defaultNodeAddress    = "127.0.0.1:7500"
	defaultManagement     = "127.0.0.1:7501"
	defaultManagementPort = 7501
	managementOff         = "off"
)

// StorageNode configures a storage node: devices of this machine that hold files.
// Its HTTP side is served where a site has the handler `mogilefs_storage`.
type StorageNode struct {
	// The directory that holds the device directories `dev<N>`. A relative path
	// begins at the working directory.
	Root string `json:"root,omitempty"`

	// Devices to create when they are absent. Without it, the node serves the
	// device directories that are there, and creates none.
	Devices []uint32 `json:"devices,omitempty"`

	// Where trackers, other nodes and edges reach the node: an IP address and
	// the port of the site that serves it. Default: `127.0.0.1:7500`.
	Address string `json:"address,omitempty"`

	// The port of a site, at the same IP address, that trackers and edges shall read
	// from: one whose handler allows GET only, or that has more threads, another log.
	// Default: that of `address`.
	GetPort uint16 `json:"get_port,omitempty"`

	// Where the side channel listens, which trackers ask for sizes, checksums and
	// the devices' utilisation; `off` for none. Default: `127.0.0.1:7501`.
	Management string `json:"management,omitempty"`

	// Whether the line `shutdown` on the side channel ends this process, with everything
	// else that it serves. Default: the line is unknown.
	AllowShutdown bool `json:"allow_shutdown,omitempty"`

	// Enter the host and its devices in the tracker of this process when it does
	// not know them.
	Register bool `json:"register,omitempty"`

	// Enter the host and its devices in these trackers when they do not know them.
	// What they know is left as it is. It is done in the background and tried again
	// until it is done; the node serves meanwhile. `address` must be given.
	RegisterAt *RemoteTrackers `json:"register_at,omitempty"`

	// Answer an upload before its bytes are on stable storage. Faster, and a
	// power failure may then lose files that were acknowledged. Default: off.
	Fast bool `json:"fast,omitempty"`

	// How many bytes an upload must leave available on its device. One that would
	// leave less is refused with 507, and trackers then send new files elsewhere.
	// Default: none.
	MinFreeSpace int64 `json:"min_free_space,omitempty"`

	StorageAccess

	config  storage.Config
	address netip.AddrPort
	// getAddress is the address with GetPort, as URLs have it; empty for none.
	getAddress string
	// defaultAddress says that the config gives none.
	defaultAddress bool
	tally          *tally.Storage
	remote         *registration // nil for none
	fence          *storage.Fence
	key            string // tells this node from one with other settings
	shared         *shared[*storage.Node]
}

func (n *StorageNode) provision(ctx caddy.Context, name string, r *refs, to *metrics.Tallies) error {
	if n == nil || n.Root == "" { // nil is JSON's null
		return errors.New("root is missing: name the directory that holds dev<N>")
	}
	n.tally = &to.Storage
	if n.defaultAddress = n.Address == ""; n.defaultAddress {
		n.Address = defaultNodeAddress
	}
	if n.Management == "" {
		n.Management = defaultManagement
	}
	var err error
	if n.address, err = netip.ParseAddrPort(n.Address); err != nil || n.address.Addr().IsUnspecified() || n.address.Port() == 0 {
		return fmt.Errorf("address %s: want the IP address and the port at which others reach the node, as in %s", n.Address, defaultNodeAddress)
	}
	if n.GetPort == n.address.Port() {
		return fmt.Errorf("get_port %d is the port of address already: leave it out", n.GetPort)
	}
	if n.GetPort != 0 {
		n.getAddress = netip.AddrPortFrom(n.address.Addr(), n.GetPort).String()
	}
	if n.Management != managementOff {
		if _, err := parseListen(n.Management, defaultManagementPort); err != nil {
			return fmt.Errorf("management %s: %w", n.Management, err)
		}
	}
	if n.config, err = n.nodeConfig(); err != nil {
		return err
	}
	if n.remote, err = n.registration(ctx, name, r); err != nil {
		return err
	}
	key, err := json.Marshal([]any{name, n.config.Root, n.Devices, n.Fast, n.MinFreeSpace, n.AllowShutdown})
	if err != nil {
		return err
	}
	n.key = string(key)
	n.shared, err = load(r, poolKey{"storage node", n.key}, func() (*shared[*storage.Node], error) {
		return newShared(n.build), nil
	})
	return err
}

// conflict says why the node can't be beside those that own what is taken.
func (n *StorageNode) conflict(name string, tracker bool, taken owners) error {
	who := "storage " + name
	switch {
	case name == "":
		return errors.New("a storage node has no name: give it that of its host in the tracker")
	case n.Register && !tracker:
		return fmt.Errorf("%s: register needs a tracker in this process: add a tracker block, or name remote ones: register <address>", who)
	}
	things := []string{"root " + n.config.Root, "address " + n.address.String()}
	for _, dev := range n.config.Devices {
		things = append(things, "device "+dev.String())
	}
	for _, thing := range things {
		if err := taken.take(who, thing); err != nil {
			return err
		}
	}
	if n.Management == managementOff {
		return nil
	}
	return taken.port(who, n.Management, defaultManagementPort)
}

func (n *StorageNode) nodeConfig() (storage.Config, error) {
	root, err := caddy.NewReplacer().ReplaceOrErr(n.Root, true, true)
	if err != nil {
		return storage.Config{}, fmt.Errorf("root: %w", err)
	}
	if root, err = caddy.FastAbs(root); err != nil {
		return storage.Config{}, fmt.Errorf("root %s: %w", n.Root, err)
	}
	config := storage.Config{Root: root, Fast: n.Fast, MinFreeSpace: n.MinFreeSpace}
	for _, dev := range n.Devices {
		config.Devices = append(config.Devices, mogile.DevID(dev))
	}
	return config, config.Validate()
}

func (n *StorageNode) build(_ context.Context, log *zap.Logger) (*storage.Node, error) {
	config := n.config
	config.Logger, config.Tally = log, n.tally
	if n.AllowShutdown {
		config.Shutdown = func() { endProcess(log) }
	}
	return storage.Open(config)
}

// start opens the node and its side channel, and begins to make it known.
func (n *StorageNode) start(ctx context.Context, log *zap.Logger, r *refs) error {
	node, err := n.shared.start(ctx, log, r)
	if err != nil {
		return err
	}
	if n.remote != nil {
		stop, err := n.remote.start(log)
		if err != nil {
			return fmt.Errorf("register: %w", err)
		}
		r.onRelease(stop)
	}
	if n.Management == managementOff {
		return nil
	}
	on := listenOn{addr: n.Management, port: defaultManagementPort, owner: "storage node " + n.key, log: n.shared.log.Logger}
	if err := listenShared(ctx, r, on, node.ServeManagement); err != nil {
		return fmt.Errorf("listen on %s: %w", n.Management, err)
	}
	return nil
}

func (n *StorageNode) declare(name string, d *tracker.Declaration) {
	d.Hosts = append(d.Hosts, tracker.DeclaredHost{
		Name: mogile.HostName(name), IP: n.address.Addr().String(), Port: n.address.Port(), GetPort: n.GetPort,
	})
	for _, dev := range n.config.Devices {
		d.Devices = append(d.Devices, tracker.DeclaredDevice{DevID: dev, Host: mogile.HostName(name)})
	}
}

// holds reports whether a copy's URL is on this node: at its address or its get port,
// whatever the device.
func (n *StorageNode) holds(c mogile.Copy) bool {
	rest, ok := strings.CutPrefix(c.URL, "http://")
	if !ok {
		return false
	}
	host, _, ok := strings.Cut(rest, "/")
	return ok && (host == n.Address || n.getAddress != "" && host == n.getAddress)
}
