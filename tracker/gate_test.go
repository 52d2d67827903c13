package tracker

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

var someone = netip.MustParseAddr("10.0.0.5")

// queue has n requests wait at the gate, in order, and says which were let through.
func queue(g *gate, n int) (through chan int) {
	through = make(chan int, n)
	for i := range n {
		go func() {
			if g.enter(context.Background(), someone, fmt.Appendf(nil, "request %d", i)) {
				through <- i
			}
		}()
		synctest.Wait()
	}
	return through
}

func taken(through chan int) (all []int) {
	synctest.Wait()
	for len(through) > 0 {
		all = append(all, <-through)
	}
	slices.Sort(all) // those let through at once may run in any order
	return all
}

func TestTheGateIsFirstComeFirstServed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(2)
		through := queue(g, 6)
		want := func(what, want string) {
			t.Helper()
			if got := fmt.Sprint(taken(through), g.traffic()); got != want {
				t.Errorf("%s: got let through, traffic %s; want %s", what, got, want)
			}
		}
		want("at first", "[0 1] {4 2 0 6 4}")
		g.leave(passage{})
		want("when one has left", "[2] {3 2 0 6 4}")
		g.resize(0)
		g.leave(passage{})
		g.leave(passage{})
		want("closed", "[] {3 0 0 6 4}")
		if got := string(g.waiting()[0].text); got != "request 3" || len(g.waiting()) != 3 {
			t.Errorf("got %s first of %d; want request 3 of 3", got, len(g.waiting()))
		}
		g.resize(2)
		want("opened again", "[3 4] {1 2 0 6 4}")
		g.resize(5)
		want("opened wider", "[5] {0 3 2 6 4}")
		g.resize(1)
		want("narrowed", "[] {0 3 0 6 4}")
		for range 3 {
			g.leave(passage{})
		}
		want("empty", "[] {0 0 1 6 4}")
	})
}

func TestWhoGivesUpWaitingLeavesTheLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(0)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan bool)
		go func() { done <- g.enter(ctx, someone, nil) }()
		through := queue(g, 1)
		cancel()
		if <-done {
			t.Error("got let through; want given up")
		}
		g.resize(1)
		if got := taken(through); len(got) != 1 {
			t.Errorf("got %v let through; want the one that went on waiting", got)
		}
		if got := g.traffic(); got.pending != 0 || got.processing != 1 {
			t.Errorf("got %+v; want nobody waiting and one at work", got)
		}
	})
}

func TestTheLastRequestsAreRemembered(t *testing.T) {
	g := newGate(1)
	pass := func(text string) {
		buf := []byte(text)
		if !g.enter(t.Context(), someone, buf) {
			t.Fatal("got not let through")
		}
		g.leave(passage{peer: someone, text: buf, total: 2 * time.Second, worked: time.Second})
		copy(buf, "nothing of it is used later on")
	}
	if got := g.passed(); len(got) != 0 {
		t.Errorf("got %d requests; want none", len(got))
	}
	for i := range keptRecent + 7 {
		pass(fmt.Sprintf("request %d", i))
	}
	pass(strings.Repeat("x", maxShown+1))
	got := g.passed()
	if len(got) != keptRecent {
		t.Fatalf("got %d requests; want %d", len(got), keptRecent)
	}
	for i, p := range got[:keptRecent-1] {
		if want := fmt.Sprintf("request %d", i+8); string(p.text) != want || p.total != 2*time.Second || p.worked != time.Second || p.peer != someone {
			t.Errorf("got %s %+v; want %s of %s in 2 s, 1 s of them worked", p.text, p, want, someone)
		}
	}
	if n := len(got[keptRecent-1].text); n != maxShown {
		t.Errorf("got %d bytes of a long request; want %d", n, maxShown)
	}
}
