package job

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

// monitorStore is what the monitor writes.
type monitorStore interface {
	SetDeviceUsage(ctx context.Context, devs []mogile.Device) error
	store.Locks
}

// monitor reads the topology and looks at the devices, and publishes both.
type monitor struct {
	store monitorStore
	live  *topology.Live
	nodes Prober
	log   *zap.Logger
	kick  chan struct{} // holds one: somebody waits for a visit

	// Only run touches these.
	began             time.Time
	reloadAt, roundAt time.Time
	saved             time.Time
	tested            map[mogile.DevID]time.Time // last write test
	reloadFailed      bool
	hostUp            map[mogile.HostID]bool // as last reported
	noUsage           map[mogile.DevID]bool  // reported as not telling its size

	mu      sync.Mutex    // guards what follows
	usable  bool          // see Jobs.Ready
	settled bool          // see Jobs.allSeen
	ended   chan struct{} // closed and replaced after each round
	next    *visit        // the one that has not begun yet, or nil
	over    bool          // run has returned
}

// visit is one reading of the topology and one round, asked for by refresh.
type visit struct {
	done chan struct{} // closed when it is over
	err  error         // of the reading; set before done is closed
}

func (v *visit) finish(err error) {
	v.err = err
	close(v.done)
}

func newMonitor(config Config) *monitor {
	return &monitor{
		store: config.Store, live: config.Topology, nodes: config.Nodes,
		log:    config.Logger.With(zap.String("job", string(Monitor))),
		kick:   make(chan struct{}, 1),
		tested: map[mogile.DevID]time.Time{}, hostUp: map[mogile.HostID]bool{}, noUsage: map[mogile.DevID]bool{},
		ended: make(chan struct{}),
	}
}

func (m *monitor) run(ctx context.Context) {
	defer m.retire()
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

func (m *monitor) rest(ctx context.Context) {
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
func (m *monitor) take() *visit {
	m.mu.Lock()
	defer m.mu.Unlock()
	v := m.next
	m.next = nil
	return v
}

// retire lets go of all who wait.
func (m *monitor) retire() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.over = true
	close(m.ended)
	if m.next != nil {
		m.next.finish(errClosed)
	}
}

// ask has a visit begin as soon as the present one is over; nil after the end.
func (m *monitor) ask() *visit {
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

func (m *monitor) refresh(ctx context.Context) error {
	v := m.ask()
	if v == nil {
		return fmt.Errorf("refresh: %w", errClosed)
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

func (m *monitor) isUsable() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.usable
}

// wait returns when a round has ended after which enough is so; enough is asked under mu.
func (m *monitor) wait(ctx context.Context, enough func() bool) error {
	for {
		m.mu.Lock()
		done, over, ended := enough(), m.over, m.ended
		m.mu.Unlock()
		switch {
		case over:
			return fmt.Errorf("wait for the monitor: %w", errClosed)
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
func (m *monitor) reloadWhenDue(ctx context.Context, now bool) error {
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
func (m *monitor) roundWhenDue(ctx context.Context, now bool) {
	begin := time.Now()
	if !now && begin.Before(m.roundAt) {
		return
	}
	r := m.round(ctx)
	if ctx.Err() != nil { // half a round tells nothing
		return
	}
	m.report(r)
	for dev := range r.tests {
		m.tested[dev] = begin
	}
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
func (m *monitor) takesFiles() bool {
	return slices.ContainsFunc(m.live.Snapshot().Devices(), topology.Device.TakesNewFiles)
}

// missesDevices reports whether a monitored device was not seen in order.
func (m *monitor) missesDevices() bool {
	for _, d := range m.live.Snapshot().Devices() {
		if d.Monitored() && !d.Readable() {
			return true
		}
	}
	return false
}

func (m *monitor) announce(settled bool) {
	usable := settled || m.takesFiles()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.usable, m.settled = usable, settled
	close(m.ended)
	m.ended = make(chan struct{})
}

// saveUsage lets one tracker at a time write the sizes, for those that start anew and
// for people who look.
func (m *monitor) saveUsage(ctx context.Context, r *round) {
	if len(r.seen.Usage) == 0 || time.Since(m.saved) < saveEvery {
		return
	}
	release, err := m.store.Lock(ctx, usageLock, 0)
	if errors.Is(err, store.ErrLocked) {
		return
	}
	if err == nil {
		defer release()
		err = m.store.SetDeviceUsage(ctx, r.usage())
	}
	if err != nil && ctx.Err() == nil {
		m.log.Error("usage of devices can't be saved", zap.Error(err))
	}
	m.saved = time.Now()
}
