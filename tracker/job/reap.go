package job

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
	"github.com/mogilefs/caddy-mogilefs/tracker/topology"
)

// The reaping of dead devices (docs/spec/jobs.md §5.3).
const (
	reapLock     = "mgfs:reaper"
	reapLockWait = 60 * time.Second
	// reapGrace is how long a device has been seen dead when the first of its copies is
	// forgotten: all trackers know of it then, and none counts on it. It is also the
	// time of an operator who meant another.
	reapGrace = 16 * time.Second
	// reapEvery is how often a portion is taken, and reapSoon how often when replication
	// has done all there is.
	reapEvery = 5 * time.Second
	reapSoon  = time.Second
	// A device on which nothing is found is looked at again ever more rarely, and in the
	// end not any more: an upload that was under way may still be recorded there.
	firstReapPause = 60 * time.Second
	lastReapPause  = 7200 * time.Second
	// reapRate is how many copies are in a portion, and reapBatch in a transaction:
	// uploads wait for one of those at most.
	reapRate  = 1000
	reapBatch = 100
)

// reapStore is what the reaper reads and changes.
type reapStore interface {
	Reap(ctx context.Context, dev mogile.DevID, limit int) (int, error)
	Waiting(ctx context.Context, q store.QueueName) (int64, error)
	NextDue(ctx context.Context, q store.QueueName) (time.Duration, error)
	store.Locks
}

// reaper has the files of dead devices replicated, and forgets their copies there.
type reaper struct {
	store   reapStore
	live    *topology.Live
	queued  func() // something is to be replicated
	log     *zap.Logger
	woken   chan struct{} // holds one
	workers atomic.Int32  // 0 or 1

	dead map[mogile.DevID]*reaping // of run
}

// reaping is a device that was seen dead.
type reaping struct {
	next, last time.Time     // when it is its turn, and was
	pause      time.Duration // after the next portion, should that be empty
}

func newReaper(config Config, queued func()) *reaper {
	r := &reaper{
		store: config.Store, live: config.Topology, queued: queued,
		log:   config.Logger.With(zap.String("job", string(Reaper))),
		woken: make(chan struct{}, 1), dead: map[mogile.DevID]*reaping{},
	}
	r.desire(workers(config, Reaper))
	return r
}

// desire sets how many workers there are: one or none, as there is one in the cluster.
func (r *reaper) desire(n int) { r.workers.Store(int32(min(n, 1))) }

func (r *reaper) count() int { return int(r.workers.Load()) }

func (r *reaper) status() Status { return Status{Name: Reaper, Count: r.count(), Desired: r.count()} }

func (r *reaper) wake() {
	select {
	case r.woken <- struct{}{}:
	default:
	}
}

// run looks at what is known of the devices, which asks nobody, and takes portions when it
// is their time, until ctx is over.
func (r *reaper) run(ctx context.Context) {
	ticker := time.NewTicker(reapSoon)
	defer ticker.Stop()
	for ctx.Err() == nil {
		r.look(time.Now())
		for _, dev := range slices.Sorted(maps.Keys(r.dead)) {
			r.turn(ctx, dev, r.dead[dev])
		}
		select {
		case <-ticker.C:
		case <-r.woken:
		case <-ctx.Done():
		}
	}
}

// look notes which devices have died, and forgets those that are not dead any more.
func (r *reaper) look(now time.Time) {
	snap := r.live.Snapshot()
	for dev := range r.dead {
		if !isDead(snap, dev) {
			delete(r.dead, dev)
		}
	}
	for _, d := range snap.Devices() {
		if d.State.Lost() && r.dead[d.ID] == nil {
			r.dead[d.ID] = &reaping{next: now.Add(reapGrace), pause: firstReapPause}
		}
	}
}

// isDead is of the device alone: the disks of a dead host may be carried to another one.
func isDead(snap *topology.Snapshot, dev mogile.DevID) bool {
	d, known := snap.Device(dev)
	return known && d.State.Lost()
}

// turn takes a portion from a device when it is time for that.
func (r *reaper) turn(ctx context.Context, dev mogile.DevID, d *reaping) {
	now := time.Now()
	if r.count() == 0 || d.pause > lastReapPause || now.Before(d.next) || r.tooSoon(ctx, d, now) {
		return
	}
	n, more, err := r.portion(ctx, dev)
	if n > 0 {
		r.log.Info("copies on dead device are forgotten", zap.Stringer("device", dev), zap.Int("files", n))
		r.queued()
	}
	if err != nil && ctx.Err() == nil {
		r.log.Error("dead device is not reaped", zap.Stringer("device", dev), zap.Error(err))
	}
	d.last = time.Now()
	switch {
	case n > 0:
		d.next, d.pause = d.last.Add(reapSoon), firstReapPause
	case more || err != nil:
		d.next = d.last.Add(reapEvery)
	default:
		d.next, d.pause = d.last.Add(d.pause), 2*d.pause
	}
}

// tooSoon reports whether replication has not caught up with the last portion: then there
// is no hurry.
func (r *reaper) tooSoon(ctx context.Context, d *reaping, now time.Time) bool {
	if now.Sub(d.last) >= reapEvery {
		return false
	}
	due, err := r.store.NextDue(ctx, store.ReplicateQueue)
	return err == nil && due == 0
}

// portion has some files of a device replicated, and forgets their copies there. It returns
// how many; more says that there may be others, for which it is not the time.
//
// Order: of each file, first the replication is queued, then the copy is forgotten, in one
// transaction ([store.Holdings]). A crash leaves the rest of the device to whoever comes
// next: the device is still dead, and its copies are recorded.
func (r *reaper) portion(ctx context.Context, dev mogile.DevID) (n int, more bool, err error) {
	release, err := r.store.Lock(ctx, reapLock, reapLockWait)
	if errors.Is(err, store.ErrLocked) {
		return 0, true, nil // another is at it
	}
	if err != nil {
		return 0, false, fmt.Errorf("reap device %d: %w", dev, err)
	}
	defer release()
	if err := r.live.Reload(ctx); err != nil { // what is forgotten is not remembered: is it so?
		return 0, false, fmt.Errorf("reap device %d: %w", dev, err)
	}
	limit, err := r.room(ctx)
	if err != nil {
		return 0, false, fmt.Errorf("reap device %d: %w", dev, err)
	}
	for n < limit && r.count() > 0 && isDead(r.live.Snapshot(), dev) {
		batch := min(reapBatch, limit-n)
		some, err := r.store.Reap(ctx, dev, batch)
		if n += some; err != nil {
			return n, false, fmt.Errorf("reap device %d: %w", dev, err)
		}
		if some < batch {
			return n, false, nil
		}
	}
	return n, true, nil
}

// room is how many files there may be in a portion: the operator can bound both that and
// how many wait to be replicated.
func (r *reaper) room(ctx context.Context) (int, error) {
	snap := r.live.Snapshot()
	rate := number(snap.Setting("queue_rate_for_reaper"))
	if rate == 0 {
		rate = reapRate
	}
	size := number(snap.Setting("queue_size_for_reaper"))
	if size == 0 {
		return rate, nil
	}
	waiting, err := r.store.Waiting(ctx, store.ReplicateQueue)
	return int(min(int64(rate), max(int64(size)-waiting, 0))), err
}

// number reads a setting; what is none counts as 0.
func number(setting string) int {
	n, _ := strconv.Atoi(setting)
	return max(n, 0)
}
