package job

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
	"github.com/mogilefs/caddy-mogilefs/tracker/store/sqlstore"
	"github.com/mogilefs/caddy-mogilefs/tracker/topology"
)

// reapedStore notes how much was reaped when. Its Reap can be made to fail.
type reapedStore struct {
	store.Store
	began time.Time

	mu      sync.Mutex // guards what follows
	reaped  []string   // second: number of files
	failing error
}

func (s *reapedStore) Reap(ctx context.Context, dev mogile.DevID, limit int) (int, error) {
	s.mu.Lock()
	failing := s.failing
	s.mu.Unlock()
	if failing != nil {
		return 0, failing
	}
	n, err := s.Store.Reap(ctx, dev, limit)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reaped = append(s.reaped, fmt.Sprintf("%d: %d", int(time.Since(s.began).Seconds()), n))
	return n, err
}

// NextDue takes what was queued for due: the database's clock is not that of the bubble.
func (s *reapedStore) NextDue(ctx context.Context, q store.QueueName) (time.Duration, error) {
	n, err := s.Waiting(ctx, q)
	if err == nil && n == 0 {
		err = store.ErrNotFound
	}
	return 0, err
}

func (s *reapedStore) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failing = err
}

// deathbed is a cluster of devices 1 and 2 on two hosts, with files on both, whose reaper is
// at work, in a bubble.
type deathbed struct {
	t      *testing.T
	store  *reapedStore
	live   *topology.Live
	reaper *reaper
	files  []mogile.FID
	queued int // of reaper's goroutine
}

// besideDeath runs a test with some files. Its d.t is that of the bubble.
func besideDeath(t *testing.T, files int, test func(d *deathbed)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		db, err := sqlstore.OpenSQLite(t.Context(), ":memory:", zap.NewNop())
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		d := &deathbed{t: t, store: &reapedStore{Store: db, began: time.Now()}}
		d.fill(files)
		d.live = topology.New(db, topology.Config{})
		d.check(d.live.Reload(t.Context()))
		d.reaper = newReaper(Config{Store: d.store, Topology: d.live, Logger: zap.NewNop()}, func() { d.queued++ })
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { d.reaper.run(ctx) })
		defer wg.Wait()
		defer cancel()
		// The reaper has had its first look, in which nobody is dead: who dies in the same
		// second is seen in the next.
		synctest.Wait()
		test(d)
	})
}

// pass lets time go by, and what is due then happen.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func (d *deathbed) check(err error) {
	d.t.Helper()
	if err != nil {
		d.t.Fatal(err)
	}
}

func (d *deathbed) fill(files int) {
	d.t.Helper()
	ctx := d.t.Context()
	dm, err := d.store.CreateDomain(ctx, "images")
	d.check(err)
	for i := range 2 {
		host, err := d.store.CreateHost(ctx, mogile.Host{Name: mogile.HostName(fmt.Sprint("host", i)), State: mogile.HostAlive, IP: fmt.Sprint("127.0.0.", i+1), Port: 7500})
		d.check(err)
		d.check(d.store.CreateDevice(ctx, mogile.Device{ID: mogile.DevID(i + 1), Host: host, State: mogile.DevAlive}))
	}
	for i := range files {
		fid, err := d.store.OpenUpload(ctx, store.Upload{Domain: dm})
		d.check(err)
		_, err = d.store.CloseUpload(ctx, store.Closing{FID: fid, Dev: 1, Domain: dm, Key: mogile.Key(fmt.Sprint(i))})
		d.check(err)
		d.check(d.store.AddCopy(ctx, fid, 2))
		d.files = append(d.files, fid)
	}
	for _, fid := range d.files {
		d.check(d.store.Finish(ctx, store.ReplicateQueue, store.Item{FID: fid}))
	}
}

func (d *deathbed) mark(dev mogile.DevID, state mogile.DevState) {
	d.t.Helper()
	d.check(d.store.SetDeviceState(d.t.Context(), dev, state))
	d.check(d.live.Reload(d.t.Context()))
}

func (d *deathbed) set(field, value string) {
	d.t.Helper()
	d.check(d.store.SetSetting(d.t.Context(), field, value))
	d.check(d.live.Reload(d.t.Context()))
}

// left is how many files have a copy on device 2.
func (d *deathbed) left() int {
	d.t.Helper()
	synctest.Wait()
	files, err := d.store.FilesOn(d.t.Context(), 2, store.Page{Limit: len(d.files) + 1})
	d.check(err)
	return len(files)
}

// wantReaped compares when how much was reaped.
func (d *deathbed) wantReaped(want ...string) {
	d.t.Helper()
	synctest.Wait()
	d.store.mu.Lock()
	defer d.store.mu.Unlock()
	if diff := cmp.Diff(want, d.store.reaped); diff != "" {
		d.t.Errorf("got %v reaped; want %v\n%s", d.store.reaped, want, diff)
	}
}

func TestADeadDeviceIsReapedWhenAllHaveSeenIt(t *testing.T) {
	besideDeath(t, 3, func(d *deathbed) {
		d.mark(2, mogile.DevDead)
		pass(15 * time.Second)
		if got := d.left(); got != 3 {
			d.t.Fatalf("after 15 s: got %d copies; want all 3", got)
		}
		pass(3 * time.Second)
		if got := d.left(); got != 0 || d.queued != 1 {
			d.t.Errorf("after 18 s: got %d copies, replication told %d times; want none, once", got, d.queued)
		}
		for _, fid := range d.files {
			if _, err := d.store.Queued(d.t.Context(), store.ReplicateQueue, fid); err != nil {
				d.t.Errorf("fid %d: got %v; want it queued for replication", fid, err)
			}
			if devs, err := d.store.Devices(d.t.Context(), fid); err != nil || !slices.Equal(devs, []mogile.DevID{1}) {
				d.t.Errorf("fid %d: got copies on %v, %v; want them on 1", fid, devs, err)
			}
		}
	})
}

func TestADeviceThatIsNotDeadAnyMoreIsLeftAlone(t *testing.T) {
	besideDeath(t, 250, func(d *deathbed) {
		d.mark(2, mogile.DevDead)
		pass(15 * time.Second)
		d.mark(2, mogile.DevDown)
		pass(time.Hour)
		d.wantReaped()
		d.mark(2, mogile.DevDead)
		pass(15 * time.Second) // again it is not the time
		d.wantReaped()
		d.set("queue_rate_for_reaper", "100")
		pass(3 * time.Second)
		d.check(d.store.SetDeviceState(d.t.Context(), 2, mogile.DevReadonly)) // and nobody has seen it yet
		pass(time.Hour)
		if got := d.left(); got != 150 {
			d.t.Errorf("got %d copies left; want all but the first portion", got)
		}
	})
}

// replicate is one that replicates as fast as it can: all rows are done when the next portion is due.
func (d *deathbed) replicate() {
	d.t.Helper()
	for _, fid := range d.files {
		d.check(d.store.Finish(d.t.Context(), store.ReplicateQueue, store.Item{FID: fid}))
	}
}

func TestReapingWaitsForReplication(t *testing.T) {
	besideDeath(t, 250, func(d *deathbed) {
		d.set("queue_rate_for_reaper", "40")
		d.mark(2, mogile.DevDead)
		pass(28 * time.Second)
		d.wantReaped("17: 40", "22: 40", "27: 40") // nobody replicates
		for range 10 {
			d.replicate()
			pass(time.Second)
		}
		if got := d.left(); got != 0 {
			d.t.Errorf("got %d copies left after 10 s of replication; want none", got)
		}
	})
}

func TestReapingKeepsToTheSizeOfTheQueue(t *testing.T) {
	besideDeath(t, 250, func(d *deathbed) {
		d.set("queue_size_for_reaper", "130")
		d.mark(2, mogile.DevDead)
		pass(10 * time.Minute)
		d.wantReaped("17: 100", "17: 30")
		d.replicate()
		pass(10 * time.Second)
		if got := d.left(); got != 0 {
			d.t.Errorf("got %d copies left when there was room again; want none", got)
		}
	})
}

func TestWhereNothingIsFoundIsLookedEverMoreRarely(t *testing.T) {
	besideDeath(t, 0, func(d *deathbed) {
		d.mark(1, mogile.DevDead)
		pass(24 * time.Hour)
		d.wantReaped("17: 0", "77: 0", "197: 0", "437: 0", "917: 0", "1877: 0", "3797: 0")
		d.mark(1, mogile.DevDown)
		pass(2 * time.Second)
		d.mark(1, mogile.DevDead)
		pass(20 * time.Second)
		if n := len(d.store.reaped); n != 8 {
			d.t.Errorf("got %d looks at a device that died again; want 8 in all", n)
		}
	})
}

func TestReapingIsDoneByOneTrackerAtATime(t *testing.T) {
	besideDeath(t, 3, func(d *deathbed) {
		release, err := d.store.Lock(d.t.Context(), reapLock, 0)
		d.check(err)
		d.mark(2, mogile.DevDead)
		pass(5 * time.Minute)
		d.wantReaped()
		release()
		pass(10 * time.Second)
		if got := d.left(); got != 0 {
			d.t.Errorf("got %d copies left; want none", got)
		}
	})
}

func TestAReapingThatFailsIsTriedAgain(t *testing.T) {
	besideDeath(t, 3, func(d *deathbed) {
		d.store.fail(errors.New("no database"))
		d.mark(2, mogile.DevDead)
		pass(time.Hour)
		if got := d.left(); got != 3 {
			d.t.Fatalf("got %d copies left; want 3", got)
		}
		d.store.fail(nil)
		pass(reapEvery)
		if got := d.left(); got != 0 {
			d.t.Errorf("got %d copies left; want none", got)
		}
	})
}

func TestWithoutReaperNothingIsReaped(t *testing.T) {
	besideDeath(t, 3, func(d *deathbed) {
		d.reaper.desire(0)
		d.mark(2, mogile.DevDead)
		pass(time.Hour)
		d.wantReaped()
		d.reaper.desire(7) // one is all there is
		d.reaper.wake()
		if got, s := d.left(), d.reaper.status(); got != 0 || s.Count != 1 || s.Desired != 1 {
			d.t.Errorf("got %d copies left, status %+v; want none, one worker", got, s)
		}
	})
}

func TestADeadHostIsNotReaped(t *testing.T) {
	besideDeath(t, 3, func(d *deathbed) {
		h, _ := d.live.Snapshot().HostByName("host1")
		h.State = mogile.HostDead
		d.check(d.store.UpdateHost(d.t.Context(), h))
		d.check(d.live.Reload(d.t.Context()))
		pass(time.Hour)
		d.wantReaped()
	})
}
