// Package guard keeps the operations of a device from piling up when its disk hangs.
//
// Who wants to do something enters a [Guard], waits for a slot when others hold all, does it,
// and leaves. The owner of the device calls Tick once a second, which finds the operation that
// has not ended for long: from then on nobody waits any more, and who comes is refused, until
// it ends. What the operations are is not known here.
package guard

import (
	"errors"
	"sync"
	"sync/atomic"
)

const (
	// maxRunning is how many operations of one kind a device does at once. Each holds
	// a thread of the process, of which there are 10,000; a disk that hangs must not
	// take them all, and none gets faster by more.
	maxRunning = 64
	// maxWaiting is how many more may wait for their turn: what a disk that works does
	// within a second or so. Beyond it the answer would come too late anyway.
	maxWaiting = 1024
	// patience is how many ticks an operation may take. A tick is a second. A disk
	// that was asleep, or repeats a read that failed, may need some.
	patience = 10
	// syncedInATick is how many bytes even a slow disk puts away within a tick, for
	// the patience with the sync of a large file.
	syncedInATick = 16 << 20
)

var (
	// ErrStalled is a device on which an operation has not ended for long.
	ErrStalled = errors.New("device does not answer")
	// ErrBusy is a device for which too many wait.
	ErrBusy = errors.New("too many wait for the device")
)

// Guard keeps the operations of a device from piling up. It has no clock: who owns the
// device calls Tick.
type Guard struct {
	free    chan int                  // numbers of slots that nobody uses
	due     [maxRunning]atomic.Int64  // the tick until which a slot's operation has time; 0 for none
	now     atomic.Int64              // ticks so far
	waiting atomic.Int32              // how many wait for a slot
	stalled atomic.Bool               // what has been found by the last tick
	release atomic.Pointer[stallSign] // what those who wait look at
	tried   sync.WaitGroup            // what Try does; nobody waits for it: it may never end
}

// stallSign is closed when the device is found stalled.
type stallSign struct {
	once sync.Once
	ch   chan struct{}
}

func newStallSign() *stallSign { return &stallSign{ch: make(chan struct{})} }

// New returns a guard that nobody has entered.
func New() *Guard {
	g := &Guard{free: make(chan int, maxRunning)}
	g.release.Store(newStallSign())
	for i := range maxRunning {
		g.free <- i
	}
	return g
}

// Enter begins an operation that has to sync so many bytes; most have none. It waits for
// its turn. Who gets no error calls Leave with the slot.
func (g *Guard) Enter(bytes int64) (slot int, err error) {
	if g.stalled.Load() {
		return 0, ErrStalled
	}
	select {
	case slot = <-g.free:
	default:
		if slot, err = g.wait(); err != nil {
			return 0, err
		}
	}
	g.due[slot].Store(g.now.Load() + patience + bytes/syncedInATick)
	return slot, nil
}

func (g *Guard) wait() (slot int, err error) {
	defer g.waiting.Add(-1)
	if g.waiting.Add(1) > maxWaiting {
		return 0, ErrBusy
	}
	select {
	case slot = <-g.free:
		return slot, nil
	case <-g.release.Load().ch:
		return 0, ErrStalled
	}
}

// Leave ends an operation.
func (g *Guard) Leave(slot int) {
	g.due[slot].Store(0)
	g.free <- slot
}

// Tick looks whether an operation is overdue. hung says that the system knows the disk to
// hang. It reports whether the device is stalled, and whether that is new. It is called by
// one goroutine at a time.
func (g *Guard) Tick(hung bool) (stalled, changed bool) {
	hung = hung || g.Overdue()
	g.now.Add(1)
	changed = g.stalled.Swap(hung) != hung
	switch {
	case hung: // also again: one may have begun to wait just before
		sign := g.release.Load()
		sign.once.Do(func() { close(sign.ch) })
	case changed:
		g.release.Store(newStallSign())
	}
	return hung, changed
}

// Overdue reports what the next Tick will find.
func (g *Guard) Overdue() bool {
	next := g.now.Load() + 1
	for i := range g.due {
		if due := g.due[i].Load(); due != 0 && due < next {
			return true
		}
	}
	return false
}

// Stalled reports what the last Tick found.
func (g *Guard) Stalled() bool { return g.stalled.Load() }

// Now is how many ticks there were.
func (g *Guard) Now() int64 { return g.now.Load() }

// Running is how many operations have begun and not ended.
func (g *Guard) Running() int { return maxRunning - len(g.free) }

// Released is closed when the device is found stalled.
func (g *Guard) Released() <-chan struct{} { return g.release.Load().ch }
