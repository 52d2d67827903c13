package edge

import (
	"context"
	"sync"
	"time"
)

const (
	// maxBackground bounds what is done beside requests: probes, reports, attempts that
	// nobody waits for any more. What is beyond is left to a later request.
	maxBackground = 256
	// closeWithin bounds how long Close waits. Only a disk that does not even say that it
	// is broken keeps something running for longer.
	closeWithin = 5 * time.Second
)

// background is what runs beside requests.
type background struct {
	ctx  context.Context // ends with close
	stop context.CancelFunc

	mu      sync.Mutex // guards the rest
	room    int        // for how many more
	closed  bool
	running sync.WaitGroup // which grows only before closed is set
}

func newBackground() *background {
	b := &background{room: maxBackground}
	b.ctx, b.stop = context.WithCancel(context.Background())
	return b
}

// start runs f in a goroutine, and reports whether it does: not when there is too much, or
// after close. f ends soon after its context.
func (b *background) start(f func(context.Context)) bool {
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

func (b *background) close() {
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
