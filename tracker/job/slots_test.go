package job

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/topology"
)

func device(id mogile.DevID) topology.Device { return topology.Device{Device: mogile.Device{ID: id}} }

func devices(ids ...mogile.DevID) []topology.Device {
	var devs []topology.Device
	for _, id := range ids {
		devs = append(devs, device(id))
	}
	return devs
}

// most takes slots from and to two devices until there are none.
func most(s *slots, bytes int64) (n int) {
	for {
		if _, _, ok := s.try(bytes >= largeFile, devices(1), devices(2)); !ok {
			return n
		}
		n++
	}
}

func TestLargeFilesHaveFewSlotsOfTheirOwn(t *testing.T) {
	for perDevice, want := range map[int][2]int{0: {8, 2}, 1: {1, 1}, 2: {2, 2}, 20: {20, 2}} {
		s := newSlots(perDevice)
		if small, large := most(s, 4096), most(s, largeFile); small != want[0] || large != want[1] {
			t.Errorf("%d per device: got %d small and %d large at once; want %v", perDevice, small, large, want)
		}
	}
}

func TestSourcesAreBoundedAsDestinationsAre(t *testing.T) {
	s := newSlots(1)
	p, err := s.take(t.Context(), 1, devices(1, 2), devices(3))
	if err != nil || p.source.ID != 1 || p.dest.ID != 3 {
		t.Fatalf("got %d to %d, %v; want 1 to 3", p.source.ID, p.dest.ID, err)
	}
	q, err := s.take(t.Context(), 1, devices(1, 2), devices(3, 4))
	if err != nil || q.source.ID != 2 || q.dest.ID != 4 {
		t.Fatalf("got %d to %d, %v; want 2 to 4, which are free", q.source.ID, q.dest.ID, err)
	}
	for _, way := range [][2][]topology.Device{{devices(1), devices(5)}, {devices(5), devices(1)}, {devices(3), devices(5)}} {
		if _, _, ok := s.try(false, way[0], way[1]); ok {
			t.Errorf("%v to %v: got slots; want none", way[0][0].ID, way[1][0].ID)
		}
	}
	p.free()
	q.free()
	if len(s.taken) != 0 {
		t.Errorf("got %v taken; want none", s.taken)
	}
}

// Copies that go to and fro between two devices don't wait for each other for ever.
func TestSlotsAreNotHeldWhileWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSlots(1)
		held, err := s.take(t.Context(), 1, devices(1), devices(3))
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 2)
		for _, way := range [][2]mogile.DevID{{1, 2}, {2, 1}} {
			go func() {
				p, err := s.take(t.Context(), 1, devices(way[0]), devices(way[1]))
				if err == nil {
					p.free()
				}
				done <- err
			}()
		}
		synctest.Wait() // both wait for device 1
		held.free()
		for range 2 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	})
}

func TestWaitingForASlotEndsWithItsContext(t *testing.T) {
	s := newSlots(1)
	if _, err := s.take(t.Context(), 1, devices(1), devices(2)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errClosed)
	if _, err := s.take(ctx, 1, devices(1), devices(3)); !errors.Is(err, errClosed) {
		t.Errorf("got %v; want %v", err, errClosed)
	}
}
