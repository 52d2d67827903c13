//go:build !race

package simulation

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
)

// maxMutants is how many days a mistake may stay undetected.
const maxMutants = 1000

// A simulation that finds nothing may be blind. Each of these swaps two steps of a job, so
// that a crash between them does harm; otherwise all is as it should be.

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

func TestAMistakeInTheOrderOfStepsIsFound(t *testing.T) {
	for name, mutate := range map[string]func(*tracker) (store.Store, allNodes){
		"the reaper forgets before it queues": func(k *tracker) (store.Store, allNodes) {
			return forgetful{&trackerStore{real: k.sim.store, t: k}}, &trackerNodes{k}
		},
		"a copy is forgotten before it is deleted": func(k *tracker) (store.Store, allNodes) {
			st := &trackerStore{real: k.sim.store, t: k}
			return st, hasty{&trackerNodes{k}, st}
		},
		"a copy is forgotten while another is recorded": func(k *tracker) (store.Store, allNodes) {
			return trusting{&trackerStore{real: k.sim.store, t: k}}, &trackerNodes{k}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for seed := uint64(1); seed <= maxMutants; seed++ {
				wrongs, _ := day(t, seed, func(s *sim) { s.mutate, s.bloody = mutate, true })
				if len(wrongs) == 0 {
					continue
				}
				// It must be the mistake that is found.
				if right, _ := day(t, seed, func(s *sim) { s.bloody = true }); len(right) == 0 {
					t.Logf("found by seed %d: %s", seed, strings.Join(wrongs, "\n"))
					return
				}
			}
			t.Errorf("not found by %d seeds", maxMutants)
		})
	}
}
