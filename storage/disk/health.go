package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sync/atomic"
	"syscall"

	"go.uber.org/zap"
)

// health is what is known of a device's disk.
//
// Trouble is noticed by whoever meets it, at once: from then on nobody writes. [Device.Look]
// ends it, when a file can be written and synced again.
type health struct {
	trouble atomic.Pointer[trouble] // nil while all is well
	// suspected is set when something failed that need not be the disk's fault; the
	// next Look finds out.
	suspected atomic.Bool
	cure      cure
}

// trouble is why nobody writes to a device.
type trouble struct{ err error }

// cure is when Look tries again. It belongs to the one Look that runs.
type cure struct {
	of    *trouble // what the pause is for
	pause int64    // ticks between it and the first try
	next  int64    // the tick of the next try
	well  int64    // the tick since which the device was well the last time
}

// A disk that fails again soon after it recovered is left alone for longer each time, so
// that it does not take uploads only to lose them.
const (
	firstPause = 1
	maxPause   = 60
	soonAgain  = 60
)

// ErrUnwritable is a device whose disk can be read at best.
var ErrUnwritable = errors.New("device takes no writes")

// isTrouble tells errors that say something about the disk from those about one file.
func isTrouble(err error) bool {
	return err != nil && slices.ContainsFunc(troubles, func(e syscall.Errno) bool { return errors.Is(err, e) })
}

// classed is classed for an error of the device: over the network, a bad spot can't be told from a
// server that is gone.
func (d *Device) classed(err error) error {
	if d.Remote() && errors.Is(err, syscall.EIO) && !errors.Is(err, ErrCutOff) {
		return fmt.Errorf("%w: %w", ErrCutOff, err)
	}
	return classed(err)
}

// notice draws the conclusions from the error of a write, which may be nil.
func (d *Device) notice(err error) {
	switch {
	case err == nil:
	case isTrouble(err):
		d.fail(err)
	case errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EPERM):
		d.suspected.Store(true)
	}
}

// Suspect is told the error of a read from a file of the device. A disk may have one bad
// spot and still take writes: Look will find out.
func (d *Device) Suspect(err error) {
	d.count(err)
	if err = d.classed(err); errors.Is(err, ErrCutOff) {
		d.fail(err)
	} else if isTrouble(err) {
		d.suspected.Store(true)
	}
}

// count counts an error, unless it says nothing against the file system.
func (d *Device) count(err error) {
	switch {
	case err == nil, errors.Is(err, fs.ErrNotExist), errors.Is(err, ErrIsDir), errors.Is(err, ErrNoSpace), errors.Is(classed(err), ErrNoSpace):
	default:
		d.counts.Errors.Add(1)
	}
}

// fail ends all writing. The operator is told by the first who notices.
func (d *Device) fail(err error) {
	if d.trouble.CompareAndSwap(nil, &trouble{d.classed(err)}) {
		d.root.log.Error("device takes no writes any more, until a test write works", zap.String("device", d.base), zap.Error(err))
	}
}

// Trouble is why the device takes no writes; nil when it does.
func (d *Device) Trouble() error {
	if t := d.trouble.Load(); t != nil {
		return fmt.Errorf("%w: %w", ErrUnwritable, t.err)
	}
	return nil
}

// Stalled reports whether nobody may read from the device, because it does not answer.
func (d *Device) Stalled() bool { return d.reading.Stalled() }

// TakesWrites reports whether uploads are not refused from the start.
func (d *Device) TakesWrites() bool { return d.trouble.Load() == nil && !d.writing.Stalled() }

// Running is how many operations that change the device have begun and not ended.
func (d *Device) Running() int { return d.writing.Running() }

// Tick is to be called once a second, by one goroutine at a time. hung says that the system
// knows the disk to hang. It reports whether the device answers again, after it did not.
func (d *Device) Tick(hung bool) (recovered bool) {
	// A disk may be read while its writes hang. What is far away answers, or does not.
	hung = hung || d.Remote() && (d.writing.Overdue() || d.reading.Overdue())
	_, read := d.reading.Tick(hung)
	stalled, write := d.writing.Tick(hung)
	switch {
	case !read && !write:
	case stalled || d.Stalled():
		d.root.log.Error("device does not answer: it is refused until it does", zap.String("device", d.base),
			zap.Bool("reads", d.Stalled()), zap.Bool("writes", stalled))
	default:
		d.root.log.Info("device answers again", zap.String("device", d.base))
		return true
	}
	return false
}

// Look finds out about the disk: whether it is mounted, and read-only, and, when there was
// trouble, whether it takes writes again; recovered reports that. It is to be called after
// each Tick, by one goroutine at a time, and waits for the disk.
func (d *Device) Look() (recovered bool, err error) {
	dir, err := d.enter()
	if err != nil {
		return false, fmt.Errorf("look at %s: %w", d.path, err)
	}
	defer dir.Close()
	if space, err := dir.Space(SiteLook); err == nil && space.ReadOnly {
		d.fail(syscall.EROFS)
		return false, nil
	}
	t := d.trouble.Load()
	if t == nil && !d.suspected.Swap(false) || t != nil && !d.cure.due(t, d.writing.Now()) {
		return false, nil
	}
	switch err := d.probe(dir); {
	case t == nil && err != nil && !ofProcess(err):
		d.fail(err)
	case t != nil && err == nil && d.trouble.CompareAndSwap(t, nil):
		d.cure.well = d.writing.Now()
		d.root.log.Info("device takes writes again", zap.String("device", d.base))
		return true, nil
	}
	return false, nil
}

// due reports whether it is time to try again.
func (c *cure) due(t *trouble, now int64) bool {
	if c.of != t {
		c.of = t
		if c.pause > 0 && now-c.well < soonAgain {
			c.pause = min(2*c.pause, maxPause)
		} else {
			c.pause = firstPause
		}
		c.next = now + c.pause
	}
	if now < c.next {
		return false
	}
	c.next = now + c.pause
	return true
}

// probe writes a file and makes it lasting, as an upload does. A full disk is well.
func (d *Device) probe(dir FS) error {
	temp := tempName("probe")
	f, err := dir.Create(SiteLook, temp)
	if err == nil {
		_, err = f.Write([]byte("probe\n"))
		err = errors.Join(err, f.Sync(), f.Close(), dir.Remove(SiteLook, temp))
	}
	if errors.Is(classed(err), ErrNoSpace) {
		return nil
	}
	return err
}

// ofProcess tells errors that have nothing to do with the disk.
func ofProcess(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) || errors.Is(err, syscall.ENOMEM) ||
		errors.Is(err, fs.ErrClosed) || errors.Is(err, ErrStalled) || errors.Is(err, ErrBusy)
}
