package health

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/mogilefs/caddy-mogilefs/mogile"
)

// in runs a test in a bubble of fake time, with a board that logs into what is returned.
func in(t *testing.T, f func(t *testing.T, b *Board, logs *observer.ObservedLogs)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zapcore.DebugLevel)
		b := New(zap.New(core))
		defer b.Close()
		f(t, b, logs)
	})
}

func copyAt(node, dev int) mogile.Copy {
	return mogile.Copy{Dev: mogile.DevID(dev), URL: fmt.Sprintf("http://10.0.0.%d:7500/dev%d/0/000/000/0000000001.fid", node, dev)}
}

// pass lets fake time pass, and then everybody do what is due.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func want(t *testing.T, what string, got, want any) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %v; want %v", what, got, want)
	}
}

var errDown = errors.New("down")

func TestPlacesAreTheSameForAllCopiesOfADevice(t *testing.T) {
	in(t, func(t *testing.T, b *Board, _ *observer.ObservedLogs) {
		a, other := copyAt(1, 1), copyAt(1, 1)
		other.URL += "x"
		want(t, "place of another file", b.Place(other), b.Place(a))
		want(t, "node of another device", b.Place(copyAt(1, 2)).Node, b.Place(a).Node)
		if b.Place(copyAt(1, 2)).Device == b.Place(a).Device || b.Place(copyAt(2, 1)).Device == b.Place(a).Device {
			t.Error("got one device for two")
		}
	})
}

func TestMemoryOfNodesIsBounded(t *testing.T) {
	in(t, func(t *testing.T, b *Board, _ *observer.ObservedLogs) {
		for i := range 3 * maxNodes {
			b.Place(mogile.Copy{Dev: 1, URL: fmt.Sprintf("http://node%d/", i)})
			b.Place(mogile.Copy{Dev: mogile.DevID(i), URL: "http://one/"})
		}
		if n := len(*b.nodes.Load()); n > maxNodes {
			t.Errorf("got %d nodes remembered; want at most %d", n, maxNodes)
		}
		if n := len(*b.node("one").devices.Load()); n > maxDevices {
			t.Errorf("got %d devices of a node remembered; want at most %d", n, maxDevices)
		}
	})
}

func TestAskingBecomesRarerAndIsDoneByOne(t *testing.T) {
	in(t, func(t *testing.T, b *Board, logs *observer.ObservedLogs) {
		u := &b.Place(copyAt(1, 1)).Node.Unit
		want(t, "asking a good one", u.Ask(), false)
		u.Failed(errDown)
		u.Failed(errDown) // together with the first
		want(t, "level", u.Level(), Bad)
		for _, pause := range []time.Duration{
			500 * time.Millisecond, time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 15 * time.Second, 15 * time.Second,
		} {
			pass(pause - time.Millisecond)
			want(t, "asking before the pause is over", u.Ask(), false)
			pass(time.Millisecond)
			want(t, "asking after "+pause.String(), u.Ask(), true)
			want(t, "asking at the same time", u.Ask(), false)
			u.Asked(errDown)
		}
		pass(maxPause)
		want(t, "asking", u.Ask(), true)
		u.Asked(nil)
		want(t, "level after a good answer", u.Level(), Good)
		if got := logs.Len(); got != 2 {
			t.Errorf("got %d lines in the log; want that it failed, and that it is back: %v", got, logs.All())
		}
	})
}

func TestPausesGoOnGrowingForWhatFailsAgainSoon(t *testing.T) {
	in(t, func(t *testing.T, b *Board, _ *observer.ObservedLogs) {
		u := b.Place(copyAt(1, 1)).Device
		fails := func() time.Duration {
			u.Failed(errDown)
			began := time.Now()
			for !u.Try() {
				pass(100 * time.Millisecond)
			}
			u.Well()
			return time.Since(began)
		}
		want(t, "first pause", fails(), firstPause)
		want(t, "pause after a short time of health", fails(), 2*firstPause)
		pass(calmFor + time.Second)
		want(t, "pause after a long time of health", fails(), firstPause)
	})
}

func TestOneRequestTriesADeviceOfOurs(t *testing.T) {
	in(t, func(t *testing.T, b *Board, _ *observer.ObservedLogs) {
		u := b.Place(copyAt(1, 1)).Device
		u.Failed(errDown)
		want(t, "trying at once", u.Try(), false)
		pass(firstPause)
		b.BeginOpen(u)
		want(t, "trying while an open file hangs", u.Try(), false)
		b.EndOpen(u)
		want(t, "trying", u.Try(), true)
		want(t, "trying twice", u.Try(), false)
	})
}

// beginTest begins a call and returns how to see that it was told to leave.
func (b *Board) beginTest(c *Call, at Place) (left *atomic.Bool) {
	left = new(atomic.Bool)
	b.Begin(c, at, func(err error) { left.Store(errors.Is(err, ErrStalled)) })
	return left
}

func TestSilentNodeIsLeft(t *testing.T) {
	in(t, func(t *testing.T, b *Board, _ *observer.ObservedLogs) {
		at, other := b.Place(copyAt(1, 1)), b.Place(copyAt(1, 2))
		var waits, reads, rests Call
		leftWaits, leftReads := b.beginTest(&waits, at), b.beginTest(&reads, other)
		b.Begin(&rests, at, nil)
		rests.Answered()
		reads.Answered()
		reads.Wait()
		pass(250 * time.Millisecond)
		want(t, "level at first", at.Node.Level(), Good)
		pass(150 * time.Millisecond)
		want(t, "level after a moment", at.Node.Level(), Doubtful)
		want(t, "left after a moment", leftWaits.Load() || leftReads.Load(), false)
		pass(700 * time.Millisecond)
		want(t, "level after a second", at.Node.Level(), Bad)
		want(t, "left after a second", leftWaits.Load() && leftReads.Load(), true)
		want(t, "requests in flight", at.Node.InFlight(), int64(3))
		waits.End()
		reads.End()
		rests.End()
		want(t, "requests in flight at the end", at.Node.InFlight(), int64(0))

		var again Call
		b.Begin(&again, at, nil)
		again.Answered()
		want(t, "level after an answer", at.Node.Level(), Doubtful) // until somebody looks
		pass(2 * tickEvery)
		want(t, "level after a look", at.Node.Level(), Good)
		again.End()
	})
}

func TestNodeThatIsHeardOfIsNotSilentThoughADeviceIs(t *testing.T) {
	in(t, func(t *testing.T, b *Board, _ *observer.ObservedLogs) {
		stuck, fine := b.Place(copyAt(1, 1)), b.Place(copyAt(1, 2))
		var c, d Call
		left := b.beginTest(&c, stuck)
		b.Begin(&d, fine, nil)
		for range 30 {
			pass(tickEvery)
			d.Came()
			d.Wait()
		}
		want(t, "level of the node", fine.Node.Level(), Good)
		want(t, "level of the other device", fine.Device.Level(), Good)
		want(t, "level of the silent device", stuck.Device.Level(), Bad)
		want(t, "left", left.Load(), true)
		c.End()
		d.End()
	})
}

func TestDiskThatOpensNothingIsLeft(t *testing.T) {
	in(t, func(t *testing.T, b *Board, _ *observer.ObservedLogs) {
		at := b.Place(copyAt(1, 1))
		b.BeginOpen(at.Device)
		pass(1200 * time.Millisecond)
		want(t, "level of the device", at.Device.Level(), Bad)
		want(t, "level of the node", at.Node.Level(), Good)
		b.EndOpen(at.Device)
		at.Device.Well()
		pass(2 * tickEvery)
		want(t, "level after it opened", at.Device.Level(), Good)
	})
}

// answerTest has a node answer after a time.
func (b *Board) answerTest(node int, after time.Duration) {
	var c Call
	b.Begin(&c, b.Place(copyAt(node, 1)), nil)
	<-time.After(after)
	c.Answered()
	c.End()
}

// The figures in docs/edge.md come from here.
func TestSlowNodeIsLeftAndComesBack(t *testing.T) {
	in(t, func(t *testing.T, b *Board, logs *observer.ObservedLogs) {
		for range 50 {
			for node := 1; node <= 3; node++ {
				b.answerTest(node, 2*time.Millisecond)
			}
		}
		slow := b.Place(copyAt(3, 1)).Node
		answers := 0
		for logs.Len() == 0 && answers < 1000 {
			b.answerTest(1, 2*time.Millisecond)
			b.answerTest(2, 3*time.Millisecond)
			b.answerTest(3, 200*time.Millisecond)
			answers++
		}
		if answers > 45 {
			t.Errorf("got it noticed after %d slow answers; want few", answers)
		}
		t.Logf("a node that takes 200 ms, where others take 2, is left after %d answers", answers)
		pass(firstPause)
		want(t, "asking", slow.Ask(), true)
		slow.Asked(nil, 100*time.Millisecond)
		want(t, "level after a slow answer", slow.Level(), Doubtful)
		pass(2 * firstPause)
		want(t, "asking again", slow.Ask(), true)
		slow.Asked(nil, 4*time.Millisecond)
		want(t, "level after a fast answer", slow.Level(), Good)
		want(t, "lines in the log", logs.Len(), 2)
	})
}

func TestNodesThatAreAllSlowAreNot(t *testing.T) {
	in(t, func(t *testing.T, b *Board, _ *observer.ObservedLogs) {
		for range 200 {
			for node := 1; node <= 3; node++ {
				b.answerTest(node, time.Duration(100*node)*time.Millisecond)
			}
		}
		pass(2 * tickEvery)
		for node := 1; node <= 3; node++ {
			want(t, "level", b.Place(copyAt(node, 1)).Node.Level(), Good)
		}
	})
}

func TestOneLateAnswerMeansNothing(t *testing.T) {
	in(t, func(t *testing.T, b *Board, _ *observer.ObservedLogs) {
		for i := range 100 {
			b.answerTest(1, 2*time.Millisecond)
			late := 2 * time.Millisecond
			if i%4 == 3 {
				late = 900 * time.Millisecond
			}
			b.answerTest(2, late)
			want(t, "level", b.Place(copyAt(2, 1)).Node.Level() < Bad, true)
		}
		pass(tickEvery)
		want(t, "level", b.Place(copyAt(2, 1)).Node.Level(), Good)
	})
}

func TestWrongCopyIsLeftAsideForAWhile(t *testing.T) {
	in(t, func(t *testing.T, b *Board, _ *observer.ObservedLogs) {
		want(t, "aside before", b.Aside("u"), false)
		want(t, "news", b.SetAside("u"), true)
		want(t, "news again", b.SetAside("u"), false)
		want(t, "aside", b.Aside("u"), true)
		want(t, "another aside", b.Aside("v"), false)
		pass(asideFor)
		want(t, "aside afterwards", b.Aside("u"), false)
		for i := range 2 * maxAside {
			b.SetAside(fmt.Sprint(i))
		}
		if n := len(b.aside.until); n > maxAside {
			t.Errorf("got %d remembered; want at most %d", n, maxAside)
		}
		pass(asideFor)
		want(t, "news when the old are over", b.SetAside("w"), true)
		want(t, "aside", b.Aside("w"), true)
	})
}
