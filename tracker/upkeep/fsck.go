package upkeep

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/fsck"
	"github.com/mogilefs/caddy-mogilefs/tracker/protocol"
	"github.com/mogilefs/caddy-mogilefs/tracker/rebalance"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
)

// maxEvents is how much of the fsck log one answer shows at most.
const maxEvents = 100

// steer begins a run of fsck or sets it back. A database that does not take it answers
// db.
func (u *Upkeep) steer(ctx context.Context, decide func(now map[string]string, f fsck.Facts) (fsck.Changes, error)) error {
	f, err := u.fsckFacts(ctx)
	if err == nil {
		err = u.change(ctx, func(now map[string]string) (store.SettingChanges, error) {
			changes, err := decide(now, f)
			return store.SettingChanges(changes), err
		})
	}
	if err != nil && !isAnswer(err) {
		err = fmt.Errorf("%w: %w", protocol.Fail(protocol.DB), err)
	}
	return err
}

func (u *Upkeep) fsckFacts(ctx context.Context) (f fsck.Facts, err error) {
	if f.Now, err = u.store.Now(ctx); err != nil {
		return f, err
	}
	if f.MaxFID, err = u.store.MaxFID(ctx); err != nil {
		return f, err
	}
	f.MaxLogID, err = u.store.LastFsckEvent(ctx)
	return f, err
}

func (u *Upkeep) fsckStart(ctx context.Context, _ call) error {
	self, err := u.self()
	if err != nil {
		return err
	}
	err = u.steer(ctx, func(now map[string]string, f fsck.Facts) (fsck.Changes, error) {
		switch {
		case now[fsck.HostField] != "":
			return fsck.Changes{}, protocol.Failf(protocol.FsckRunning, "fsck is already running")
		case now[rebalance.HostField] != "":
			return fsck.Changes{}, protocol.Failf(protocol.RebalRunning, "rebalance running; cannot run fsck at same time")
		}
		return fsck.Start(now, self, f), nil
	})
	if err == nil {
		u.jobs.Wake(store.FsckQueue)
	}
	return err
}

func (u *Upkeep) fsckStop(ctx context.Context, _ call) error {
	at, err := u.store.Now(ctx)
	if err != nil {
		return fmt.Errorf("stop fsck: %w", err)
	}
	return u.change(ctx, func(map[string]string) (store.SettingChanges, error) {
		return store.SettingChanges(fsck.Stop(at)), nil
	})
}

func (u *Upkeep) fsckReset(ctx context.Context, in call) error {
	behind := mogile.FID(max(in.num("startpos"), 0))
	err := u.steer(ctx, func(now map[string]string, f fsck.Facts) (fsck.Changes, error) {
		return fsck.Reset(now, behind, in.truthy("policy_only"), f), nil
	})
	if err == nil {
		u.jobs.Wake(store.FsckQueue)
	}
	return err
}

func (u *Upkeep) fsckClearLog(ctx context.Context, _ call) error {
	if err := u.store.ClearFsckLog(ctx); err != nil {
		return fmt.Errorf("clear fsck log: %w", err)
	}
	return nil
}

func (u *Upkeep) fsckGetLog(ctx context.Context, in call) error {
	events, err := u.store.FsckEvents(ctx, in.num("after_logid"), maxEvents)
	if err != nil {
		return fmt.Errorf("read fsck log: %w", err)
	}
	in.out.AddInt("row_count", int64(len(events)))
	for i, e := range events {
		prefix := numbered("row_", i) + "_"
		in.out.AddInt(prefix+"logid", e.LogID)
		in.out.AddInt(prefix+"utime", e.Time)
		if e.FID != 0 {
			in.out.Add(prefix+"fid", e.FID.String())
		}
		if e.Code != "" {
			in.out.Add(prefix+"evcode", e.Code)
		}
		if e.Dev != 0 {
			in.out.Add(prefix+"devid", e.Dev.String())
		}
	}
	return nil
}

// fsckStatus counts what the checks have found since the last time. When another tracker
// is busy with just that, it shows what is counted.
func (u *Upkeep) fsckStatus(ctx context.Context, in call) error {
	if err := u.store.FoldFsckLog(ctx); err != nil && !errors.Is(err, store.ErrLocked) {
		return fmt.Errorf("count fsck events: %w", err)
	}
	settings, err := u.store.AllSettings(ctx)
	if err != nil {
		return fmt.Errorf("read settings: %w", err)
	}
	f, err := u.fsckFacts(ctx)
	if err != nil {
		return fmt.Errorf("read the state of fsck: %w", err)
	}
	r := fsck.Read(settings)
	in.out.Add("running", flag(r.Running()))
	in.out.Add("host", r.Host)
	in.out.Add("max_fid_checked", r.Highest.String())
	in.out.Add("policy_only", flag(r.PolicyOnly))
	in.out.Add("end_fid", r.End.String())
	in.out.AddInt("start_time", r.Started)
	in.out.AddInt("stop_time", r.Stopped)
	in.out.AddInt("current_time", f.Now)
	in.out.AddInt("max_logid", f.MaxLogID)
	if err := u.fsckProgress(ctx, in, r, f.Now); err != nil {
		return fmt.Errorf("read the state of fsck: %w", err)
	}
	for _, count := range r.Counts {
		in.out.AddInt("num_"+string(count.Code), count.N)
	}
	return nil
}

// fsckProgress is what peers don't tell: how many files are checked since the start, how
// many that is in a second, and how many are queued yet. It says nothing of a run that a
// peer queues files for, as that does not count them.
func (u *Upkeep) fsckProgress(ctx context.Context, in call, r fsck.Run, now int64) error {
	waiting, err := u.store.WorkLength(ctx, store.FsckWork)
	if err != nil || r.Queued == 0 {
		return err
	}
	checked, perSecond := r.Progress(now, waiting)
	in.out.AddInt("files_checked", checked)
	in.out.AddInt("files_waiting", waiting)
	in.out.Add("files_per_second", strconv.FormatFloat(perSecond, 'f', 1, 64))
	return nil
}

func flag(is bool) string {
	if is {
		return "1"
	}
	return "0"
}
