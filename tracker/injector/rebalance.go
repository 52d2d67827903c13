package injector

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/rebalance"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
	"github.com/mogilefs/caddy-mogilefs/tracker/topology"
)

const (
	rebalanceLock = "mgfs:rebalance"
	// rebalanceEvery is the time from one pass to the next. The rate of a rebalance is
	// what one pass queues, so it is files in a second.
	rebalanceEvery = time.Second
	// heartbeat is how often a run that can't go on says that it is alive, in the state
	// that others watch: several times before they take over.
	heartbeat = 15 * time.Second
	// takeoverAfter is how long a run may show no sign of life while it could go on.
	takeoverAfter = time.Minute

	// What the settings queue_size_for_rebal and queue_rate_for_rebal are when unset
	// (docs/spec/schema.md §6).
	defaultRebalanceSize = 10_000
	defaultRebalanceRate = 500
)

// Store is what a rebalance reads and writes while it queues files.
type Store interface {
	FilesOn(ctx context.Context, dev mogile.DevID, p store.Page) ([]store.File, error)
	EnqueueWork(ctx context.Context, rows ...store.WorkRow) error
	WorkLength(ctx context.Context, k store.WorkKind) (int64, error)
	SetDeviceState(ctx context.Context, dev mogile.DevID, state mogile.DevState) error
	AllSettings(ctx context.Context) (map[string]string, error)
	ChangeSettings(ctx context.Context, decide func(map[string]string) (store.SettingChanges, error)) error
	store.Clock
	store.Locks
}

// Config is what a rebalance works with.
type Config struct {
	Store    Store
	Topology *topology.Live
	// Hostname is what the setting rebal_host calls this tracker; empty means what the
	// system calls the machine.
	Hostname string
	// Queued is called when there is something to be moved. It must not wait.
	Queued func()
	// Rand returns numbers in [0,1).
	Rand func() float64
	// Now is the clock by which other trackers are given their time; nil means the
	// system's.
	Now    func() time.Time
	Logger *zap.Logger
}

// Rebalance queues the copies that a rebalance is to move, on the tracker that the
// settings name; on all others it watches that one.
type Rebalance struct {
	config Config
	store  Store
	live   *topology.Live
	log    *zap.Logger
	woken  chan struct{} // holds one

	// Only Run touches these.
	drained mogile.DevID // the device that this tracker has seen to be in drain
	beat    time.Time    // the last sign of life while waiting
	sight   string       // what a run on another tracker looked like
	since   time.Time    // when it began to

	mu   sync.Mutex // guards held
	held bool       // the queues are to be left alone
}

// NewRebalance allocates one; nothing happens until [Rebalance.Run].
func NewRebalance(config Config) *Rebalance {
	if config.Now == nil {
		config.Now = time.Now
	}
	return &Rebalance{
		config: config, store: config.Store, live: config.Topology, woken: make(chan struct{}, 1),
		log: config.Logger.With(zap.String("job", "rebalance")),
	}
}

// Wake says that the settings have changed. It never waits.
func (b *Rebalance) Wake() {
	select {
	case b.woken <- struct{}{}:
	default:
	}
}

// Hold has it do nothing, or no longer.
func (b *Rebalance) Hold(held bool) {
	b.mu.Lock()
	b.held = held
	b.mu.Unlock()
	b.Wake()
}

func (b *Rebalance) isHeld() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.held
}

// Run does what there is to do until ctx is over.
func (b *Rebalance) Run(ctx context.Context) {
	ticker := time.NewTicker(rebalanceEvery)
	defer ticker.Stop()
	called := false
	for ctx.Err() == nil {
		if !b.isHeld() && (called || b.suspects()) {
			if err := b.turn(ctx); err != nil && ctx.Err() == nil {
				b.log.Error("rebalance does not go on", zap.Error(err))
			}
		}
		called = b.rest(ctx, ticker.C)
	}
}

// rest waits for the next turn and reports whether somebody has called for it. A call and a
// tick that have come by then are one turn.
func (b *Rebalance) rest(ctx context.Context, tick <-chan time.Time) (called bool) {
	select {
	case <-tick:
	case <-b.woken:
		called = true
	case <-ctx.Done():
	}
	select {
	case <-tick:
	default:
	}
	select {
	case <-b.woken:
		called = true
	default:
	}
	return called
}

// suspects reports whether there is something to do, by what the monitor has read: so as
// long as there is no rebalance the database is not asked.
func (b *Rebalance) suspects() bool {
	snap := b.live.Snapshot()
	return snap.Setting(rebalance.HostField) != "" || rebalance.ParseWas(snap.Setting(rebalance.WasField)).Held()
}

// errLost: the run is another tracker's by now, or an operator has changed it.
var errLost = errors.New("the rebalance was changed by another")

// turn looks at the settings and does what falls to this tracker. The lock keeps those
// apart that have one name.
func (b *Rebalance) turn(ctx context.Context) error {
	self, err := b.self()
	if err != nil {
		return err
	}
	settings, err := b.store.AllSettings(ctx)
	if err != nil {
		return err
	}
	host := settings[rebalance.HostField]
	if host != self && host != "" {
		return b.watch(ctx, self, settings)
	}
	b.sight = ""
	if host == "" && !rebalance.ParseWas(settings[rebalance.WasField]).Held() {
		return nil
	}
	release, err := b.store.Lock(ctx, rebalanceLock, 0)
	if errors.Is(err, store.ErrLocked) {
		return nil
	}
	if err != nil {
		return err
	}
	defer release()
	err = b.pass(ctx, self)
	if errors.Is(err, errLost) {
		b.log.Info("rebalance goes on elsewhere, or is over")
		return nil
	}
	return err
}

func (b *Rebalance) self() (string, error) {
	if b.config.Hostname != "" {
		return b.config.Hostname, nil
	}
	return os.Hostname()
}

// watch takes the run of another tracker over when that shows no sign of life although
// it could go on, or should stop. (At the peer it stays where it is until an operator
// starts it anew.) The old one, should it live, finds another's name in the settings.
func (b *Rebalance) watch(ctx context.Context, self string, settings map[string]string) error {
	sight := strings.Join([]string{
		settings[rebalance.HostField], settings[rebalance.StateField], settings[rebalance.SignalField],
	}, "\n")
	if sight != b.sight {
		b.sight, b.since = sight, b.config.Now()
		return nil
	}
	room, err := b.room(ctx, settings)
	switch {
	case err != nil:
		return err
	case room == 0 && settings[rebalance.SignalField] == "":
		b.since = b.config.Now()
		return nil
	case b.config.Now().Sub(b.since) < takeoverAfter:
		return nil
	}
	release, err := b.store.Lock(ctx, rebalanceLock, 0)
	if errors.Is(err, store.ErrLocked) { // it is at it this very moment
		return nil
	}
	if err != nil {
		return err
	}
	defer release()
	host := settings[rebalance.HostField]
	err = b.store.ChangeSettings(ctx, func(now map[string]string) (store.SettingChanges, error) {
		if now[rebalance.HostField] != host || now[rebalance.StateField] != settings[rebalance.StateField] {
			return store.SettingChanges{}, errLost
		}
		return store.SettingChanges{Set: map[string]string{rebalance.HostField: self}}, nil
	})
	b.sight = ""
	if errors.Is(err, errLost) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("take over from %s: %w", host, err)
	}
	b.log.Warn("rebalance is taken over from a tracker that shows no sign of life", zap.String("tracker", host))
	b.drained = 0
	b.Wake()
	return nil
}

// room is how many files may be queued now.
func (b *Rebalance) room(ctx context.Context, settings map[string]string) (int, error) {
	n, err := b.store.WorkLength(ctx, store.RebalanceWork)
	if err != nil {
		return 0, err
	}
	most := numberOr(settings[rebalance.SizeField], defaultRebalanceSize) - n
	return int(max(0, min(most, numberOr(settings[rebalance.RateField], defaultRebalanceRate)))), nil
}

// numberOr reads a number of an operator's; what is none means the default.
func numberOr(text string, otherwise int64) int64 {
	n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 32)
	if err != nil || n <= 0 {
		return otherwise
	}
	return n
}

// rebalancing is a run in hand.
type rebalancing struct {
	rebalance.Run
	self     string
	settings map[string]string
	unread   error // why Policy and State are not to be gone by, or nil
	snap     *topology.Snapshot
	now      int64
	busy     bool // something was queued in this pass
}

// pass does one step of this tracker's run. It reads all anew: what was read before it
// had the lock may be old.
func (b *Rebalance) pass(ctx context.Context, self string) error {
	r := &rebalancing{self: self}
	var err error
	if r.settings, err = b.store.AllSettings(ctx); err != nil {
		return err
	}
	if err = b.live.Reload(ctx); err != nil {
		return err
	}
	r.snap = b.live.Snapshot()
	if r.now, err = b.store.Now(ctx); err != nil {
		return err
	}
	r.Run, r.unread = rebalance.Read(r.settings)
	switch {
	case r.Host == "":
		return b.tidy(ctx, r)
	case r.Host != self:
		return errLost
	case r.Stopping:
		return b.stop(ctx, r)
	case r.unread != nil: // a peer takes texts that we don't
		return b.wait(ctx, r, r.unread.Error())
	}
	return b.advance(ctx, r)
}

// advance goes on to where there is something to queue, and queues it.
func (b *Rebalance) advance(ctx context.Context, r *rebalancing) error {
	for !r.Over() {
		if r.State.Current == 0 {
			if ready, err := b.next(ctx, r); !ready || err != nil {
				return err
			}
		}
		d, known := r.snap.Device(r.State.Current)
		if !known || !d.MayDelete() {
			b.log.Warn("device is passed over: nothing may be deleted from it", zap.Stringer("device", r.State.Current))
			if err := b.complete(ctx, r); err != nil {
				return err
			}
			continue
		}
		if err := b.drain(ctx, r, d); err != nil {
			return err
		}
		if !d.Readable() {
			return b.wait(ctx, r, "device "+d.ID.String()+" does not answer")
		}
		if all, err := b.queue(ctx, r); !all || err != nil {
			return err
		}
		if err := b.complete(ctx, r); err != nil {
			return err
		}
		if r.busy && !r.Over() { // the next device has to wait for its second
			return nil
		}
	}
	return b.finish(ctx, r)
}

// next makes a source the current device, at best one that answers. Those from which
// nothing may be deleted come up, too, to be passed over.
func (b *Rebalance) next(ctx context.Context, r *rebalancing) (ready bool, err error) {
	i := slices.IndexFunc(r.State.Sources, func(id mogile.DevID) bool {
		d, known := r.snap.Device(id)
		return !known || !d.MayDelete() || d.Readable()
	})
	if i < 0 {
		return false, b.wait(ctx, r, "no device that files are to be taken from answers")
	}
	r.State.Prefer(r.State.Sources[i])
	r.State.Next(r.Policy.Limit)
	r.Was = rebalance.Was{}
	if d, known := r.snap.Device(r.State.Current); known && d.MayDelete() && !r.Policy.LeaveDraining {
		r.Was = rebalance.Was{Dev: d.ID, State: d.State}
	}
	b.drained = 0
	return true, b.save(ctx, r, nil)
}

// drain sets the current device to drain, once: an operator may want it otherwise later.
//
// Order: 1. what it was is written down, 2. it is set. A crash after 1 leaves a device
// that is not in drain; whoever goes on sets it.
func (b *Rebalance) drain(ctx context.Context, r *rebalancing, d topology.Device) error {
	if b.drained == d.ID {
		return nil
	}
	if !r.Policy.LeaveDraining && (r.Was.Dev != d.ID || !r.Was.Held()) {
		was := rebalance.Was{Dev: d.ID, State: d.State}
		if d.State.Draining() && r.Was.Dev != d.ID {
			was.State = mogile.DevAlive // a peer has drained it and would set it so
		}
		r.Was = was
		if err := b.save(ctx, r, nil); err != nil {
			return err
		}
	}
	if err := b.setState(ctx, r, d, mogile.DevDrain); err != nil {
		return err
	}
	b.drained = d.ID
	return nil
}

func (b *Rebalance) setState(ctx context.Context, r *rebalancing, d topology.Device, state mogile.DevState) error {
	if d.State == state {
		return nil
	}
	if err := b.store.SetDeviceState(ctx, d.ID, state); err != nil {
		return fmt.Errorf("set device %d to %s: %w", d.ID, state, err)
	}
	b.log.Info("device is set", zap.Stringer("device", d.ID), zap.String("to", string(state)))
	err := b.live.Reload(ctx)
	r.snap = b.live.Snapshot()
	return err
}

// queue queues the next files of the current device, and reports whether those were all.
//
// Order: 1. rows for the files, 2. the state that says so. A crash after 1 leaves rows
// that are queued once more: where the first is still there nothing changes, and where
// it was worked on the copy is not there any more.
func (b *Rebalance) queue(ctx context.Context, r *rebalancing) (all bool, err error) {
	limit := r.Policy.Limit
	if r.State.Allowance(limit).Spent(limit.By) {
		return true, nil
	}
	dests := r.Policy.Destinations(devicesOf(r.snap), r.State)
	if len(dests) == 0 {
		return false, b.wait(ctx, r, "no device may take files now")
	}
	room, err := b.room(ctx, r.settings)
	if err != nil || room == 0 {
		return false, err
	}
	files, err := b.store.FilesOn(ctx, r.State.Current, store.Page{
		After: r.State.LastFID, Newest: r.Policy.Newest, Limit: room,
	})
	if err != nil {
		return false, err
	}
	var rows []store.WorkRow
	for _, f := range files {
		if r.State.Allowance(limit).Spent(limit.By) {
			break
		}
		r.State.LastFID = f.FID
		if r.State.Queue(limit, f.Length) {
			rows = append(rows, store.WorkRow{
				FID: f.FID, Kind: store.RebalanceWork, Dev: r.State.Current, Arg: listed(r.Policy.Offered(dests, b.config.Rand)),
			})
		}
	}
	r.State.LatestRun = r.now
	if len(rows) == 0 {
		r.State.EmptyRuns++
		r.State.LatestEmptyRun = r.now
	}
	if len(files) == 0 {
		return true, nil
	}
	if err := b.store.EnqueueWork(ctx, rows...); err != nil {
		return false, err
	}
	if err := b.save(ctx, r, nil); err != nil {
		return false, err
	}
	r.busy = true
	b.config.Queued()
	return r.State.Allowance(limit).Spent(limit.By), nil
}

// devicesOf is what a policy chooses from.
func devicesOf(snap *topology.Snapshot) []rebalance.Device {
	var devs []rebalance.Device
	for _, d := range snap.Devices() {
		devs = append(devs, rebalance.Device{Device: d.Device, MayDelete: d.MayDelete(), TakesNewFiles: d.TakesNewFiles()})
	}
	return devs
}

func listed(devs []mogile.DevID) string {
	words := make([]string, len(devs))
	for i, d := range devs {
		words[i] = d.String()
	}
	return strings.Join(words, ",")
}

// complete is done with the current device.
//
// Order: 1. the device is what it was before, 2. the state says so. A crash after 1 has
// whoever goes on drain it again, find nothing to queue, and do this once more. The other
// way round it would stay in drain for ever.
func (b *Rebalance) complete(ctx context.Context, r *rebalancing) error {
	if err := b.putBack(ctx, r); err != nil {
		return err
	}
	r.State.Complete()
	r.Was = rebalance.Was{}
	return b.save(ctx, r, nil)
}

// putBack makes the current device what it was before, unless it is something else than
// drain by now: that is an operator's doing. (The peer makes it alive, whatever it was.)
func (b *Rebalance) putBack(ctx context.Context, r *rebalancing) error {
	b.drained = 0
	d, known := r.snap.Device(r.Was.Dev)
	if !known || !r.Was.Held() || !d.State.Draining() {
		return nil
	}
	return b.setState(ctx, r, d, r.Was.State)
}

// stop ends the run for an operator; it can be gone on with. The device that was being
// drained gets back what it was. (The peer forgets that.) With leave_in_drain_mode it stays.
func (b *Rebalance) stop(ctx context.Context, r *rebalancing) error {
	if err := b.putBack(ctx, r); err != nil {
		return err
	}
	if r.Was.Held() {
		r.Was.State = "" // for whoever goes on: what the device is then is its own
	}
	r.State.Stopped = r.now
	err := b.save(ctx, r, []string{rebalance.HostField, rebalance.SignalField})
	if err == nil {
		b.log.Info("rebalance is stopped", zap.Int64("files queued", r.State.FIDs))
	}
	return err
}

// finish ends a run that has queued all.
func (b *Rebalance) finish(ctx context.Context, r *rebalancing) error {
	r.State.Finished = r.now
	err := b.save(ctx, r, []string{rebalance.HostField})
	if err == nil {
		b.log.Info("rebalance has queued all", zap.Int64("files", r.State.FIDs), zap.Int64("bytes", r.State.Bytes))
	}
	return err
}

// tidy is for a run of ours that a peer has ended: it knows nothing of what a device was.
func (b *Rebalance) tidy(ctx context.Context, r *rebalancing) error {
	if err := b.putBack(ctx, r); err != nil {
		return err
	}
	return b.store.ChangeSettings(ctx, func(now map[string]string) (store.SettingChanges, error) {
		if now[rebalance.HostField] != "" {
			return store.SettingChanges{}, errLost
		}
		r.Was.State = ""
		return store.SettingChanges{Set: map[string]string{rebalance.WasField: r.Was.String()}}, nil
	})
}

// wait says why a run can't go on, to operators and, now and then, to other trackers.
func (b *Rebalance) wait(ctx context.Context, r *rebalancing, why string) error {
	if r.Waits == why && b.config.Now().Sub(b.beat) < heartbeat {
		return nil
	}
	if r.Waits != why {
		b.log.Warn("rebalance waits", zap.String("because", why))
	}
	b.beat = b.config.Now()
	r.State.EmptyRuns++
	r.State.LatestEmptyRun = r.now
	return b.change(ctx, r, why, nil)
}

// save writes the run down; unset is settings that go.
func (b *Rebalance) save(ctx context.Context, r *rebalancing, unset []string) error {
	return b.change(ctx, r, "", unset)
}

// change writes the run down, if it still is what was read.
func (b *Rebalance) change(ctx context.Context, r *rebalancing, waits string, unset []string) error {
	text := r.State.String()
	if r.unread != nil {
		text = r.Text
	}
	changes := store.SettingChanges{Set: map[string]string{rebalance.StateField: text}, Unset: unset}
	for field, value := range map[string]string{rebalance.WasField: r.Was.String(), rebalance.WaitsField: waits} {
		switch {
		case value == r.settings[field]:
		case value == "":
			changes.Unset = append(changes.Unset, field)
		default:
			changes.Set[field] = value
		}
	}
	err := b.store.ChangeSettings(ctx, func(now map[string]string) (store.SettingChanges, error) {
		if now[rebalance.HostField] != r.self || now[rebalance.StateField] != r.Text {
			return store.SettingChanges{}, errLost
		}
		return changes, nil
	})
	if err != nil {
		return err
	}
	r.Text, r.Waits = text, waits
	r.settings[rebalance.WasField], r.settings[rebalance.WaitsField] = r.Was.String(), waits
	return nil
}
