package guard

import (
	"errors"
	"testing"
	"testing/synctest"
)

// enterAll takes all slots.
func enterAll(t *testing.T, g *Guard) []int {
	t.Helper()
	var slots []int
	for range maxRunning {
		slot, err := g.Enter(0)
		if err != nil {
			t.Fatal(err)
		}
		slots = append(slots, slot)
	}
	return slots
}

func TestOperationsBeyondTheLimitWaitAndThoseBeyondTheQueueDoNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New()
		slots := enterAll(t, g)
		results := make(chan error, maxWaiting)
		for range maxWaiting {
			go func() {
				slot, err := g.Enter(0)
				if err == nil {
					g.Leave(slot)
				}
				results <- err
			}()
		}
		synctest.Wait()
		if len(results) != 0 {
			t.Fatalf("%d did not wait for their turn", len(results))
		}
		if _, err := g.Enter(0); !errors.Is(err, ErrBusy) {
			t.Errorf("one too many: got %v; want ErrBusy", err)
		}
		g.Leave(slots[0])
		for range maxWaiting {
			if err := <-results; err != nil {
				t.Errorf("in its turn: got %v; want nil", err)
			}
		}
	})
}

func TestAnOverdueOperationFreesThoseWhoWaitAndRefusesTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New()
		slots := enterAll(t, g)
		waited := make(chan error, 1)
		go func() {
			_, err := g.Enter(0)
			waited <- err
		}()
		for range patience {
			if stalled, _ := g.Tick(false); stalled {
				t.Fatal("stalled while its operations have time")
			}
		}
		synctest.Wait()
		if len(waited) != 0 {
			t.Fatal("gave up while the device has time")
		}
		if stalled, changed := g.Tick(false); !stalled || !changed {
			t.Errorf("overdue: got %v, %v; want stalled, and that it is new", stalled, changed)
		}
		if err := <-waited; !errors.Is(err, ErrStalled) {
			t.Errorf("who waited: got %v; want ErrStalled", err)
		}
		if _, err := g.Enter(0); !errors.Is(err, ErrStalled) {
			t.Errorf("who comes later: got %v; want ErrStalled", err)
		}
		for _, slot := range slots {
			g.Leave(slot)
		}
		if stalled, changed := g.Tick(false); stalled || !changed {
			t.Errorf("after all came back: got %v, %v; want well, and that it is new", stalled, changed)
		}
		// Waiting works again, too.
		slots = enterAll(t, g)
		go func() {
			_, err := g.Enter(0)
			waited <- err
		}()
		synctest.Wait()
		g.Leave(slots[0])
		if err := <-waited; err != nil {
			t.Errorf("after that: got %v; want nil", err)
		}
	})
}

func TestALargeFileHasLongerToBeSynced(t *testing.T) {
	g := New()
	slot, err := g.Enter(5 * syncedInATick)
	if err != nil {
		t.Fatal(err)
	}
	for range patience + 5 {
		if stalled, _ := g.Tick(false); stalled {
			t.Fatal("stalled while the sync has time")
		}
	}
	if stalled, _ := g.Tick(false); !stalled {
		t.Error("got well; want stalled at last")
	}
	g.Leave(slot)
}

func TestADiskThatTheSystemKnowsToHangIsStalled(t *testing.T) {
	g := New()
	if stalled, changed := g.Tick(true); !stalled || !changed {
		t.Errorf("got %v, %v; want stalled", stalled, changed)
	}
	if stalled, changed := g.Tick(false); stalled || !changed {
		t.Errorf("got %v, %v; want well again", stalled, changed)
	}
}
