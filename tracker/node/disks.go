package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"time"
)

// Disks is the storage nodes of this process. A look at their disks spares a request, which
// costs ten times as much. Its methods may be called by many goroutines.
type Disks interface {
	// Size returns the length of the file at a URL; fs.ErrNotExist when its device is well
	// and has none. here is false when the URL is not that of a device of this process: then
	// the rest means nothing.
	Size(url string) (n int64, here bool, err error)
}

// sizeHere is Size for what is on the disks of this process. It waits no longer than for a
// node: a disk may hang, and then so does whoever looks at it. How many may is the disk's
// own matter.
func (c *Client) sizeHere(ctx context.Context, url string) (a sizeAnswer, err error) {
	answers := make(chan sizeAnswer, 1)
	c.looks.Go(func() {
		n, here, err := c.config.Disks.Size(url)
		answers <- sizeAnswer{n, here, err}
	})
	late := time.NewTimer(c.config.NodeTimeout)
	defer late.Stop()
	select {
	case a := <-answers:
		return a, nil
	case <-ctx.Done():
		return sizeAnswer{}, context.Cause(ctx)
	case <-late.C:
		return sizeAnswer{}, fmt.Errorf("%w: the disk does not answer", ErrTimeout)
	}
}

// awaitLooks does not wait for a disk that hangs: what looks at it may never end.
func (c *Client) awaitLooks() {
	var ended sync.WaitGroup
	done := make(chan struct{})
	ended.Go(func() { c.looks.Wait(); close(done) })
	late := time.NewTimer(c.config.NodeTimeout)
	defer late.Stop()
	select {
	case <-done:
	case <-late.C:
	}
}

// sizeAnswer is what Disks.Size returned.
type sizeAnswer struct {
	n    int64
	here bool
	err  error
}

// size is what Client.Size says then.
func (a sizeAnswer) size() (n int64, found bool, err error) {
	switch {
	case errors.Is(a.err, fs.ErrNotExist):
		return 0, false, nil
	case a.err != nil:
		return 0, false, fmt.Errorf("size: %w", a.err)
	default:
		return a.n, true, nil
	}
}
