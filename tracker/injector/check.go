package checker

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/fsck"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
	"github.com/mogilefs/caddy-mogilefs/tracker/topology"
)

// The clocks of whoever queues files to be checked.
const (
	injectEvery = time.Second // as peers do
	// watchEvery is how often one looks whether the tracker that does it still lives, and
	// takeOverAfter how long that may have done nothing.
	watchEvery    = 10 * time.Second
	takeOverAfter = time.Minute
	// foldEvery is how often what was logged is counted; who asks counts, too.
	foldEvery = 10 * time.Second
	// queueHorizon: rows due later than that don't count as waiting. They are of files
	// that can't be checked now, and must not keep the others waiting.
	queueHorizon = 2 * time.Minute
)

// fsckInjectLock keeps trackers of one hostname apart.
const fsckInjectLock = "mgfs:fsck"

// Runs is what an [Injector] reads and writes.
type Runs interface {
	FilesAfter(ctx context.Context, fid mogile.FID, limit int) ([]store.File, error)
	EnqueueWork(ctx context.Context, rows ...store.WorkRow) error
	DueWithin(ctx context.Context, q store.QueueName, d time.Duration) (int64, error)
	FoldFsckLog(ctx context.Context) error
	AllSettings(ctx context.Context) (map[string]string, error)
	ChangeSettings(ctx context.Context, decide func(now map[string]string) (store.SettingChanges, error)) error
	store.Clock
	store.Locks
}

// Injector queues the files to be checked, if this is the tracker that the settings name
// (docs/spec/jobs.md §7.4). Should that one do nothing for a minute, another goes on in
// its stead. (With peers the run ends until an operator starts it again.)
type Injector struct {
	InjectorConfig
	log *zap.Logger

	woken chan struct{} // holds one
	held  atomic.Bool   // by the operator's word on job_master

	// Only Run touches these.
	folded time.Time
	stuck  fsck.Run  // another's run as it was
	since  time.Time // when that was seen first
	failed bool
}

// InjectorConfig is what an injector works with.
type InjectorConfig struct {
	Store    Runs
	Topology *topology.Live
	// Hostname is what the settings call this tracker. Optional; empty means what the
	// system calls the machine.
	Hostname string
	// Queued is called when there are files to be checked.
	Queued func()
	Logger *zap.Logger
}

// NewInjector allocates an Injector.
func NewInjector(config InjectorConfig) *Injector {
	return &Injector{InjectorConfig: config, log: config.Logger, woken: make(chan struct{}, 1)}
}

// Wake says that the settings of a run may have changed. It never waits.
func (i *Injector) Wake() {
	select {
	case i.woken <- struct{}{}:
	default:
	}
}

// Hold keeps it from queueing anything, or no longer.
func (i *Injector) Hold(held bool) {
	i.held.Store(held)
	i.Wake()
}

// Run queues files until ctx is over.
func (i *Injector) Run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		told := i.rest(ctx, timer.C)
		if ctx.Err() != nil {
			return
		}
		pause, err := i.pass(ctx, told)
		if failed := err != nil && ctx.Err() == nil; failed && !i.failed {
			i.log.Error("files are not queued to be checked", zap.Error(err))
			i.failed = true
		} else if !failed {
			i.failed = false
		}
		timer.Reset(pause)
	}
}

// rest waits for the next pass and reports whether somebody has told of something new by
// then.
func (i *Injector) rest(ctx context.Context, timer <-chan time.Time) (told bool) {
	select {
	case <-timer:
	case <-i.woken:
		return true
	case <-ctx.Done():
		return false
	}
	select {
	case <-i.woken:
		return true
	default:
		return false
	}
}

// pass does what there is to do and says when to come again. What the monitor knows of
// the settings is good enough as long as nobody has said that there is something new.
func (i *Injector) pass(ctx context.Context, told bool) (pause time.Duration, err error) {
	if i.held.Load() || (!told && i.Topology.Snapshot().Setting(fsck.HostField) == "") {
		i.since = time.Time{}
		return injectEvery, nil
	}
	if told { // the checks, too, go by the settings that just changed
		if err := i.Topology.Reload(ctx); err != nil {
			return injectEvery, err
		}
	}
	settings, err := i.Store.AllSettings(ctx)
	if err != nil {
		return injectEvery, err
	}
	self, err := i.self()
	if err != nil {
		return injectEvery, err
	}
	pace := fsck.ReadPace(func(field string) string { return settings[field] })
	switch run := fsck.Read(settings); {
	case !run.Running():
		i.since = time.Time{}
		return injectEvery, nil
	case run.Host != self:
		return i.watch(ctx, run, pace, self)
	default:
		return i.inject(ctx, run, pace)
	}
}

// self is what the settings call this tracker.
func (i *Injector) self() (string, error) {
	if i.Hostname != "" {
		return i.Hostname, nil
	}
	return os.Hostname()
}

// watch takes over from a tracker that has had reason to queue files for a while and has
// not.
func (i *Injector) watch(ctx context.Context, run fsck.Run, pace fsck.Pace, self string) (time.Duration, error) {
	waiting, err := i.Store.DueWithin(ctx, store.FsckQueue, queueHorizon)
	if err != nil {
		return watchEvery, err
	}
	same := run.Host == i.stuck.Host && run.Highest == i.stuck.Highest && run.End == i.stuck.End
	if waiting >= pace.Size || !same || i.since.IsZero() {
		i.stuck, i.since = run, time.Now()
		return watchEvery, nil
	}
	if time.Since(i.since) < takeOverAfter {
		return watchEvery, nil
	}
	i.since = time.Time{}
	moved, err := i.change(ctx, func(now map[string]string) (fsck.Changes, error) { return fsck.TakeOver(now, run, self) })
	if moved || err != nil {
		return watchEvery, err
	}
	i.log.Warn("fsck is taken over from a tracker that did nothing", zap.String("tracker", run.Host), zap.Stringer("after fid", run.Highest))
	return 0, nil
}

// inject queues the next files.
//
// Order: 1. the rows are there, 2. the position is moved. A crash after 1 has the same
// files queued again, which are checked twice at most.
func (i *Injector) inject(ctx context.Context, run fsck.Run, pace fsck.Pace) (time.Duration, error) {
	release, err := i.Store.Lock(ctx, fsckInjectLock, 0)
	if errors.Is(err, store.ErrLocked) {
		return injectEvery, nil
	}
	if err != nil {
		return injectEvery, err
	}
	defer release()
	i.fold(ctx, foldEvery)
	waiting, err := i.Store.DueWithin(ctx, store.FsckQueue, queueHorizon)
	if err != nil || waiting >= pace.Size {
		return injectEvery, err
	}
	files, err := i.Store.FilesAfter(ctx, run.Highest, min(pace.Rate, int(pace.Size-waiting)))
	if err != nil {
		return injectEvery, err
	}
	rows := rowsUpTo(files, run.End)
	if len(rows) == 0 {
		return injectEvery, i.end(ctx, run)
	}
	if err := i.Store.EnqueueWork(ctx, rows...); err != nil {
		return injectEvery, err
	}
	i.Queued()
	moved, err := i.change(ctx, func(now map[string]string) (fsck.Changes, error) {
		return fsck.Advance(now, run, rows[len(rows)-1].FID, len(rows))
	})
	if err != nil || moved || pace.EverySecond {
		return injectEvery, err
	}
	return 0, nil
}

func rowsUpTo(files []store.File, end mogile.FID) []store.WorkRow {
	var rows []store.WorkRow
	for _, f := range files {
		if f.FID <= end {
			rows = append(rows, store.WorkRow{FID: f.FID, Kind: store.FsckWork})
		}
	}
	return rows
}

// end says that all files are queued. They are still to be checked.
func (i *Injector) end(ctx context.Context, run fsck.Run) error {
	at, err := i.Store.Now(ctx)
	if err != nil {
		return err
	}
	_, err = i.change(ctx, func(now map[string]string) (fsck.Changes, error) { return fsck.End(now, run, at) })
	if err == nil {
		i.log.Info("all files are queued to be checked", zap.Stringer("up to fid", run.End))
		i.fold(ctx, 0)
	}
	return err
}

// change changes the settings of a run, unless that has moved.
func (i *Injector) change(ctx context.Context, decide func(now map[string]string) (fsck.Changes, error)) (moved bool, err error) {
	err = i.Store.ChangeSettings(ctx, func(now map[string]string) (store.SettingChanges, error) {
		c, err := decide(now)
		return store.SettingChanges(c), err
	})
	if errors.Is(err, fsck.ErrMoved) {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("move fsck on: %w", err)
	}
	return false, nil
}

// fold counts what was logged. Nothing but what operators are shown depends on it.
func (i *Injector) fold(ctx context.Context, every time.Duration) {
	if time.Since(i.folded) < every {
		return
	}
	i.folded = time.Now()
	if err := i.Store.FoldFsckLog(ctx); err != nil && !errors.Is(err, store.ErrLocked) && ctx.Err() == nil {
		i.log.Warn("fsck log is not counted", zap.Error(err))
	}
}
