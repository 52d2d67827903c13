package monitor_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/node"
)

// talkative is devices whose hosts have streams of utilisations, which behave as told.
// It counts connections.
type talkative struct {
	*devices

	mu    sync.Mutex // guards what follows
	watch func(ctx context.Context, ip string, tell func(map[mogile.DevID]string)) error
	dials map[string]int
	open  map[string]int
}

func (n *talkative) Watch(ctx context.Context, ip string, tell func(map[mogile.DevID]string)) error {
	n.count(ip, 1)
	defer n.count(ip, -1)
	n.mu.Lock()
	watch := n.watch
	n.mu.Unlock()
	return watch(ctx, ip, tell)
}

func (n *talkative) count(ip string, by int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.open[ip] += by
	n.dials[ip] += max(by, 0)
}

// dialled is how many connections there were since it was last called.
func (n *talkative) dialled() map[string]int {
	n.mu.Lock()
	defer n.mu.Unlock()
	defer func() { n.dials = map[string]int{} }()
	return maps.Clone(n.dials)
}

// connected is how many connections there are to an address.
func (n *talkative) connected(ip string) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.open[ip]
}

func (n *talkative) behaves(watch func(ctx context.Context, ip string, tell func(map[mogile.DevID]string)) error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.watch = watch
}

// says tells one block after the other, one each second, and then stays silent.
func says(blocks ...map[mogile.DevID]string) func(context.Context, string, func(map[mogile.DevID]string)) error {
	return func(ctx context.Context, _ string, tell func(map[mogile.DevID]string)) error {
		for _, b := range blocks {
			tell(b)
			select {
			case <-time.After(time.Second):
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		<-ctx.Done()
		return context.Cause(ctx)
	}
}

// listen is watch with streams.
func listen(t *testing.T, prepare func(s *database, n *talkative), test func(t *testing.T, w *watched, n *talkative)) {
	synctest.Test(t, func(t *testing.T) {
		s, d := cluster()
		n := &talkative{devices: d, dials: map[string]int{}, open: map[string]int{}}
		prepare(s, n)
		w := begin(s, d, n)
		test(t, w, n)
		w.end()
		for ip, open := range n.open {
			if open != 0 {
				t.Errorf("got %d connections to %s left when the monitor has ended; want none", open, ip)
			}
		}
	})
}

// loads is the utilisation of all devices.
func (w *watched) loads() string {
	text := ""
	for _, d := range w.live.Snapshot().Devices() {
		text += fmt.Sprintf("%d:%s ", d.ID, d.Seen.Utilization)
	}
	return text
}

func (w *watched) wantLoads(t *testing.T, want string) {
	t.Helper()
	if got := w.loads(); got != want {
		t.Errorf("got loads %s; want %s", got, want)
	}
}

// What a host says of devices that are not its own does not count.
func TestStreamsTellTheUtilisationOfAHostsOwnDevices(t *testing.T) {
	listen(t, func(_ *database, n *talkative) {
		n.watch = func(ctx context.Context, ip string, tell func(map[mogile.DevID]string)) error {
			if ip == "10.0.0.2" {
				return says(map[mogile.DevID]string{21: "-"})(ctx, ip, tell)
			}
			return says(map[mogile.DevID]string{11: "3.35", 21: "99.00", 77: "1"}, map[mogile.DevID]string{11: "4.00", 12: "0.00"})(ctx, ip, tell)
		}
	}, func(t *testing.T, w *watched, n *talkative) {
		pass(2600 * time.Millisecond)
		w.wantLoads(t, "11:4.00 12:0.00 21:- ")
		w.wantSeen(t, allWriteable)
		if got := n.dialled(); got["10.0.0.1"] != 1 || got["10.0.0.2"] != 1 {
			t.Errorf("got connections %v; want one to each host", got)
		}
	})
}

// The peer shows the last figure for ever.
func TestAFigureIsForgottenWhenTheStreamIsSilent(t *testing.T) {
	listen(t, func(_ *database, n *talkative) {
		n.watch = says(map[mogile.DevID]string{11: "50.00", 12: "50.00", 21: "50.00"})
	}, func(t *testing.T, w *watched, _ *talkative) {
		pass(20 * time.Second)
		w.wantLoads(t, "11:50.00 12:50.00 21:50.00 ")
		pass(20 * time.Second)
		w.wantLoads(t, "11: 12: 21: ")
		w.wantSeen(t, allWriteable)
	})
}

func TestAStreamThatBreaksOffIsTakenUpAgainAtOnce(t *testing.T) {
	listen(t, func(_ *database, n *talkative) {
		n.watch = func(_ context.Context, _ string, tell func(map[mogile.DevID]string)) error {
			tell(map[mogile.DevID]string{11: "1.00"})
			<-time.After(5 * time.Second)
			return errors.New("EOF")
		}
	}, func(t *testing.T, w *watched, n *talkative) {
		pass(time.Minute)
		if got := n.dialled()["10.0.0.1"]; got != 12 && got != 13 {
			t.Errorf("got %d connections within a minute; want one each five seconds", got)
		}
		w.wantLoads(t, "11:1.00 12: 21: ")
	})
}

func TestANodeThatHangsUpAtOnceIsAskedOnceASecond(t *testing.T) {
	listen(t, func(_ *database, n *talkative) {
		n.watch = func(context.Context, string, func(map[mogile.DevID]string)) error { return errors.New("EOF") }
	}, func(t *testing.T, _ *watched, n *talkative) {
		pass(time.Minute)
		if got := n.dialled()["10.0.0.1"]; got < 55 || got > 61 {
			t.Errorf("got %d connections within a minute; want one a second", got)
		}
	})
}

func TestANodeWithoutAStreamIsLeftAloneForAMinute(t *testing.T) {
	listen(t, func(_ *database, n *talkative) {
		n.watch = func(context.Context, string, func(map[mogile.DevID]string)) error {
			return fmt.Errorf("watch: %w: connection refused", node.ErrNoStream)
		}
	}, func(t *testing.T, w *watched, n *talkative) {
		pass(59 * time.Second)
		if got := n.dialled()["10.0.0.1"]; got != 1 {
			t.Errorf("got %d connections within 59s; want one", got)
		}
		n.behaves(says(map[mogile.DevID]string{11: "7.00"}))
		pass(5 * time.Second)
		w.wantLoads(t, "11:7.00 12: 21: ")
	})
}

// A host that nobody looks at any more is let go of; one that only does not answer keeps
// its connection.
func TestStreamsFollowTheHostsThatAreLookedAt(t *testing.T) {
	listen(t, func(_ *database, n *talkative) {
		n.watch = says(map[mogile.DevID]string{11: "1.00", 21: "2.00"})
	}, func(t *testing.T, w *watched, n *talkative) {
		pass(11 * time.Second)
		w.devices.behaves(21, silent)
		w.store.change(func(s *database) { s.rows.Hosts[0].State = mogile.HostDown })
		pass(8 * time.Second)
		if one, two := n.connected("10.0.0.1"), n.connected("10.0.0.2"); one != 0 || two != 1 {
			t.Errorf("got %d and %d connections to the hosts; want one to the second alone", one, two)
		}
		w.wantLoads(t, "11: 12: 21:2.00 ")
		w.store.change(func(s *database) { s.rows.Hosts[0].State, s.rows.Hosts[0].IP = mogile.HostAlive, "10.0.0.9" })
		pass(8 * time.Second)
		if old, next := n.connected("10.0.0.1"), n.connected("10.0.0.9"); old != 0 || next != 1 {
			t.Errorf("got %d connections to the host's old address and %d to its new one; want 0 and 1", old, next)
		}
	})
}

// Many trackers' nodes in tests, and those that nobody can watch, are Nodes all the same.
func TestNodesWithoutStreamsWillDo(t *testing.T) {
	watch(t, asIs, func(t *testing.T, w *watched) {
		pass(time.Minute)
		w.wantLoads(t, "11: 12: 21: ")
	})
}
