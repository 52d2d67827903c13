package failover

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

var goesOnFor = flag.Duration("for", 5*time.Minute, "how long nodes are taken away and given back; each of the faults once at least")

const (
	// calmFor is how long everything is well at first, to know what is usual once
	// connections are there and locations known, after warmFor.
	calmFor = 5 * time.Second
	warmFor = 2 * time.Second
	// awayFor is how long a node is away, and backFor how long the edge has to find
	// out that it is back before the next one goes.
	awayFor = 6 * time.Second
	backFor = 3 * time.Second
	// recoversWithin is how soon after a node went the edge is as fast as before.
	recoversWithin = 2 * time.Second
	// slowerBy is how many times as long as usual 99 of 100 may take then, on a machine that
	// does other things, and atLeast what is no delay at all: what must not be are waits for
	// what is gone, which take a second and more.
	slowerBy = 3
	atLeast  = 800 * time.Millisecond
	// leavesWithin is how long a request may take that was under way when the node went: a second
	// of silence, and the same at another that has not been found out about yet.
	leavesWithin = 4 * time.Second
)

// fault is a way for a node to be taken away and to be given back. Both may be called many
// times.
type fault struct {
	name string
	away func(*site, *node) error
	back func(*site, *node) error
}

var faults = []fault{
	{
		"killed",
		func(_ *site, n *node) error { n.Kill(); return nil },
		func(_ *site, n *node) error { n.Restart(); return nil },
	},
	{
		"frozen",
		func(_ *site, n *node) error { return syscall.Kill(n.PID(), syscall.SIGSTOP) },
		func(_ *site, n *node) error { return syscall.Kill(n.PID(), syscall.SIGCONT) },
	},
	{
		"silenced",
		func(_ *site, n *node) error { n.silence(); return nil },
		func(_ *site, n *node) error { n.speak(); return nil },
	},
	{"cut off again and again", cutAgainAndAgain, func(*site, *node) error { return nil }},
	{"filled up", fillUp, empty},
}

// cutAgainAndAgain resets all connections to the node ten times a second.
func cutAgainAndAgain(_ *site, n *node) error {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for end := time.After(awayFor); ; {
		select {
		case <-tick.C:
			n.cut()
		case <-end:
			return nil
		}
	}
}

func filler(n *node) string { return filepath.Join(n.device, "filler") }

// fillUp leaves no room on the node's device, and has clients upload meanwhile, which
// other devices have to take.
func fillUp(s *site, n *node) error {
	if !n.mounted {
		return nil
	}
	f, err := os.Create(filler(n))
	if err != nil {
		return err
	}
	_, err = io.Copy(f, endless{})
	if err := f.Close(); err != nil {
		return err
	}
	if !errors.Is(err, syscall.ENOSPC) {
		return fmt.Errorf("fill %s up: got %w; want no space left", n.device, err)
	}
	for i := range 20 {
		uploaded := file{key: fmt.Sprintf("upload-%d", i), off: i, size: 30 << 10}
		if ok, err := s.upload(uploaded.key, uploaded.content()); !ok || err != nil {
			return fmt.Errorf("upload while a disk is full: got %t, %w; want it on another", ok, err)
		}
		if err := s.read(uploaded, 0, uploaded.size); err != nil {
			return err
		}
	}
	return nil
}

// endless is a reader of zeros.
type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

func empty(_ *site, n *node) error {
	err := os.Remove(filler(n))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

func TestNoClientNoticesThatANodeGoes(t *testing.T) {
	s, all := newSite(t), files()
	s.fill(all)
	l := s.startLoad(all)
	defer l.stop()
	began := time.Now()
	<-time.After(calmFor)
	usual, longest := p99(l.between(began.Add(warmFor), time.Now()))
	t.Logf("usual: 99 of 100 small requests within %v, the longest %v", usual.Round(time.Millisecond), longest.Round(time.Millisecond))
	for round := 0; round == 0 || time.Since(began) < *goesOnFor; round++ {
		for i, f := range faults {
			l.meet(t, f, s.node[(round+i)%nodes], max(slowerBy*usual, atLeast))
		}
	}
	l.stop()
	t.Logf("%d requests, %d MiB", l.done, l.bytes>>20)
	for _, err := range l.failed[:min(len(l.failed), 20)] {
		t.Error(err)
	}
	if n := len(l.failed); n > 0 {
		t.Errorf("got %d of %d requests failed; want none", n, l.done)
	}
}

// meet has the clients meet a fault, and compares how long they have to wait.
func (l *load) meet(t *testing.T, f fault, n *node, most time.Duration) {
	t.Helper()
	began := time.Now()
	over := time.After(awayFor)
	if err := f.away(l.site, n); err != nil {
		t.Errorf("%s: %v", f.name, err)
	}
	<-over
	end := time.Now()
	if err := f.back(l.site, n); err != nil {
		t.Errorf("%s, and back: %v", f.name, err)
	}
	<-time.After(backFor)
	back := time.Now()
	first, longest := p99(l.between(began, began.Add(recoversWithin)))
	then, longestThen := p99(l.between(began.Add(recoversWithin), end))
	after, longestAfter := p99(l.between(end, back))
	ms := func(d time.Duration) time.Duration { return d.Round(time.Millisecond) }
	t.Logf("%s: in the first %v 99 of 100 within %v, the longest %v; then %v, %v; when it came back %v, %v", f.name, recoversWithin,
		ms(first), ms(longest), ms(then), ms(longestThen), ms(after), ms(longestAfter))
	if longest > leavesWithin {
		t.Errorf("%s: got a request that took %v; want at most %v", f.name, ms(longest), leavesWithin)
	}
	if then > most || after > most {
		t.Errorf("%s: got 99 of 100 small requests within %v, and within %v when it came back; want %v", f.name, ms(then), ms(after), most)
	}
}
