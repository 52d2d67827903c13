package injector

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/fsck"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
)

const (
	checkLock  = "mgfs:fsck"
	checkEvery = time.Second // as peers do
	// watchEvery is how often a check looks whether the tracker that queues its files still
	// lives.
	watchEvery = 10 * time.Second
	// foldEvery is how often what was logged is counted; who asks counts, too.
	foldEvery = 10 * time.Second
	// queueHorizon: rows due later than that don't count as waiting. They are of files
	// that can't be checked now, and must not keep the others waiting.
	queueHorizon = 2 * time.Minute
)

// CheckStore is what a [Check] reads and writes.
type CheckStore interface {
	FilesAfter(ctx context.Context, fid mogile.FID, limit int) ([]store.File, error)
	EnqueueWork(ctx context.Context, rows ...store.WorkRow) error
	DueWithin(ctx context.Context, q store.QueueName, d time.Duration) (int64, error)
	FoldFsckLog(ctx context.Context) error
	AllSettings(ctx context.Context) (map[string]string, error)
	ChangeSettings(ctx context.Context, decide func(now map[string]string) (store.SettingChanges, error)) error
	store.Clock
	store.Locks
}

// Check queues the files to be checked, if this is the tracker that the settings name
// (docs/spec/jobs.md §7.4). Should that one do nothing for a minute, another goes on in
// its stead. (With peers the run ends until an operator starts it again.)
type Check struct {
	config Config
	store  CheckStore
	rounds

	// Only Run touches these.
	folded time.Time
	vigil  vigil // over a run on another tracker
}

// NewCheck allocates one; nothing happens until [Check.Run].
func NewCheck(st CheckStore, config Config) *Check {
	return &Check{
		config: config.withDefaults(), store: st,
		rounds: newRounds(config.Logger.With(zap.String("job", "fsck"))),
	}
}

// Run queues files until ctx is over.
func (c *Check) Run(ctx context.Context) { c.run(ctx, "files are not queued to be checked", c.turn) }

// turn does what there is to do and says when to come again. What the monitor knows of
// the settings is good enough as long as nobody has said that there is something new.
func (c *Check) turn(ctx context.Context, called bool) (pause time.Duration, err error) {
	if c.held.Load() || (!called && c.config.Topology.Snapshot().Setting(fsck.HostField) == "") {
		c.vigil.end()
		return checkEvery, nil
	}
	if called { // the checks, too, go by the settings that just changed
		if err := c.config.Topology.Reload(ctx); err != nil {
			return checkEvery, err
		}
	}
	settings, err := c.store.AllSettings(ctx)
	if err != nil {
		return checkEvery, err
	}
	self, err := c.config.self()
	if err != nil {
		return checkEvery, err
	}
	pace := fsck.ReadPace(func(field string) string { return settings[field] })
	switch run := fsck.Read(settings); {
	case !run.Running():
		c.vigil.end()
		return checkEvery, nil
	case run.Host != self:
		return c.watch(ctx, run, pace, self)
	default:
		c.vigil.end()
		return c.inject(ctx, run, pace)
	}
}

// watch takes over from a tracker that has had reason to queue files for a while and has
// not.
func (c *Check) watch(ctx context.Context, run fsck.Run, pace fsck.Pace, self string) (time.Duration, error) {
	waiting, err := c.store.DueWithin(ctx, store.FsckQueue, queueHorizon)
	if err != nil {
		return watchEvery, err
	}
	sight := fmt.Sprintln(run.Host, run.Highest, run.End)
	if !c.vigil.keep(sight, waiting < pace.Size, c.config.Now()) {
		return watchEvery, nil
	}
	c.vigil.end()
	moved, err := c.change(ctx, func(now map[string]string) (fsck.Changes, error) { return fsck.TakeOver(now, run, self) })
	if moved || err != nil {
		return watchEvery, err
	}
	c.log.Warn("fsck is taken over from a tracker that did nothing", zap.String("tracker", run.Host), zap.Stringer("after fid", run.Highest))
	return 0, nil
}

// inject queues the next files.
//
// Order: 1. the rows are there, 2. the position is moved. A crash after 1 has the same
// files queued again, which are checked twice at most.
func (c *Check) inject(ctx context.Context, run fsck.Run, pace fsck.Pace) (time.Duration, error) {
	release, err := c.store.Lock(ctx, checkLock, 0)
	if errors.Is(err, store.ErrLocked) {
		return checkEvery, nil
	}
	if err != nil {
		return checkEvery, err
	}
	defer release()
	c.fold(ctx, foldEvery)
	waiting, err := c.store.DueWithin(ctx, store.FsckQueue, queueHorizon)
	if err != nil || waiting >= pace.Size {
		return checkEvery, err
	}
	portion := min(pace.Rate, int(pace.Size-waiting))
	files, err := c.store.FilesAfter(ctx, run.Highest, portion)
	if err != nil {
		return checkEvery, err
	}
	rows := rowsUpTo(files, run.End)
	if len(rows) == 0 {
		return checkEvery, c.end(ctx, run)
	}
	if err := c.store.EnqueueWork(ctx, rows...); err != nil {
		return checkEvery, err
	}
	c.config.Queued()
	moved, err := c.change(ctx, func(now map[string]string) (fsck.Changes, error) {
		return fsck.Advance(now, run, rows[len(rows)-1].FID, len(rows))
	})
	// When all the room is taken, it is not filled row by row as they are checked: each time
	// all that wait have to be counted.
	if err != nil || moved || pace.EverySecond || portion < pace.Rate {
		return checkEvery, err
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
func (c *Check) end(ctx context.Context, run fsck.Run) error {
	at, err := c.store.Now(ctx)
	if err != nil {
		return err
	}
	_, err = c.change(ctx, func(now map[string]string) (fsck.Changes, error) { return fsck.End(now, run, at) })
	if err == nil {
		c.log.Info("all files are queued to be checked", zap.Stringer("up to fid", run.End))
		c.fold(ctx, 0)
	}
	return err
}

// change changes the settings of a run, unless that has moved.
func (c *Check) change(ctx context.Context, decide func(now map[string]string) (fsck.Changes, error)) (moved bool, err error) {
	err = c.store.ChangeSettings(ctx, func(now map[string]string) (store.SettingChanges, error) {
		changes, err := decide(now)
		return store.SettingChanges(changes), err
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
func (c *Check) fold(ctx context.Context, every time.Duration) {
	if c.config.Now().Sub(c.folded) < every {
		return
	}
	c.folded = c.config.Now()
	if err := c.store.FoldFsckLog(ctx); err != nil && !errors.Is(err, store.ErrLocked) && ctx.Err() == nil {
		c.log.Warn("fsck log is not counted", zap.Error(err))
	}
}
