package crew

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
)

// tally counts the rows that crews have in hand, each for as long as it takes.
type tally struct {
	takes time.Duration

	mu                  sync.Mutex // guards what follows
	now, most, finished int
}

func (c *tally) do(ctx context.Context, _ Work) (Outcome, error) {
	c.add(1)
	defer c.add(-1)
	select {
	case <-time.After(c.takes):
	case <-ctx.Done():
	}
	return Outcome{Fate: Finished}, ctx.Err()
}

func (c *tally) add(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now += n
	c.most = max(c.most, c.now)
	if n < 0 {
		c.finished++
	}
}

// seen is how many are in hand, how many were at most, and how many are done.
func (c *tally) seen() (now, most, finished int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now, c.most, c.finished
}

// crowd is a crew with more to do than it can be through with, in hands that are shared.
func crowd(hands *Hands, workers int, c *tally) (leave func()) {
	due := make([]mogile.FID, 10_000)
	for i := range due {
		due[i] = mogile.FID(i + 1)
	}
	return employSharing(hands, newFakeQueue(map[store.QueueName][]mogile.FID{"q": due}), workers, Source{Queue: "q", Do: c.do})
}

func TestCrewsTogetherHaveAsMuchInHandAsTheLargest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hands, both := new(Hands), &tally{takes: time.Second}
		defer crowd(hands, 16, both)()
		synctest.Wait()
		if now, _, _ := both.seen(); now != 16 {
			t.Errorf("one crew of 16: got %d in hand; want 16", now)
		}
		defer crowd(hands, 8, both)()
		pass(time.Minute)
		// The smaller crew began with a quarter while the other had all.
		if _, most, finished := both.seen(); most > 16+2 || finished < 55*16 {
			t.Errorf("after a minute: got %d in hand at most, %d done; want 18 at most and about 16 a second", most, finished)
		}
	})
}

func TestACrewThatIsSlowLeavesTheOthersAQuarter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hands, slow, quick, one := new(Hands), &tally{takes: time.Hour}, &tally{takes: time.Second}, &tally{takes: time.Second}
		defer crowd(hands, 16, slow)()
		synctest.Wait()
		defer crowd(hands, 16, quick)()
		defer crowd(hands, 1, one)()
		pass(time.Minute)
		if _, most, finished := quick.seen(); most != 4 || finished < 55*4 {
			t.Errorf("16 workers beside 16 slow ones: got %d at most and %d done in a minute; want 4 at a time", most, finished)
		}
		if _, most, finished := one.seen(); most != 1 || finished < 55 {
			t.Errorf("one worker beside 16 slow ones: got %d at most and %d done in a minute; want one a second", most, finished)
		}
	})
}

func has(turn <-chan struct{}) bool {
	select {
	case <-turn:
		return true
	default:
		return false
	}
}

func TestHandsFollowWhatIsWanted(t *testing.T) {
	hands := new(Hands)
	large, small := new(Crew), new(Crew)
	hands.hire(large, 4)
	hands.hire(small, 1)
	for range 4 {
		if !has(hands.take(large)) {
			t.Fatal("one of four hands: got none; want it")
		}
	}
	fifth := hands.take(large)
	if has(fifth) {
		t.Fatal("a fifth hand: got it; want it refused")
	}
	hands.hire(large, 5)
	if !has(fifth) {
		t.Error("a fifth hand of five: got none; want it")
	}
	sixth := hands.take(large)
	hands.free(large)
	if !has(sixth) {
		t.Error("a hand that was freed: got none; want it")
	}
}

func TestAHandGoesToWhoHasTheSmallestPartAtWork(t *testing.T) {
	hands := new(Hands)
	large, small := new(Crew), new(Crew)
	hands.hire(large, 8)
	hands.hire(small, 4)
	for range 7 {
		hands.take(large)
	}
	hands.take(small) // the eighth, which it may have in any case
	both := [...]<-chan struct{}{hands.take(large), hands.take(small)}
	hands.free(large)
	if has(both[0]) || !has(both[1]) {
		t.Errorf("with 6 of 8 and 1 of 4 at work: got the large one %t, the small one %t; want the small one", has(both[0]), has(both[1]))
	}
	hands.leave(large)
	hands.free(large)
	if has(both[0]) {
		t.Error("the one that left: got a hand; want none")
	}
	if !has(hands.take(small)) {
		t.Error("a hand that nobody waited for: got none; want it")
	}
	hands.leave(small) // given, and not used
	if !has(hands.take(large)) {
		t.Error("a hand that was left: got none; want it")
	}
}
