package health

import (
	"errors"
	"sync/atomic"
	"time"
)

// ErrStalled is why a call is told to leave: nothing came from its node or device for a
// while, and there is another copy.
var ErrStalled = errors.New("storage node is silent")

// Call is a request to a node, or the reading of its answer. The zero Call is ready for
// [Board.Begin], and may be copied no more then. Its methods are for one goroutine; only
// leave is called by another.
type Call struct {
	board *Board
	place Place
	leave func(error)
	began time.Time
	// since is the tick since when the call waits for the node; 0 when it does not.
	since atomic.Int64

	prev, next *Call // in the node's list
}

// Begin begins a call, which waits for the node from now on. leave, or nil, is called
// with [ErrStalled] when the call should be given up; it must not wait. End ends the
// call.
func (b *Board) Begin(c *Call, at Place, leave func(error)) {
	c.board, c.place, c.leave, c.began = b, at, leave, time.Now()
	c.Wait()
	at.Node.inFlight.Add(1)
	at.Node.listed.Lock()
	at.Node.calls.add(c)
	at.Node.listed.Unlock()
}

// Wait says that the call waits for the node.
func (c *Call) Wait() { c.since.Store(c.board.now()) }

// Rest says that the call does not wait for the node now.
func (c *Call) Rest() { c.since.Store(0) }

// Came says that something came, so that the node and the device are alive, and that
// the call does not wait now.
func (c *Call) Came() {
	c.Rest()
	tick := c.board.now()
	c.place.Node.heard(tick)
	c.place.Device.heard(tick)
}

// heard writes only what changes: many calls share the memory.
func (u *Unit) heard(tick int64) {
	if u.progress.Load() != tick {
		u.progress.Store(tick)
	}
}

// Answered is Came for the beginning of an answer, whatever that says: the node is well.
func (c *Call) Answered() {
	c.Came()
	c.place.Node.learn(time.Since(c.began), c.board.now())
	c.place.Node.Well()
}

// End ends the call.
func (c *Call) End() {
	c.Rest()
	n := c.place.Node
	n.listed.Lock()
	n.calls.remove(c)
	n.listed.Unlock()
	n.inFlight.Add(-1)
}

// now is the present tick, which is never 0.
func (b *Board) now() int64 { return b.tick.Load() + 1 }

// BeginOpen and EndOpen stand around the opening of a file on a device of this process.
func (b *Board) BeginOpen(u *Unit) {
	if u.opening.Add(1) == 1 {
		u.openSince.Store(b.now())
	}
}

// EndOpen ends what BeginOpen began, well or not.
func (b *Board) EndOpen(u *Unit) {
	u.heard(b.now())
	u.opening.Add(-1)
}

// list is calls, linked through themselves. The zero list is empty.
type list struct{ first *Call }

func (l *list) add(c *Call) {
	c.prev, c.next = nil, l.first
	if l.first != nil {
		l.first.prev = c
	}
	l.first = c
}

func (l *list) remove(c *Call) {
	if c.next != nil {
		c.next.prev = c.prev
	}
	if c.prev != nil {
		c.prev.next = c.next
	} else if l.first == c {
		l.first = c.next
	}
	c.prev, c.next = nil, nil
}
