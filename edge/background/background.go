// Package background runs what an edge does beside requests: probes, reports, attempts that
// nobody waits for any more. There is a bound on how much, and an end to it.
package background

import (
	"context"
	"sync"
	"time"
)

const (
	// maxRunning bounds what is done beside requests: probes, reports, attempts that
	// nobody waits for any more. What is beyond is left to a later request.
	maxRunning = 256
	// closeWithin bounds how long Close waits. Only a disk that does not even say that it
	// is broken keeps something running for longer.
	closeWithin = 5 * time.Second
)

// Background is what runs beside requests.
type Background struct {
	ctx  context.Context // ends with Close
	stop context.CancelFunc

	mu      sync.Mutex // guards the rest
	room    int        // for how many more
	closed  bool
	running sync.WaitGroup // which grows only before closed is set
}

// New returns a Background in which nothing runs. Close it after use.
func New() *Background {
	b := &Background{room: maxRunning}
	b.ctx, b.stop = context.WithCancel(context.Background())
	return b
}

// Start runs f in a goroutine, and reports whether it does: not when there is too much, or
// after Close. f ends soon after its context.
func (b *Background) Start(f func(context.Context)) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed || b.room == 0 {
		return false
	}
	b.room--
	b.running.Go(func() {
		f(b.ctx)
		b.mu.Lock()
		b.room++
		b.mu.Unlock()
	})
	return true
}

// Close ends what runs, and waits for it; not for ever, as a disk that hangs can keep an
// attempt.
func (b *Background) Close() {
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
	b.stop()
	var waiter sync.WaitGroup
	ended := make(chan struct{})
	waiter.Go(func() {
		b.running.Wait()
		close(ended)
	})
	late := time.NewTimer(closeWithin)
	defer late.Stop()
	select {
	case <-ended:
	case <-late.C:
	}
}
