package monitor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/node"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
	"github.com/mogilefs/caddy-mogilefs/tracker/topology"
)

// The monitor's clocks (docs/spec/jobs.md §1).
const (
	reloadEvery = 4 * time.Second
	roundEvery  = 2500 * time.Millisecond
	testEvery   = 15 * time.Second
	saveEvery   = 15 * time.Second

	// While a device has not been seen in order since the start, rounds follow each
	// other quickly for a while: a storage node in this process begins to listen a
	// moment after the tracker does, and nobody should wait a whole round for it.
	eagerEvery = 100 * time.Millisecond
	eagerPhase = 10 * time.Second
)

const usageLock = "mgfs:device_update"

// Store is what the monitor writes.
type Store interface {
	SetDeviceUsage(ctx context.Context, devs []mogile.Device) error
	store.Locks
}

// Nodes looks at devices; package node has the contracts.
type Nodes interface {
	Usage(ctx context.Context, base string, dev mogile.DevID) (node.Usage, error)
	TestWrite(ctx context.Context, dev mogile.DevID, writeBase, readBase string) (rejectsBadMD5 string, err error)
}

// Config is what a monitor works with.
type Config struct {
	Store    Store
	Topology *topology.Live
	Nodes    Nodes
	Logger   *zap.Logger
}

// Monitor reads the topology and looks at the devices, and publishes both.
type Monitor struct {
	store   Store
	live    *topology.Live
	nodes   Nodes
	streams *streams
	log     *zap.Logger
	kick    chan struct{} // holds one: somebody waits for a visit

	// Only Run touches these.
	began             time.Time
	reloadAt, roundAt time.Time
	saved             time.Time
	tested            map[mogile.DevID]time.Time // last write test
	reloadFailed      bool
	hostUp            map[mogile.HostID]bool // as last reported
	noUsage           map[mogile.DevID]bool  // reported as not telling its size
	strange           map[string]bool        // reported as not having a state that we know

	mu      sync.Mutex    // guards what follows
	usable  bool          // see Ready
	settled bool          // see AllSeen
	ended   chan struct{} // closed and replaced after each round
	next    *visit        // the one that has not begun yet, or nil
	over    bool          // Run has returned
}

// visit is one reading of the topology and one round, asked for by Refresh.
type visit struct {
	done chan struct{} // closed when it is over
	err  error         // of the reading; set before done is closed
}

func (v *visit) finish(err error) {
	v.err = err
	close(v.done)
}

// errEnded is what is told to those who wait for a monitor that looks no more.
var errEnded = errors.New("the monitor has ended")

// New allocates a monitor; it sees nothing until [Monitor.Run].
func New(config Config) *Monitor {
	return &Monitor{
		store: config.Store, live: config.Topology, nodes: config.Nodes, log: config.Logger,
		streams: newStreams(config.Nodes, config.Logger),
		kick:    make(chan struct{}, 1),
		tested:  map[mogile.DevID]time.Time{}, hostUp: map[mogile.HostID]bool{}, noUsage: map[mogile.DevID]bool{},
		strange: map[string]bool{},
		ended:   make(chan struct{}),
	}
}

// Run looks until ctx is over. It is to be called once.
func (m *Monitor) Run(ctx context.Context) {
	defer m.retire()
	defer m.streams.close()
	m.began = time.Now()
	for ctx.Err() == nil {
		v := m.take()
		err := m.reloadWhenDue(ctx, v != nil)
		m.roundWhenDue(ctx, v != nil)
		if v != nil {
			v.finish(cmp.Or(context.Cause(ctx), err))
		}
		m.rest(ctx)
	}
}

func (m *Monitor) rest(ctx context.Context) {
	next := m.roundAt
	if m.reloadAt.Before(next) {
		next = m.reloadAt
	}
	timer := time.NewTimer(time.Until(next))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-m.kick:
	case <-ctx.Done():
	}
}

// take makes the visit that is waited for the one that begins now.
func (m *Monitor) take() *visit {
	m.mu.Lock()
	defer m.mu.Unlock()
	v := m.next
	m.next = nil
	return v
}

// retire lets go of all who wait.
func (m *Monitor) retire() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.over = true
	close(m.ended)
	if m.next != nil {
		m.next.finish(errEnded)
	}
}

// Wake has a round begin as soon as the present one is over, and does not wait for it.
func (m *Monitor) Wake() { m.ask() }

// ask has a visit begin as soon as the present one is over; nil after the end.
func (m *Monitor) ask() *visit {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.over {
		return nil
	}
	if m.next == nil {
		m.next = &visit{done: make(chan struct{})}
	}
	select {
	case m.kick <- struct{}{}:
	default:
	}
	return m.next
}

// Refresh reads the topology, looks at all devices, and then returns; the error is that
// of the reading. Callers that come while others wait share a round that begins after
// their call.
func (m *Monitor) Refresh(ctx context.Context) error {
	v := m.ask()
	if v == nil {
		return fmt.Errorf("refresh: %w", errEnded)
	}
	select {
	case <-v.done:
		if v.err != nil {
			return fmt.Errorf("refresh: %w", v.err)
		}
		return nil
	case <-ctx.Done():
		return fmt.Errorf("refresh: %w", context.Cause(ctx))
	}
}

// Ready waits until clients can be answered: a first round is over, and there is a device
// for new files, or each monitored device was seen in order or had 10 seconds since the
// start to appear. So it never waits longer than that and a round, later not at all, and
// one dead disk keeps nobody waiting.
func (m *Monitor) Ready(ctx context.Context) error {
	return m.wait(ctx, func() bool { return m.usable })
}

// AllSeen is Ready for those who have time: they wait for every device, so that none
// decides by the half of the cluster that was seen first.
func (m *Monitor) AllSeen(ctx context.Context) error {
	return m.wait(ctx, func() bool { return m.settled })
}

// Looked reports whether Ready would not wait.
func (m *Monitor) Looked() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.usable
}

// wait returns when a round has ended after which enough is so; enough is asked under mu.
func (m *Monitor) wait(ctx context.Context, enough func() bool) error {
	for {
		m.mu.Lock()
		done, over, ended := enough(), m.over, m.ended
		m.mu.Unlock()
		switch {
		case over:
			return fmt.Errorf("wait for the monitor: %w", errEnded)
		case done:
			return nil
		}
		select {
		case <-ended:
		case <-ctx.Done():
			return fmt.Errorf("wait for the monitor: %w", context.Cause(ctx))
		}
	}
}

// reloadWhenDue reads the topology. Its error is logged once, not every 4 seconds.
func (m *Monitor) reloadWhenDue(ctx context.Context, now bool) error {
	if !now && time.Now().Before(m.reloadAt) {
		return nil
	}
	err := m.live.Reload(ctx)
	m.reloadAt = time.Now().Add(reloadEvery)
	if failed := err != nil && ctx.Err() == nil; failed != m.reloadFailed {
		m.reloadFailed = failed
		if failed {
			m.log.Error("topology can't be read; going on with the last one", zap.Error(err))
		} else {
			m.log.Info("topology can be read again")
		}
	}
	return err
}

// roundWhenDue looks at all devices and publishes what it saw, at once.
func (m *Monitor) roundWhenDue(ctx context.Context, now bool) {
	begin := time.Now()
	if !now && begin.Before(m.roundAt) {
		return
	}
	m.reportStrange()
	r := m.round(ctx)
	if ctx.Err() != nil { // half a round tells nothing
		return
	}
	m.report(r)
	for dev := range r.tests {
		m.tested[dev] = begin
	}
	m.streams.follow(ctx, r)
	m.streams.addLoads(r)
	m.live.Observe(r.seen)
	m.saveUsage(ctx, r)
	eager := m.missesDevices() && time.Since(m.began) < eagerPhase
	m.roundAt = begin.Add(roundEvery)
	if eager {
		m.roundAt = time.Now().Add(eagerEvery)
	}
	m.announce(!eager)
}

// takesFiles reports whether there is a device for a new file.
func (m *Monitor) takesFiles() bool {
	return slices.ContainsFunc(m.live.Snapshot().Devices(), topology.Device.TakesNewFiles)
}

// missesDevices reports whether a monitored device was not seen in order.
func (m *Monitor) missesDevices() bool {
	for _, d := range m.live.Snapshot().Devices() {
		if d.Monitored() && !d.Readable() {
			return true
		}
	}
	return false
}

func (m *Monitor) announce(settled bool) {
	usable := settled || m.takesFiles()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.usable, m.settled = usable, settled
	close(m.ended)
	m.ended = make(chan struct{})
}

// saveUsage lets one tracker at a time write the sizes, for those that start anew and
// for people who look. What another has just saved is left alone.
func (m *Monitor) saveUsage(ctx context.Context, r *round) {
	devs := r.unsaved(time.Now())
	if len(devs) == 0 || time.Since(m.saved) < saveEvery {
		return
	}
	release, err := m.store.Lock(ctx, usageLock, 0)
	if errors.Is(err, store.ErrLocked) {
		return
	}
	if err == nil {
		defer release()
		err = m.store.SetDeviceUsage(ctx, devs)
	}
	if err != nil && ctx.Err() == nil {
		m.log.Error("usage of devices can't be saved", zap.Error(err))
	}
	m.saved = time.Now()
}
