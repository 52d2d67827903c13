package job_test

import (
	"context"
	"fmt"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/fsck"
	"github.com/mogilefs/caddy-mogilefs/tracker/job"
	"github.com/mogilefs/caddy-mogilefs/tracker/node"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
	"github.com/mogilefs/caddy-mogilefs/tracker/store/sqlstore"
	"github.com/mogilefs/caddy-mogilefs/tracker/topology"
)

// steer changes the settings of fsck as the commands do.
func steer(t *testing.T, db store.Store, decide func(now map[string]string, f fsck.Facts) fsck.Changes) {
	t.Helper()
	ctx := t.Context()
	f := fsck.Facts{Now: must(db.Now(ctx))(t), MaxFID: must(db.MaxFID(ctx))(t), MaxLogID: must(db.LastFsckEvent(ctx))(t)}
	err := db.ChangeSettings(ctx, func(now map[string]string) (store.SettingChanges, error) {
		return store.SettingChanges(decide(now, f)), nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func startsAt(host string) func(map[string]string, fsck.Facts) fsck.Changes {
	return func(now map[string]string, f fsck.Facts) fsck.Changes { return fsck.Start(now, host, f) }
}

func stops(_ map[string]string, f fsck.Facts) fsck.Changes { return fsck.Stop(f.Now) }

func resets(behind mogile.FID, onlyPolicy bool) func(map[string]string, fsck.Facts) fsck.Changes {
	return func(now map[string]string, f fsck.Facts) fsck.Changes { return fsck.Reset(now, behind, onlyPolicy, f) }
}

func runOf(t *testing.T, db store.Settings) fsck.Run {
	t.Helper()
	return fsck.Read(must(db.AllSettings(t.Context()))(t))
}

// office is a rig whose tracker is called here, with some files.
func newFsckRun(t *testing.T, files int, config job.Config) (*rig, []mogile.FID) {
	t.Helper()
	r := newRig(t, twice, one, two, three)
	config.Hostname = "here"
	if config.Workers == nil {
		config.Workers = onlyFsck.Workers
	}
	r.hire(config)
	var fids []mogile.FID
	for i := range files {
		fids = append(fids, r.file(mogile.Key(fmt.Sprint(i)), none))
	}
	return r, fids
}

// fsckIs starts, stops or resets, and wakes the tracker as the commands do.
func (r *rig) fsckIs(decide func(map[string]string, fsck.Facts) fsck.Changes) {
	r.t.Helper()
	steer(r.t, r.store, decide)
	r.jobs.Wake(store.FsckQueue)
}

// checked waits until so many rows are finished.
func (r *rig) checked(n int) {
	r.t.Helper()
	for range n {
		if got := r.await(); got.queue != store.FsckQueue || got.fate != "finished" {
			r.t.Fatalf("got %+v; want a file checked", got)
		}
	}
}

// eventually waits until something is so.
func eventually(t *testing.T, what string, so func() bool) {
	t.Helper()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for deadline := time.After(patience); !so(); {
		select {
		case <-ticker.C:
		case <-deadline:
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

func (r *rig) over() bool { return !runOf(r.t, r.store).Running() }

func TestFsckChecksAllFilesAndEnds(t *testing.T) {
	r, fids := newFsckRun(t, 25, job.Config{})
	r.lose(fids[3], 1)
	r.spoil(fids[20], 2, "hell")
	r.start()
	r.fsckIs(startsAt("here"))
	r.checked(len(fids))
	eventually(t, "the run ends", r.over)
	run := runOf(t, r.store)
	if run.Highest != fids[24] || run.Queued != 25 || run.Stopped == 0 {
		t.Errorf("got run %+v; want it at its end, with 25 files", run)
	}
	r.check(r.store.FoldFsckLog(t.Context()))
	if got := fmt.Sprint(runOf(t, r.store).Counts); got != "[{BLEN 1} {MISS 1} {REPL 2}]" {
		t.Errorf("got events %s; want what is bad and what is queued", got)
	}
	r.file("later", none)
	r.fsckIs(startsAt("here"))
	r.checked(1) // only what came since
}

func TestFsckStopsAndGoesOn(t *testing.T) {
	r, fids := newFsckRun(t, 9, job.Config{})
	r.set("queue_rate_for_fsck", "3")
	r.start()
	r.fsckIs(startsAt("here"))
	r.checked(3)
	r.fsckIs(stops)
	at := runOf(t, r.store).Highest
	left := 0
	for _, fid := range fids {
		if fid > at {
			left++
		}
	}
	r.checked(len(fids) - left - 3) // what was queued already
	if left == 0 || left == len(fids) {
		t.Fatalf("stopped at fid %d; want in the middle", at)
	}
	r.fsckIs(startsAt("here"))
	r.checked(left)
	eventually(t, "the run ends", r.over)
}

func TestAResetBeginsAnewAndCanLeaveTheCopiesAlone(t *testing.T) {
	r, fids := newFsckRun(t, 6, job.Config{})
	r.start()
	r.fsckIs(startsAt("here"))
	r.checked(6)
	eventually(t, "the run ends", r.over)
	r.lose(fids[5], 1)
	r.fsckIs(resets(fids[2], true))
	r.fsckIs(startsAt("here"))
	r.checked(3)
	if got := r.events(); got != "" {
		t.Errorf("only the policy is asked: got events %q; want none", got)
	}
	eventually(t, "the run ends", r.over)
	r.fsckIs(resets(0, false))
	r.fsckIs(startsAt("here"))
	r.checked(6)
	if got := r.events(); got != "MISS/1 REPL" {
		t.Errorf("got events %q; want the missing copy found", got)
	}
}

func TestFsckQueuesNoMoreThanTheSettingsSay(t *testing.T) {
	r, fids := newFsckRun(t, 12, job.Config{Workers: map[job.Name]int{job.Fsck: 0, job.Replicate: 0}})
	r.set("queue_size_for_fsck", "5")
	r.start()
	r.fsckIs(startsAt("here"))
	eventually(t, "files are queued", func() bool { return runOf(t, r.store).Highest == fids[4] })
	if n := must(r.store.WorkLength(t.Context(), store.FsckWork))(t); n != 5 {
		t.Errorf("got %d rows; want 5", n)
	}
	r.jobs.Want(job.Fsck, 2)
	r.checked(len(fids))
}

// Files of a device that is down wait for it; those that can be checked don't wait for
// them.
func TestFilesThatCanNotBeCheckedDoNotFillTheQueue(t *testing.T) {
	r, fids := newFsckRun(t, 6, job.Config{})
	for _, fid := range fids[:4] {
		r.check(r.store.EnqueueWork(t.Context(), store.WorkRow{FID: fid, Kind: store.FsckWork}))
		r.check(r.store.Store.Postpone(t.Context(), store.FsckQueue, fid, time.Hour, 5))
	}
	r.set("queue_size_for_fsck", "4")
	r.start()
	r.fsckIs(startsAt("here"))
	r.checked(2)
	eventually(t, "the run ends", r.over)
	if n := must(r.store.WorkLength(t.Context(), store.FsckWork))(t); n != 4 {
		t.Errorf("got %d rows left; want the 4 that wait", n)
	}
}

func TestWithoutMasterNoFilesAreQueued(t *testing.T) {
	r, fids := newFsckRun(t, 3, job.Config{})
	r.jobs.Want(job.Master, 0)
	r.start()
	r.fsckIs(startsAt("here"))
	r.check(r.jobs.Refresh(t.Context()))
	if run := runOf(t, r.store); run.Highest != 0 {
		t.Errorf("got files queued up to %d; want none", run.Highest)
	}
	r.jobs.Want(job.Master, 1)
	r.checked(len(fids))
}

func TestTwoTrackersOfOneNameDoNotBothQueueFiles(t *testing.T) {
	r, fids := newFsckRun(t, 3, job.Config{})
	release := must(r.store.Lock(t.Context(), "mgfs:fsck", 0))(t)
	r.start()
	r.fsckIs(startsAt("here"))
	r.check(r.jobs.Refresh(t.Context()))
	if run := runOf(t, r.store); run.Highest != 0 {
		t.Errorf("got files queued up to %d while another does it; want none", run.Highest)
	}
	release()
	r.checked(len(fids))
}

// Whatever call fails while files are queued: all are checked, and the run ends.
func TestQueueingFilesSurvivesAFailureAtAnyCall(t *testing.T) {
	for n := 1; ; n++ {
		r, fids := newFsckRun(t, 4, job.Config{})
		fragile := &fragileSettings{watchedStore: r.store, failAt: n}
		r.jobs.Close()
		r.hireOn(fragile)
		r.start()
		r.fsckIs(startsAt("here"))
		seen := map[mogile.FID]bool{}
		for len(seen) < len(fids) {
			seen[r.await().fid] = true
		}
		eventually(t, "the run ends", r.over)
		r.jobs.Close()
		if fragile.failAt > 0 {
			if n < 5 {
				t.Errorf("got %d calls that can fail; want more", n-1)
			}
			return
		}
	}
}

// fragileSettings fails one call of those that queue files.
type fragileSettings struct {
	*watchedStore
	failAt int // only the injector calls what counts it down
}

func (s *fragileSettings) fail() error {
	if s.failAt--; s.failAt == 0 {
		return errInjected
	}
	return nil
}

func (s *fragileSettings) FilesAfter(ctx context.Context, fid mogile.FID, limit int) ([]store.File, error) {
	if err := s.fail(); err != nil {
		return nil, err
	}
	return s.watchedStore.FilesAfter(ctx, fid, limit)
}

func (s *fragileSettings) EnqueueWork(ctx context.Context, rows ...store.WorkRow) error {
	if err := s.fail(); err != nil {
		return err
	}
	return s.watchedStore.EnqueueWork(ctx, rows...)
}

func (s *fragileSettings) DueWithin(ctx context.Context, q store.QueueName, d time.Duration) (int64, error) {
	if err := s.fail(); err != nil {
		return 0, err
	}
	return s.watchedStore.DueWithin(ctx, q, d)
}

func (s *fragileSettings) ChangeSettings(ctx context.Context, decide func(map[string]string) (store.SettingChanges, error)) error {
	if err := s.fail(); err != nil {
		return err
	}
	return s.watchedStore.ChangeSettings(ctx, decide)
}

// hireOn makes the jobs anew, on another store.
func (r *rig) hireOn(db job.Store) {
	r.jobs = job.New(job.Config{
		Store: db, Topology: r.live, Nodes: r.nodes, Logger: zap.NewNop(), Hostname: "here", Workers: onlyFsck.Workers,
	})
	r.t.Cleanup(r.jobs.Close)
}

// trackers runs fn in a bubble with a database, some files and no device, and starts
// trackers of these names, whose checks are held.
func trackers(t *testing.T, files int, names []string, fn func(t *testing.T, db store.Store)) {
	trackersOn(t, files, names, func(db store.Store) store.Store { return db }, fn)
}

// trackersOn has them work on what wrap makes of the database.
func trackersOn(t *testing.T, files int, names []string, wrap func(store.Store) store.Store, fn func(t *testing.T, db store.Store)) {
	synctest.Test(t, func(t *testing.T) {
		db := must(sqlstore.OpenSQLite(t.Context(), ":memory:", zap.NewNop()))(t)
		defer db.Close()
		domain := must(db.CreateDomain(t.Context(), "images"))(t)
		for i := range files {
			key := mogile.Key(strconv.Itoa(i))
			fid := must(db.OpenUpload(t.Context(), store.Upload{Domain: domain, Key: key, Devices: one}))(t)
			must(db.CloseUpload(t.Context(), store.Closing{FID: fid, Dev: 1, Domain: domain, Key: key, Length: 1}))(t)
		}
		for _, name := range names {
			live := topology.New(db, topology.Config{})
			if err := live.Reload(t.Context()); err != nil {
				t.Fatal(err)
			}
			jobs := job.New(job.Config{
				Store: wrap(db), Topology: live, Nodes: node.New(node.Config{}), Logger: zap.NewNop(), Hostname: name,
				Workers: map[job.Name]int{job.Fsck: 0, job.Replicate: 0, job.Delete: 0},
			})
			jobs.Start()
			defer jobs.Close()
		}
		pass(time.Second)
		fn(t, db)
	})
}

// drained has a file checked as soon as others are queued.
type drained struct{ store.Store }

func (s drained) EnqueueWork(ctx context.Context, rows ...store.WorkRow) error {
	err := s.Store.EnqueueWork(ctx, rows...)
	if err == nil {
		err = s.Finish(ctx, store.FsckQueue, store.Item{FID: rows[0].FID})
	}
	return err
}

func TestAFullQueueIsNotFilledRowByRow(t *testing.T) {
	wrap := func(db store.Store) store.Store { return drained{db} }
	trackersOn(t, 50, []string{"here"}, wrap, func(t *testing.T, db store.Store) {
		if err := db.SetSetting(t.Context(), "queue_size_for_fsck", "20"); err != nil {
			t.Fatal(err)
		}
		steer(t, db, startsAt("here"))
		pass(10 * time.Second)
		if run := runOf(t, db); run.Highest < 22 || run.Highest > 30 {
			t.Errorf("got files up to %d queued; want 20, and then one a second", run.Highest)
		}
	})
}

func TestADeadTrackersFsckIsTakenOver(t *testing.T) {
	trackers(t, 5, []string{"a", "b"}, func(t *testing.T, db store.Store) {
		steer(t, db, startsAt("dead"))
		pass(50 * time.Second)
		if run := runOf(t, db); run.Host != "dead" || run.Highest != 0 {
			t.Errorf("within a minute: got run %+v; want it left alone", run)
		}
		pass(40 * time.Second)
		run := runOf(t, db)
		if n := must(db.WorkLength(t.Context(), store.FsckWork))(t); n != 5 || run.Running() || run.Queued != 5 {
			t.Errorf("after it: got %d files queued, run %+v; want all, each once", n, run)
		}
	})
}

func TestATrackerThatMovesOnIsLeftAlone(t *testing.T) {
	trackers(t, 5, []string{"a"}, func(t *testing.T, db store.Store) {
		steer(t, db, startsAt("slow"))
		for i := range 4 {
			pass(50 * time.Second)
			if run := runOf(t, db); run.Host != "slow" {
				t.Fatalf("got run %+v; want the slow tracker's", run)
			}
			steer(t, db, func(now map[string]string, _ fsck.Facts) fsck.Changes {
				c, err := fsck.Advance(now, fsck.Read(now), mogile.FID(i+1), 1)
				if err != nil {
					t.Error(err)
				}
				return c
			})
		}
	})
}

func TestATrackerThatHasNoRoomIsLeftAlone(t *testing.T) {
	trackers(t, 5, []string{"a"}, func(t *testing.T, db store.Store) {
		if err := db.SetSetting(t.Context(), "queue_size_for_fsck", "1"); err != nil {
			t.Fatal(err)
		}
		if err := db.EnqueueWork(t.Context(), store.WorkRow{FID: 1, Kind: store.FsckWork}); err != nil {
			t.Fatal(err)
		}
		steer(t, db, startsAt("waiting"))
		pass(5 * time.Minute)
		if run := runOf(t, db); run.Host != "waiting" || run.Highest != 0 {
			t.Errorf("got run %+v; want it left alone", run)
		}
	})
}
