//go:build !race

package simulation

import (
	"context"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
)

// maxMutants is how many days a mistake may stay undetected.
const maxMutants = 1000

// A simulation that finds nothing may be blind. Each of these swaps two steps of a job, so
// that a crash between them does harm, or leaves one out; otherwise all is as it should be.

// forgetful forgets the copies on a dead device before it queues their files.
type forgetful struct{ *trackerStore }

func (s forgetful) Reap(ctx context.Context, dev mogile.DevID, limit int) (int, error) {
	files, err := s.FilesOn(ctx, dev, store.Page{Limit: limit})
	for _, f := range files {
		if err == nil {
			err = s.RemoveCopies(ctx, f.FID, dev)
		}
		if err == nil {
			err = s.Enqueue(ctx, store.ReplicateQueue, time.Second, f.FID)
		}
	}
	return len(files), err
}

// hasty forgets a copy before its bytes are deleted.
type hasty struct {
	*trackerNodes
	store store.Store
}

func (n hasty) Delete(ctx context.Context, url string) error {
	d, fid := n.cluster().at(url)
	if err := n.store.RemoveCopies(ctx, fid, d.dev); err != nil {
		return err
	}
	return n.trackerNodes.Delete(ctx, url)
}

// trusting takes a copy from the source, too, before the new one is recorded.
type trusting struct{ *trackerStore }

func (s trusting) AddCopy(ctx context.Context, fid mogile.FID, dev mogile.DevID) error {
	on, err := s.Devices(ctx, fid)
	if err == nil && len(on) > 1 {
		err = s.RemoveCopies(ctx, fid, on[0])
	}
	if err == nil {
		err = s.trackerStore.AddCopy(ctx, fid, dev)
	}
	if err == nil && len(on) > 1 {
		err = s.trackerStore.AddCopy(ctx, fid, on[0])
	}
	return err
}

// blind replicates, and takes copies away, as if all others were as long as they should be.
type blind struct{ *trackerNodes }

func (n blind) Size(ctx context.Context, url string) (size int64, found bool, err error) {
	size, found, err = n.trackerNodes.Size(ctx, url)
	if err == nil && isCalledBy("(*replicator)") {
		_, fid := n.cluster().at(url)
		size, found = int64(len(n.t.sim.ledger.contents[fid])), true
	}
	return size, found, err
}

// greedy finishes rows though they were made due anew, or are another's, since it claimed them.
type greedy struct{ *trackerStore }

func (s greedy) Finish(ctx context.Context, q store.QueueName, items ...store.Item) error {
	for i, item := range items {
		if row, err := s.real.Queued(ctx, q, item.FID); err == nil {
			items[i].Until = row.NextTry
		}
	}
	return s.trackerStore.Finish(ctx, q, items...)
}

// careless forgets a file that went while it was copied.
type careless struct{ *trackerStore }

func (s careless) AddCopy(ctx context.Context, fid mogile.FID, dev mogile.DevID) error {
	_, there := s.real.FileByFID(ctx, fid)
	_, queued := s.real.Queued(ctx, store.DeleteQueue, fid)
	err := s.trackerStore.AddCopy(ctx, fid, dev)
	if err == nil && there != nil && queued != nil {
		err = s.real.Finish(ctx, store.DeleteQueue, store.Item{FID: fid})
	}
	return err
}

// isCalledBy reports whether a function of this name has called, by whatever way.
func isCalledBy(name string) bool {
	frames := runtime.CallersFrames(callersOf(48))
	for {
		f, more := frames.Next()
		if strings.Contains(f.Function, name) {
			return true
		}
		if !more {
			return false
		}
	}
}

func callersOf(n int) []uintptr {
	pcs := make([]uintptr, n)
	return pcs[:runtime.Callers(2, pcs)]
}

// mutants are the mistakes, each with the kind of days that find it, and the first seed that
// did when that was last measured.
var mutants = map[string]struct {
	days   string
	seed   uint64
	mutate func(*tracker) (store.Store, allNodes)
}{
	"the reaper forgets before it queues": {"bloody", 787, inStore(func(s *trackerStore) store.Store { return forgetful{s} })},
	"a copy is forgotten before it is deleted": {"bloody", 4, func(k *tracker) (store.Store, allNodes) {
		st := &trackerStore{real: k.sim.store, t: k}
		return st, hasty{&trackerNodes{k}, st}
	}},
	"a copy is forgotten while another is recorded": {"bloody", 59, inStore(func(s *trackerStore) store.Store { return trusting{s} })},
	"a row is finished that was made due anew":      {"bloody", 2482, inStore(func(s *trackerStore) store.Store { return greedy{s} })},
	"a file that went is not handed over":           {"rough", 157, inStore(func(s *trackerStore) store.Store { return careless{s} })},
	"copies are counted on that nobody looks at": {"bloody", 11, func(k *tracker) (store.Store, allNodes) {
		return &trackerStore{real: k.sim.store, t: k}, blind{&trackerNodes{k}}
	}},
}

func inStore(wrap func(*trackerStore) store.Store) func(*tracker) (store.Store, allNodes) {
	return func(k *tracker) (store.Store, allNodes) {
		return wrap(&trackerStore{real: k.sim.store, t: k}), &trackerNodes{k}
	}
}

func TestAMistakeInTheOrderOfStepsIsFound(t *testing.T) {
	for name, m := range mutants {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			// A job that takes other steps than it did has other days: then one is sought.
			for n := range uint64(maxMutants) {
				seed := m.seed + n
				wrongs, _ := day(t, seed, func(s *sim) { s.kind, s.mutate = m.days, m.mutate })
				if len(wrongs) == 0 {
					continue
				}
				// It must be the mistake that is found.
				if right, _ := day(t, seed, func(s *sim) { s.kind = m.days }); len(right) == 0 {
					t.Logf("found by seed %d: %s", seed, strings.Join(wrongs, "\n"))
					return
				}
			}
			t.Errorf("not found by %d seeds", maxMutants)
		})
	}
}
