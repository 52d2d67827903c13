package topology

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"sync"
	"sync/atomic"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
)

// Config is what the operator says of the whole cluster.
type Config struct {
	// DefaultMinDevCount is the mindevcount of the implicit class; 0 means 2.
	DefaultMinDevCount int
	// MinFreeMB is how many MiB must be free on a device that takes new files;
	// 0 means none need be.
	MinFreeMB int64
	// Local is an address of the network that this tracker is in. Who asks gets the
	// devices of his own network zone first then; the zero Addr means that zones make
	// no difference.
	Local netip.Addr
}

// Live holds the current snapshot. Its methods may be called by many goroutines.
type Live struct {
	store  store.Topology
	config Config

	current atomic.Pointer[Snapshot]
	// reading holds a token while somebody reads the database, so that a slow read can't
	// publish older rows over those of a later one.
	reading chan struct{}

	mu   sync.Mutex // guards rows and seen, and the order of publications
	rows store.Rows
	seen Observations
}

// New returns a Live whose snapshot is empty until the first [Live.Reload].
func New(st store.Topology, config Config) *Live {
	if config.DefaultMinDevCount == 0 {
		config.DefaultMinDevCount = 2
	}
	l := &Live{store: st, config: config, reading: make(chan struct{}, 1)}
	l.publishLocked()
	return l
}

// Snapshot is the present state; never nil, never changed afterwards.
func (l *Live) Snapshot() *Snapshot { return l.current.Load() }

// Reload reads the database and publishes what it says. On an error the old
// snapshot stays. Who comes while others read waits for them, as long as ctx lets him.
func (l *Live) Reload(ctx context.Context) error {
	select {
	case l.reading <- struct{}{}:
		defer func() { <-l.reading }()
	case <-ctx.Done():
		return fmt.Errorf("reload topology: %w", context.Cause(ctx))
	}
	rows, err := l.store.LoadTopology(ctx)
	if err != nil {
		return fmt.Errorf("reload topology: %w", err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rows = rows
	l.publishLocked()
	return nil
}

// DevSeen is what the monitor found a device to be.
type DevSeen string

// What a device can be seen as; empty means not looked at yet.
const (
	SeenWriteable   DevSeen = "writeable"
	SeenReadable    DevSeen = "readable"
	SeenUnreachable DevSeen = "unreachable"
)

// DeviceSeen is all that monitoring knows of a device.
type DeviceSeen struct {
	State DevSeen
	// Utilization is the last figure of the node's watch stream, a percentage
	// such as 12.34; empty when there is none.
	Utilization string
	// RejectsBadMD5 is 1 when the node checks Content-MD5, 0 when it does not,
	// empty when it was not tried.
	RejectsBadMD5 string
}

// Observations is what one round of monitoring saw. Hosts tells who was reachable.
type Observations struct {
	Hosts   map[mogile.HostID]bool
	Devices map[mogile.DevID]DeviceSeen
	// Usage is fresh sizes of devices: MBTotal, MBUsed and AsOf count.
	Usage map[mogile.DevID]mogile.Device
}

// Observe adds a round's observations to those before and publishes them.
// Hosts and devices it does not mention keep what was known of them.
func (l *Live) Observe(o Observations) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seen = Observations{
		Hosts:   merged(l.seen.Hosts, o.Hosts),
		Devices: merged(l.seen.Devices, o.Devices),
		Usage:   merged(l.seen.Usage, o.Usage),
	}
	l.publishLocked()
}

func merged[K comparable, V any](old, add map[K]V) map[K]V {
	m := make(map[K]V, len(old)+len(add))
	maps.Copy(m, old)
	maps.Copy(m, add)
	return m
}

func (l *Live) publishLocked() {
	l.current.Store(newSnapshot(l.rows, l.seen, l.config))
}
