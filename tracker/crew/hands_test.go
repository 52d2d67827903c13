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

// crowd is a crew with so many rows to do, in hands that are shared.
func crowd(config Config, workers, rows int, c *tally) (leave func()) {
	due := make([]mogile.FID, rows)
	for i := range due {
		due[i] = mogile.FID(i + 1)
	}
	return employSharing(config, newFakeQueue(map[store.QueueName][]mogile.FID{"q": due}), workers, Source{Queue: "q", Do: c.do})
}

const more = 10_000 // rows than a crew can be through with

func TestACrewHasAllItsWorkersAtWorkWhileOthersHaveLittleToDo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hands, busy, idle := new(Hands), &tally{takes: time.Second}, &tally{takes: time.Second}
		defer crowd(Config{Hands: hands}, 32, more, busy)()
		defer crowd(Config{Hands: hands}, 32, 2, idle)() // its least
		pass(time.Minute)
		if _, _, finished := busy.seen(); finished < 55*32 {
			t.Errorf("32 workers: got %d done in a minute; want 32 at a time", finished)
		}
	})
}

func TestCrewsThatHaveMuchToDoHaveTheirLeastEach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hands, urgent, other, small := new(Hands), &tally{takes: time.Second}, &tally{takes: time.Second}, &tally{takes: time.Second}
		defer crowd(Config{Hands: hands, Urgent: true}, 24, more, urgent)()
		synctest.Wait()
		defer crowd(Config{Hands: hands}, 32, 600, other)() // for five minutes
		defer crowd(Config{Hands: hands}, 8, 300, small)()
		pass(10 * time.Second)
		for range 200 {
			pass(time.Second + time.Millisecond)
			for _, c := range []struct {
				name  string
				tally *tally
				want  int
			}{{"24 urgent", urgent, 3}, {"32", other, 2}, {"8", small, 1}} {
				if now, _, _ := c.tally.seen(); now != c.want {
					t.Fatalf("%s workers, all with much to do: got %d in hand; want %d", c.name, now, c.want)
				}
			}
		}
		pass(3 * time.Minute) // the others are through
		if now, _, _ := urgent.seen(); now != 24 {
			t.Errorf("24 urgent workers, alone at last: got %d in hand; want all", now)
		}
	})
}

func TestACrewThatIsSlowLeavesTheOthersTheirLeast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hands, slow, quick, one := new(Hands), &tally{takes: time.Hour}, &tally{takes: time.Second}, &tally{takes: time.Second}
		defer crowd(Config{Hands: hands}, 16, more, slow)()
		synctest.Wait()
		defer crowd(Config{Hands: hands, Urgent: true}, 16, more, quick)()
		defer crowd(Config{Hands: hands}, 1, more, one)()
		pass(time.Minute)
		if _, most, finished := quick.seen(); most != 2 || finished < 55*2 {
			t.Errorf("16 urgent workers beside 16 slow ones: got %d at most and %d done in a minute; want 2 at a time", most, finished)
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

func TestAHandThatIsLeftIsForOthers(t *testing.T) {
	hands := new(Hands)
	large, small := new(Crew), new(Crew)
	hands.hire(large, 4)
	hands.hire(small, 1)
	hands.take(small)
	hands.take(small) // now it has much to do
	hands.take(large)
	second := hands.take(large)
	if has(second) {
		t.Error("more than the least beside one with much to do: got it; want it refused")
	}
	hands.leave(small)
	if has(second) {
		t.Error("the other has a row in hand: got more than the least; want it refused")
	}
	hands.free(small)
	if !has(second) {
		t.Error("the other is idle: got no second hand; want it")
	}
	hands.leave(large) // given, and not used
	if !has(hands.take(large)) {
		t.Error("a hand that was left: got none; want it")
	}
}
