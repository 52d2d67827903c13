package guard

import (
	"io"
	"sync"
)

// Try does an operation that may never end. When the device is found stalled meanwhile, who
// waits is let go with [ErrStalled]; what runs keeps its slot, so that no more than the
// slots can ever hang, and late, which may be nil, gets what it comes to in the end, unless
// that is an error. op must not write to anything that its caller goes on to use.
func Try[T any](g *Guard, op func() (T, error), late func(T)) (value T, err error) {
	slot, err := g.Enter(0)
	if err != nil {
		return value, err
	}
	type result struct {
		value T
		err   error
	}
	done, alone := make(chan result), make(chan struct{})
	g.tried.Go(func() {
		v, err := op()
		g.Leave(slot)
		select {
		case done <- result{v, err}:
		case <-alone:
			if err == nil && late != nil {
				late(v)
			}
		}
	})
	select {
	case r := <-done:
		return r.value, r.err
	case <-g.Released():
		close(alone)
		return value, ErrStalled
	}
}

// Closer closes what its owners may not wait for, one after the other: a descriptor of a device
// that hangs must be given back too, in the end. The zero value is ready.
type Closer struct {
	mu      sync.Mutex // guards all below
	queue   []io.Closer
	running bool
	done    sync.WaitGroup // nobody waits for it: it may never end
}

// Idle reports whether all that was added is closed.
func (c *Closer) Idle() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.running
}

// Add has it closed after all that was added before.
func (c *Closer) Add(x io.Closer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.queue = append(c.queue, x)
	if !c.running {
		c.running = true
		c.done.Go(c.run)
	}
}

func (c *Closer) run() {
	for {
		c.mu.Lock()
		if len(c.queue) == 0 {
			c.running = false
			c.mu.Unlock()
			return
		}
		x := c.queue[0]
		c.queue = c.queue[1:]
		c.mu.Unlock()
		_ = x.Close() // whoever would have minded the error is gone
	}
}
