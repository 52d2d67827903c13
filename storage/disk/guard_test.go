package disk

import (
	"errors"
	"testing"
	"testing/synctest"
)

// enterAll takes all slots.
func enterAll(t *testing.T, g *guard) []int {
	t.Helper()
	var slots []int
	for range maxRunning {
		slot, err := g.enter(0)
		if err != nil {
			t.Fatal(err)
		}
		slots = append(slots, slot)
	}
	return slots
}

func TestOperationsBeyondTheLimitWaitAndThoseBeyondTheQueueDoNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGuard()
		slots := enterAll(t, g)
		results := make(chan error, maxWaiting)
		for range maxWaiting {
			go func() {
				slot, err := g.enter(0)
				if err == nil {
					g.leave(slot)
				}
				results <- err
			}()
		}
		synctest.Wait()
		if len(results) != 0 {
			t.Fatalf("%d did not wait for their turn", len(results))
		}
		if _, err := g.enter(0); !errors.Is(err, ErrBusy) {
			t.Errorf("one too many: got %v; want ErrBusy", err)
		}
		g.leave(slots[0])
		for range maxWaiting {
			if err := <-results; err != nil {
				t.Errorf("in its turn: got %v; want nil", err)
			}
		}
	})
}

func TestAnOverdueOperationFreesThoseWhoWaitAndRefusesTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGuard()
		slots := enterAll(t, g)
		waited := make(chan error, 1)
		go func() {
			_, err := g.enter(0)
			waited <- err
		}()
		for range patience {
			if stalled, _ := g.tick(false); stalled {
				t.Fatal("stalled while its operations have time")
			}
		}
		synctest.Wait()
		if len(waited) != 0 {
			t.Fatal("gave up while the device has time")
		}
		if stalled, changed := g.tick(false); !stalled || !changed {
			t.Errorf("overdue: got %v, %v; want stalled, and that it is new", stalled, changed)
		}
		if err := <-waited; !errors.Is(err, ErrStalled) {
			t.Errorf("who waited: got %v; want ErrStalled", err)
		}
		if _, err := g.enter(0); !errors.Is(err, ErrStalled) {
			t.Errorf("who comes later: got %v; want ErrStalled", err)
		}
		for _, slot := range slots {
			g.leave(slot)
		}
		if stalled, changed := g.tick(false); stalled || !changed {
			t.Errorf("after all came back: got %v, %v; want well, and that it is new", stalled, changed)
		}
		// Waiting works again, too.
		slots = enterAll(t, g)
		go func() {
			_, err := g.enter(0)
			waited <- err
		}()
		synctest.Wait()
		g.leave(slots[0])
		if err := <-waited; err != nil {
			t.Errorf("after that: got %v; want nil", err)
		}
	})
}

func TestALargeFileHasLongerToBeSynced(t *testing.T) {
	g := newGuard()
	slot, err := g.enter(5 * syncedInATick)
	if err != nil {
		t.Fatal(err)
	}
	for range patience + 5 {
		if stalled, _ := g.tick(false); stalled {
			t.Fatal("stalled while the sync has time")
		}
	}
	if stalled, _ := g.tick(false); !stalled {
		t.Error("got well; want stalled at last")
	}
	g.leave(slot)
}

func TestADiskThatTheSystemKnowsToHangIsStalled(t *testing.T) {
	g := newGuard()
	if stalled, changed := g.tick(true); !stalled || !changed {
		t.Errorf("got %v, %v; want stalled", stalled, changed)
	}
	if stalled, changed := g.tick(false); stalled || !changed {
		t.Errorf("got %v, %v; want well again", stalled, changed)
	}
}

func TestADiskThatFailsAgainIsLeftAloneForLonger(t *testing.T) {
	var c cure
	var now int64
	for _, want := range []int64{1, 2, 4, 8, 16, 32, 60, 60} {
		broken := new(trouble)
		begin := now
		for !c.due(broken, now) {
			now++
		}
		if now-begin != want {
			t.Errorf("first try: got after %d ticks; want %d", now-begin, want)
		}
		c.well = now
		now++
	}
	now += soonAgain
	broken := new(trouble)
	if begin := now; c.due(broken, now) || !c.due(broken, begin+firstPause) {
		t.Error("after a long time without trouble: want the first pause again")
	}
}
