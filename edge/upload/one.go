package upload

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/mogilefs/caddy-mogilefs/mogile"
)

// Devices are where copies are written.
type Devices interface {
	// Create begins a copy of b. The caller calls either Commit or Abort, once.
	Create(c mogile.Copy, b *Body) (Copy, error)
	// Open opens a copy that was written, of so many bytes. The caller closes it.
	Open(ctx context.Context, c mogile.Copy, length int64) (io.ReadCloser, error)
	// Blame is told which copy failed, and why.
	Blame(c mogile.Copy, err error)
	// Await has somebody wait for what is late, which returns when it has ended.
	Await(late func())
}

// ErrNotStored is why an upload failed that was well in itself: not enough devices took it.
var ErrNotStored = errors.New("not enough devices took the upload")

// One writes the body to the first destination that takes it and returns that;
// with an error, the one tried last. A destination that fails is followed by the
// next as long as the body can be had again from its beginning. What lies on the
// failed one is not abandoned, because that would give up the fid.
func One(devices Devices, to []mogile.Copy, b *Body) (c mogile.Copy, err error) {
	for _, c = range to {
		if err = write(devices, c, b); err == nil || isFault(err) {
			return c, err
		}
		devices.Blame(c, err)
		if !b.Rewind() {
			break
		}
	}
	return c, fmt.Errorf("%w: %w", ErrNotStored, err)
}

// isFault recognises what is wrong with the body, at any destination.
func isFault(err error) bool { return errors.Is(err, ErrUnusable) || errors.Is(err, ErrTooLarge) }

// write writes the body to one destination.
func write(devices Devices, c mogile.Copy, b *Body) error {
	dst, err := devices.Create(c, b)
	if err != nil {
		return err
	}
	committed := false
	defer func() {
		if !committed {
			dst.Abort()
		}
	}()
	if err := b.Pump(dst); err != nil {
		return err
	}
	if err := b.Verify(); err != nil {
		return err
	}
	committed = true // whatever it returns
	return dst.Commit()
}
