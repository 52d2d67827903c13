package injector_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/injector"
	"github.com/mogilefs/caddy-mogilefs/tracker/rebalance"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
	"github.com/mogilefs/caddy-mogilefs/tracker/store/sqlstore"
	"github.com/mogilefs/caddy-mogilefs/tracker/topology"
)

// drive is a rebalance that goes on as the test says, on a real store. Its devices are seen
// in order; nobody moves anything.
type drive struct {
	t     *testing.T
	db    store.Store
	store *frail
	live  *topology.Live
	b     *injector.Rebalance
	clock time.Time

	domain mogile.DomainID
}

var errInjected = errors.New("injected")

// frail is a store that fails one change of a rebalance, before it is made or after.
type frail struct {
	store.Store

	mu     sync.Mutex // guards what follows
	failAt int        // the n-th change from now fails, from 1; 0 means none
	after  bool       // when it was made already
	failed string     // the change that did
}

func (f *frail) fail(n int, after bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.failAt, f.after, f.failed = n, after, ""
}

func (f *frail) changing(name string, change func() error) error {
	f.mu.Lock()
	fails := f.failAt == 1
	f.failAt = max(f.failAt-1, 0)
	if fails {
		f.failed = name
	}
	f.mu.Unlock()
	if fails && !f.after {
		return fmt.Errorf("%s: %w", name, errInjected)
	}
	if err := change(); err != nil || !fails {
		return err
	}
	return fmt.Errorf("after %s: %w", name, errInjected)
}

func (f *frail) SetDeviceState(ctx context.Context, dev mogile.DevID, state mogile.DevState) error {
	return f.changing("SetDeviceState", func() error { return f.Store.SetDeviceState(ctx, dev, state) })
}

func (f *frail) EnqueueWork(ctx context.Context, rows ...store.WorkRow) error {
	return f.changing("EnqueueWork", func() error { return f.Store.EnqueueWork(ctx, rows...) })
}

func (f *frail) ChangeSettings(ctx context.Context, decide func(map[string]string) (store.SettingChanges, error)) error {
	return f.changing("ChangeSettings", func() error { return f.Store.ChangeSettings(ctx, decide) })
}

// newDrive has so many files on device 1; each of its devices 1 to 3 is on a host of its own.
func newDrive(t *testing.T, files int) (*drive, []mogile.FID) {
	t.Helper()
	db, err := sqlstore.OpenSQLite(t.Context(), ":memory:", zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	d := &drive{t: t, db: db, store: &frail{Store: db}, clock: time.Unix(1_800_000_000, 0)}
	d.live = topology.New(db, topology.Config{})
	if d.domain, err = db.CreateDomain(t.Context(), "images"); err != nil {
		t.Fatal(err)
	}
	seen := topology.Observations{
		Hosts: map[mogile.HostID]bool{}, Devices: map[mogile.DevID]topology.DeviceSeen{}, Usage: map[mogile.DevID]mogile.Device{},
	}
	for dev := mogile.DevID(1); dev <= 3; dev++ {
		name := fmt.Sprint("host", dev)
		host, err := db.CreateHost(t.Context(), mogile.Host{
			Name: mogile.HostName(name), State: mogile.HostAlive, IP: fmt.Sprint("127.0.0.", dev), Port: 7500,
		})
		d.check(err)
		d.check(db.CreateDevice(t.Context(), mogile.Device{ID: dev, Host: host, State: mogile.DevAlive, Weight: 100}))
		seen.Hosts[host] = true
		seen.Devices[dev] = topology.DeviceSeen{State: topology.SeenWriteable}
		seen.Usage[dev] = mogile.Device{ID: dev, MBTotal: 1000, MBUsed: 100, AsOf: 1}
	}
	d.check(d.live.Reload(t.Context()))
	d.live.Observe(seen)
	var fids []mogile.FID
	for i := range files {
		fids = append(fids, d.upload(fmt.Sprint(i), 1))
	}
	d.restart("here")
	return d, fids
}

func (d *drive) check(err error) {
	d.t.Helper()
	if err != nil {
		d.t.Fatal(err)
	}
}

// length is that of all files.
const length = 14

func (d *drive) upload(key string, dev mogile.DevID) mogile.FID {
	d.t.Helper()
	fid, err := d.db.OpenUpload(d.t.Context(), store.Upload{Domain: d.domain, Key: mogile.Key(key), Devices: []mogile.DevID{dev}})
	d.check(err)
	_, err = d.db.CloseUpload(d.t.Context(), store.Closing{FID: fid, Dev: dev, Domain: d.domain, Key: mogile.Key(key), Length: length})
	d.check(err)
	return fid
}

// setState is an operator's.
func (d *drive) setState(dev mogile.DevID, state mogile.DevState) {
	d.t.Helper()
	d.check(d.db.SetDeviceState(d.t.Context(), dev, state))
	d.check(d.live.Reload(d.t.Context()))
}

// done is what movers do with a row.
func (d *drive) done(fids ...mogile.FID) {
	d.t.Helper()
	for _, fid := range fids {
		d.check(d.db.Finish(d.t.Context(), store.RebalanceQueue, store.Item{FID: fid}))
	}
}

// restart is a tracker that has died and come back, or another one.
func (d *drive) restart(name string) {
	d.b = injector.NewRebalance(d.store, func() float64 { return 0 }, injector.Config{
		Topology: d.live, Hostname: name, Logger: zap.NewNop(),
		Queued: func() {}, Now: func() time.Time { return d.clock },
	})
}

// begin does what rebalance_start does.
func (d *drive) begin(policy string) {
	d.t.Helper()
	p, err := rebalance.Parse(policy)
	d.check(err)
	var devs []rebalance.Device
	for _, dev := range d.live.Snapshot().Devices() {
		devs = append(devs, rebalance.Device{Device: dev.Device, MayDelete: dev.MayDelete(), TakesNewFiles: dev.TakesNewFiles()})
	}
	d.set("rebal_policy", policy)
	d.set("rebal_state", p.Begin(p.Sources(devs), 1).String())
	d.set("rebal_host", "here")
}

func (d *drive) set(field, value string) {
	d.t.Helper()
	d.check(d.db.SetSetting(d.t.Context(), field, value))
}

func (d *drive) setting(field string) string {
	d.t.Helper()
	value, err := d.db.Setting(d.t.Context(), field)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		d.t.Fatal(err)
	}
	return value
}

func (d *drive) turns(n int) {
	d.t.Helper()
	for range n {
		d.check(d.b.Turn(d.t.Context()))
	}
}

func (d *drive) state() rebalance.State {
	d.t.Helper()
	s, err := rebalance.ParseState(d.setting("rebal_state"))
	d.check(err)
	return s
}

// is fails unless a device has a state.
func (d *drive) is(dev mogile.DevID, want mogile.DevState) {
	d.t.Helper()
	d.check(d.live.Reload(d.t.Context()))
	if got, _ := d.live.Snapshot().Device(dev); got.State != want {
		d.t.Errorf("device %d: got %s; want %s", dev, got.State, want)
	}
}

// queuedFor lists the rows of files as "fid from to".
func (d *drive) queuedFor(fids []mogile.FID) string {
	d.t.Helper()
	var all []string
	for i, fid := range fids {
		rows, err := d.db.WorkRows(d.t.Context(), fid)
		d.check(err)
		for _, row := range rows {
			all = append(all, fmt.Sprintf("%d:%d>%s", i, row.Dev, row.Arg))
		}
	}
	return strings.Join(all, " ")
}

func (d *drive) wantQueued(fids []mogile.FID, want string) {
	d.t.Helper()
	if got := d.queuedFor(fids); got != want {
		d.t.Errorf("got queued %q; want %q", got, want)
	}
}

// wantOver fails unless nothing of the run is left but its state.
func (d *drive) wantOver() {
	d.t.Helper()
	for _, field := range []string{"rebal_host", "rebal_signal", "rebal_waits"} {
		if got := d.setting(field); got != "" {
			d.t.Errorf("got %s %q; want it unset", field, got)
		}
	}
	if was := rebalance.ParseWas(d.setting("rebal_sdev_was")); was.Held() {
		d.t.Errorf("got a device that is still to be %v; want none", was)
	}
}

func TestARebalanceQueuesWhatItsPolicySays(t *testing.T) {
	d, fids := newDrive(t, 3)
	d.turns(1) // nothing is on
	d.begin("from_devices=1")
	d.turns(1)
	d.is(1, mogile.DevDrain)
	d.wantQueued(fids, "0:1>2,3 1:1>2,3 2:1>2,3")
	if s := d.state(); s.Current != 1 || s.LastFID != fids[2] || s.FIDs != 3 || s.Bytes != int64(3*length) || s.LatestRun == 0 {
		t.Errorf("got state %q; want 3 files queued of device 1", s)
	}
	if got := d.setting("rebal_sdev_was"); got != "1 alive" {
		t.Errorf("got %q written down; want what the device was", got)
	}
	d.turns(1)
	d.is(1, mogile.DevAlive)
	d.wantOver()
	if s := d.state(); s.Current != 0 || len(s.Completed) != 1 || s.Finished == 0 || s.FIDs != 3 || s.EmptyRuns != 1 {
		t.Errorf("got state %q; want it finished", s)
	}
	d.turns(3)
}

func TestARebalanceKeepsItsRateAndSize(t *testing.T) {
	d, fids := newDrive(t, 5)
	d.set("queue_rate_for_rebal", "2")
	d.set("queue_size_for_rebal", "3")
	d.begin("from_devices=1")
	for _, want := range []int{2, 3, 3} {
		d.turns(1)
		if got := strings.Count(d.queuedFor(fids), ":"); got != want {
			t.Errorf("got %d queued; want %d", got, want)
		}
	}
	d.done(fids[0], fids[1])
	d.turns(1)
	d.wantQueued(fids, "2:1>2,3 3:1>2,3 4:1>2,3")
	d.set("queue_rate_for_rebal", "nonsense")
	d.turns(1)
	d.is(1, mogile.DevDrain) // there was no room to find out that nothing is left
	d.done(fids[2])
	d.turns(1)
	d.wantOver()
}

func TestARebalanceCanBeStoppedAndGoneOnWith(t *testing.T) {
	for was, state := range map[mogile.DevState]mogile.DevState{mogile.DevAlive: mogile.DevAlive, mogile.DevDrain: mogile.DevDrain} {
		d, fids := newDrive(t, 4)
		d.setState(1, was)
		d.set("queue_rate_for_rebal", "2")
		d.begin("from_devices=1")
		d.turns(1)
		d.is(1, mogile.DevDrain)
		d.set("rebal_signal", "stop")
		d.turns(1)
		d.is(1, state)
		d.wantOver()
		if s := d.state(); s.Stopped == 0 || s.Current != 1 || s.LastFID != fids[1] {
			t.Errorf("got state %q; want it stopped in the middle", s)
		}
		d.turns(1)
		d.set("rebal_host", "here")
		d.turns(1)
		d.is(1, mogile.DevDrain)
		d.wantQueued(fids, "0:1>2,3 1:1>2,3 2:1>2,3 3:1>2,3")
		d.turns(1)
		d.is(1, state)
		d.wantOver()
	}
}

// An operator who changes the device meanwhile has the last word.
func TestARebalanceLeavesOperatorsTheLastWord(t *testing.T) {
	for word, want := range map[mogile.DevState]mogile.DevState{mogile.DevAlive: mogile.DevAlive, mogile.DevDown: mogile.DevDown} {
		d, _ := newDrive(t, 4)
		d.set("queue_rate_for_rebal", "2")
		d.begin("from_devices=1")
		d.turns(1)
		d.setState(1, word)
		d.turns(1)
		d.is(1, want)
		d.turns(2)
		d.is(1, want)
		d.wantOver()
	}
	// Stopped, then drained by an operator: that is what it was when it goes on.
	d, _ := newDrive(t, 4)
	d.set("queue_rate_for_rebal", "2")
	d.begin("from_devices=1")
	d.turns(1)
	d.set("rebal_signal", "stop")
	d.turns(1)
	d.setState(1, mogile.DevDrain)
	d.set("rebal_host", "here")
	d.turns(2)
	d.is(1, mogile.DevDrain)
	d.wantOver()
}

func TestDevicesMayBeLeftInDrain(t *testing.T) {
	for _, stop := range []bool{false, true} {
		d, _ := newDrive(t, 2)
		d.begin("from_devices=1 leave_in_drain_mode=1")
		d.turns(1)
		if stop {
			d.set("rebal_signal", "stop")
		}
		d.turns(1)
		d.is(1, mogile.DevDrain)
		d.wantOver()
	}
}

func TestARebalanceOffersAsManyDevicesAsItsPolicySays(t *testing.T) {
	d, fids := newDrive(t, 2)
	d.begin("from_devices=1 use_dest_devs=1")
	d.turns(1)
	d.wantQueued(fids, "0:1>2 1:1>2")
}

func TestTheNewestFilesCanBeMovedFirst(t *testing.T) {
	d, fids := newDrive(t, 3)
	d.set("queue_rate_for_rebal", "1")
	d.begin("from_devices=1 fid_age=new")
	for _, want := range []string{"2:1>2,3", "1:1>2,3 2:1>2,3", "0:1>2,3 1:1>2,3 2:1>2,3"} {
		d.turns(1)
		d.wantQueued(fids, want)
	}
	d.turns(1)
	d.wantOver()
}

func TestLimitsOfARebalanceHold(t *testing.T) {
	for policy, want := range map[string]int{
		"limit_by=count limit=2":                          2 + 1,
		"limit_by=count limit=3 limit_type=global":        3,
		"limit_by=count limit=1 limit_type=global":        1,
		fmt.Sprint("limit_by=size limit=", 2*length+1024): 3 + 1,
		"limit_by=size limit=1000":                        0, // not worth looking
	} {
		d, fids := newDrive(t, 3)
		other := d.upload("other", 2)
		d.begin("from_devices=1,2 " + policy)
		d.turns(6)
		all := append(fids, other)
		if got := strings.Count(d.queuedFor(all), ":"); got != want {
			t.Errorf("%s: got %q queued; want %d", policy, d.queuedFor(all), want)
		}
		d.is(1, mogile.DevAlive)
		d.is(2, mogile.DevAlive)
		d.wantOver()
	}
}

func TestARebalanceWithoutDestinationWaits(t *testing.T) {
	d, fids := newDrive(t, 2)
	d.begin("from_devices=1 to_devices=2")
	d.setState(2, mogile.DevReadonly)
	d.turns(3)
	d.wantQueued(fids, "")
	if got := d.setting("rebal_waits"); got != "no device may take files now" {
		t.Errorf("got %q waited for; want the reason", got)
	}
	before := d.state().EmptyRuns
	d.clock = d.clock.Add(20 * time.Second)
	d.turns(2)
	if got := d.state().EmptyRuns; got != before+1 {
		t.Errorf("got %d signs of life after 20 s; want one more than %d", got, before)
	}
	d.setState(2, mogile.DevAlive)
	d.turns(1)
	d.wantQueued(fids, "0:1>2 1:1>2")
	if got := d.setting("rebal_waits"); got != "" {
		t.Errorf("got %q waited for; want nothing", got)
	}
}

func TestADownDeviceDoesNotHoldARebalanceUp(t *testing.T) {
	d, fids := newDrive(t, 1)
	other := d.upload("other", 2)
	d.begin("from_devices=1,2")
	d.setState(1, mogile.DevDown)
	d.turns(1)
	d.wantQueued(append(fids, other), "1:2>3")
	d.turns(2)
	d.is(1, mogile.DevDown)
	d.wantOver()
}

func TestADeviceThatDoesNotAnswerComesLast(t *testing.T) {
	d, fids := newDrive(t, 1)
	other := d.upload("other", 2)
	d.begin("from_devices=1,2")
	d.silence(1)
	d.turns(2)
	d.wantQueued(append(fids, other), "1:2>3")
	d.turns(2)
	if got := d.setting("rebal_waits"); !strings.Contains(got, "answers") {
		t.Errorf("got %q waited for; want the device that does not answer", got)
	}
	d.is(1, mogile.DevAlive)
	d.is(2, mogile.DevAlive)
}

// silence has the monitor see a device as unreachable.
func (d *drive) silence(dev mogile.DevID) {
	d.live.Observe(topology.Observations{
		Devices: map[mogile.DevID]topology.DeviceSeen{dev: {State: topology.SeenUnreachable}},
	})
}

func TestARebalanceIsTakenOverFromATrackerThatDied(t *testing.T) {
	d, fids := newDrive(t, 4)
	d.set("queue_rate_for_rebal", "2")
	d.begin("from_devices=1")
	d.turns(1)
	dead := d.b
	d.restart("there")
	for range 5 {
		d.turns(1)
		d.clock = d.clock.Add(14 * time.Second)
	}
	if got := d.setting("rebal_host"); got != "here" {
		t.Fatalf("got the host %q while its minute lasts; want here", got)
	}
	d.turns(1)
	if got := d.setting("rebal_host"); got != "there" {
		t.Fatalf("got the host %q; want there", got)
	}
	d.check(dead.Turn(t.Context())) // it was only slow, and leaves it alone
	d.wantQueued(fids, "0:1>2,3 1:1>2,3")
	d.turns(2)
	d.wantQueued(fids, "0:1>2,3 1:1>2,3 2:1>2,3 3:1>2,3")
	d.is(1, mogile.DevAlive)
	d.wantOver()
}

func TestARebalanceThatGoesOnIsLeftToItsTracker(t *testing.T) {
	for name, alive := range map[string]func(d *drive, owner *injector.Rebalance){
		"it queues": func(d *drive, owner *injector.Rebalance) { d.check(owner.Turn(d.t.Context())) },
		"it waits": func(d *drive, owner *injector.Rebalance) {
			d.setState(2, mogile.DevReadonly)
			d.setState(3, mogile.DevReadonly)
			d.check(owner.Turn(d.t.Context()))
		},
		"there is no room": func(d *drive, _ *injector.Rebalance) { d.set("queue_size_for_rebal", "1") },
	} {
		d, _ := newDrive(t, 20)
		d.set("queue_rate_for_rebal", "1")
		d.begin("from_devices=1")
		d.turns(1)
		owner := d.b
		d.restart("there")
		for range 10 {
			alive(d, owner)
			d.turns(1)
			d.clock = d.clock.Add(20 * time.Second)
		}
		if got := d.setting("rebal_host"); got != "here" {
			t.Errorf("%s: got the host %q; want here", name, got)
		}
	}
}

// The tracker that should hear it is dead, and the queue full.
func TestAStopIsHeardByAnotherTracker(t *testing.T) {
	d, _ := newDrive(t, 4)
	d.set("queue_size_for_rebal", "1")
	d.begin("from_devices=1")
	d.turns(1)
	d.is(1, mogile.DevDrain)
	d.set("rebal_signal", "stop")
	d.restart("there")
	for range 6 {
		d.turns(1)
		d.clock = d.clock.Add(20 * time.Second)
	}
	d.is(1, mogile.DevAlive)
	d.wantOver()
}

// Two trackers with one name: one at a time.
func TestTrackersOfOneNameAreKeptApart(t *testing.T) {
	d, fids := newDrive(t, 2)
	d.begin("from_devices=1")
	release, err := d.db.Lock(t.Context(), "mgfs:rebalance", 0)
	d.check(err)
	d.turns(1)
	d.wantQueued(fids, "")
	release()
	d.turns(1)
	d.wantQueued(fids, "0:1>2,3 1:1>2,3")
}

// What an operator resets and begins anew is not written over by a pass under way.
func TestAPassThatLostItsRunChangesNothing(t *testing.T) {
	d, _ := newDrive(t, 2)
	d.begin("from_devices=1")
	d.turns(1)
	old := d.setting("rebal_state")
	d.store.Store = interrupted{d.db, func() { d.set("rebal_state", "completed_devs= source_devs=2") }}
	d.turns(1)
	if got := d.setting("rebal_state"); got != "completed_devs= source_devs=2" || got == old {
		t.Errorf("got state %q; want what came between", got)
	}
}

// interrupted has something happen before settings are changed.
type interrupted struct {
	store.Store
	between func()
}

func (s interrupted) ChangeSettings(ctx context.Context, decide func(map[string]string) (store.SettingChanges, error)) error {
	s.between()
	return s.Store.ChangeSettings(ctx, decide)
}

// A peer drains the device and writes nothing down; it would make it alive.
func TestARunOfAPeerIsGoneOnWith(t *testing.T) {
	d, fids := newDrive(t, 3)
	d.setState(1, mogile.DevDrain)
	d.set("rebal_policy", "from_devices=1")
	d.set("rebal_state", fmt.Sprintf("completed_devs=, source_devs= sdev_current=1 sdev_lastfid=%d sdev_limit=none fids_queued=1", fids[0]))
	d.set("rebal_host", "here")
	d.turns(1)
	d.wantQueued(fids, "1:1>2,3 2:1>2,3")
	d.turns(1)
	d.is(1, mogile.DevAlive)
	d.wantOver()
}

// A peer that ends a run of ours does not know what the device was.
func TestADeviceThatAPeerHasLeftInDrainIsPutBack(t *testing.T) {
	d, _ := newDrive(t, 3)
	d.begin("from_devices=1")
	d.turns(1)
	d.check(d.db.UnsetSetting(t.Context(), "rebal_host"))
	d.turns(1)
	d.is(1, mogile.DevAlive)
	d.wantOver()
}

func TestATextThatOnlyPeersTakeIsSaid(t *testing.T) {
	d, fids := newDrive(t, 1)
	d.begin("from_devices=1")
	d.set("rebal_policy", "from_percent_used=80%")
	text := d.setting("rebal_state")
	d.turns(2)
	d.wantQueued(fids, "")
	if got := d.setting("rebal_waits"); !strings.Contains(got, "from_percent_used") || d.setting("rebal_state") != text {
		t.Errorf("got %q waited for, state %q; want the policy said, and the state as it was", got, d.setting("rebal_state"))
	}
	d.set("rebal_signal", "stop")
	d.turns(1)
	d.wantOver()
}

// Whatever change of a rebalance fails, before it is made or after, the next tracker
// goes on to the same end.
func TestARebalanceEndsWellWhereverItIsCutOff(t *testing.T) {
	for _, was := range []mogile.DevState{mogile.DevAlive, mogile.DevDrain} {
		for _, after := range []bool{false, true} {
			for n := 1; ; n++ {
				d, fids := newDrive(t, 3)
				d.setState(1, was)
				d.set("queue_rate_for_rebal", "2")
				d.begin("from_devices=1")
				d.store.fail(n, after)
				var died error
				for i := 0; i < 20 && d.setting("rebal_host") != ""; i++ {
					if err := d.b.Turn(t.Context()); err != nil {
						died = err
						d.restart("here")
					}
				}
				if died == nil && d.store.failed == "" {
					if n < 6 {
						t.Errorf("got %d changes; want more", n-1)
					}
					break
				}
				if !errors.Is(died, errInjected) {
					t.Errorf("%s: got error %v; want the one injected", d.store.failed, died)
				}
				d.is(1, was)
				d.wantQueued(fids, "0:1>2,3 1:1>2,3 2:1>2,3")
				d.wantOver()
			}
		}
	}
}
