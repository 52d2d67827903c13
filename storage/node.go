package storage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/storage/blockdev"
	"github.com/mogilefs/caddy-mogilefs/storage/disk"
	"github.com/mogilefs/caddy-mogilefs/storage/openfiles"
	"github.com/mogilefs/caddy-mogilefs/storage/sidechannel"
	"github.com/mogilefs/caddy-mogilefs/tally"
)

// Config is what the operator says of a node.
type Config struct {
	// Root is the directory that holds the device directories dev<N>.
	Root string
	// Devices are created in Root, and Root itself, when absent. With none, those
	// that are there are used; a directory made later is found without a restart
	// in any case.
	Devices []mogile.DevID
	// Fast answers uploads before the bytes are on disk. The zero value is
	// durable: what was answered 2xx survives a power failure.
	Fast bool
	// MinFreeSpace is how many bytes an upload must leave available on its device; one
	// that would leave less is refused. 0 means none.
	MinFreeSpace int64
	// UsageInterval is how often usage files are written; 0 means 10 seconds.
	UsageInterval time.Duration
	// Shutdown is called when the side channel gets the line shutdown, and must return at
	// once. Optional; nil means that the line is unknown there.
	Shutdown func()
	// Tally is where is counted what becomes of files and requests; nil means that nobody wants to know.
	Tally *tally.Storage
	// Logger is told about trouble; nil logs nothing.
	Logger *zap.Logger

	look   time.Duration   // how often devices are looked at; 0 means lookInterval
	kernel blockdev.Kernel // the zero value means that of the system
}

// usageInterval is the reference's.
const usageInterval = 10 * time.Second

// maxDevID is the largest number a tracker's tables hold.
const maxDevID = 1<<24 - 1

// Validate names the field that is wrong and how it should be.
func (c Config) Validate() error {
	if c.Root == "" {
		return errors.New("root is empty: name the directory that holds dev<N>")
	}
	if c.UsageInterval < 0 {
		return fmt.Errorf("usage interval %v is negative: 0 means %v", c.UsageInterval, usageInterval)
	}
	if c.MinFreeSpace < 0 {
		return fmt.Errorf("min free space %d is negative: 0 means none", c.MinFreeSpace)
	}
	for i, dev := range c.Devices {
		if dev == 0 || dev > maxDevID {
			return fmt.Errorf("device %d: want a number from 1 to %d", dev, maxDevID)
		}
		if slices.Contains(c.Devices[:i], dev) {
			return fmt.Errorf("device %d is named twice", dev)
		}
	}
	return nil
}

// Node is a storage node. Its methods may be called by many goroutines.
type Node struct {
	log     *zap.Logger
	kernel  blockdev.Kernel
	devices *devices
	files   *openfiles.Set[content]
	// shutdown is Config's.
	shutdown func()
	tally    *tally.Storage
	watches  sidechannel.Watchers
	fsck     turns
	buffers  buffers

	swept chan struct{} // closed after the sweep at the start

	ctx    context.Context // ends with Close
	cancel context.CancelCauseFunc
	wg     sync.WaitGroup // all goroutines of the node

	mu     sync.Mutex // guards the two below, and wg against growth after Close
	closed bool
	open   map[io.Closer]struct{} // listeners and connections of the side channel
}

var errClosed = errors.New("storage node is closed")

// closeIdleEvery, and the second that a file is kept open at least, are how long a disk
// that nobody reads from any more can't be unmounted.
const closeIdleEvery = time.Second

// watchInterval is the interval of iostat blocks that trackers are used to.
const watchInterval = time.Second

// Open makes declared devices, writes all usage files, and starts what runs in the
// background: usage files, the looks at devices, the watch on disks, and the removal of
// temporaries that a crash left. The caller must Close the node.
func Open(c Config) (*Node, error) {
	return open(c, disk.OpenFS, watchInterval)
}

func open(c Config, opener disk.Opener, watch time.Duration) (*Node, error) {
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("open storage: %w", err)
	}
	if c.Logger == nil {
		c.Logger = zap.NewNop()
	}
	if c.Tally == nil {
		c.Tally = new(tally.Storage)
	}
	if c.UsageInterval == 0 {
		c.UsageInterval = usageInterval
	}
	if c.look == 0 {
		c.look = lookInterval
	}
	if c.kernel == (blockdev.Kernel{}) {
		c.kernel = blockdev.System()
	}
	root, err := disk.NewRoot(c.Root, disk.Rules{
		Fast: c.Fast, MinFree: c.MinFreeSpace, Remote: c.kernel.IsRemote, Log: c.Logger, Tally: c.Tally,
	}, opener)
	if err != nil {
		return nil, fmt.Errorf("open storage: %w", err)
	}
	for _, dev := range c.Devices {
		if err := root.Declare(dev); err != nil {
			return nil, fmt.Errorf("open storage: %w", err)
		}
	}
	n := &Node{
		log: c.Logger, kernel: c.kernel, devices: newDevices(root), shutdown: c.Shutdown, tally: c.Tally, files: openfiles.New(newContent),
		open: make(map[io.Closer]struct{}), swept: make(chan struct{}),
	}
	if err := n.scan(); err != nil {
		return nil, fmt.Errorf("open storage: %w; create %s, or name devices to have it created", err, c.Root)
	}
	n.ctx, n.cancel = context.WithCancelCause(context.Background())
	n.writeUsage()
	n.wg.Go(func() { n.keepUsage(c.UsageInterval) })
	n.wg.Go(func() { n.keepLooking(c.look) })
	n.wg.Go(func() { n.keepWatch(watch) })
	n.wg.Go(n.sweep)
	n.wg.Go(n.keepFiles)
	return n, nil
}

// closeWithin bounds how long Close waits for what hangs at a device.
const closeWithin = 10 * time.Second

// Close ends the side channel's connections and everything that runs in the
// background, and waits for it, but for what hangs at a device. Requests are refused from
// then on. Closing again does nothing more.
func (n *Node) Close() error {
	n.mu.Lock()
	n.closed = true
	open := n.open
	n.open = make(map[io.Closer]struct{})
	n.mu.Unlock()

	n.cancel(errClosed)
	for c := range open {
		c.Close()
	}
	n.await()
	return nil
}

// await waits for all goroutines. One that hangs at a device may never end.
func (n *Node) await() {
	var ended sync.WaitGroup
	done := make(chan struct{})
	ended.Go(func() { n.wg.Wait(); close(done) })
	late := time.NewTimer(closeWithin)
	defer late.Stop()
	select {
	case <-done:
	case <-late.C:
		n.log.Warn("closing without waiting any longer: a device does not answer")
	}
}

// keepFiles closes files that were read some time ago, and all in the end.
func (n *Node) keepFiles() {
	defer n.files.Close()
	again := time.NewTicker(closeIdleEvery)
	defer again.Stop()
	for {
		select {
		case <-n.ctx.Done():
			return
		case <-again.C:
			n.files.CloseIdle()
		}
	}
}

// sweep clears what a crash left, one device after the other: it is in no hurry,
// and a large device takes long. One that is remote keeps no other waiting.
func (n *Node) sweep() {
	defer close(n.swept)
	for _, d := range n.devices.all() {
		switch {
		case n.ctx.Err() != nil:
			return
		case d.Remote():
			n.wg.Go(func() { n.sweepDevice(d) })
		default:
			n.sweepDevice(d)
		}
	}
}

// OpensAtOnce reports whether files of a device may be opened by others than the node itself. It
// does not touch the disk: the device's directory was there when the node last looked, at most
// one interval of the usage files ago. One on a file system of the network may not: whoever waits
// for it must be able to go, as those who ask over HTTP do.
func (n *Node) OpensAtOnce(dev mogile.DevID) bool {
	d, ok := (*n.devices.current.Load())[dev]
	return ok && !d.Remote()
}

// OpenCopy opens a fid's file for reading; fs.ErrNotExist when it is absent, and
// [disk.ErrBusy] when it does not open at once.
func (n *Node) OpenCopy(dev mogile.DevID, fid mogile.FID) (*os.File, error) {
	d, err := n.devices.get(dev)
	if err != nil {
		return nil, err
	}
	r, err := d.Open(copyName(dev, fid))
	if err != nil {
		return nil, err
	}
	if r.Bare() == nil {
		r.Close()
		return nil, fmt.Errorf("open fid %d: %w", fid, disk.ErrBusy)
	}
	n.tally.Devices.At(dev).Opened.Add(1)
	return r.Bare(), nil
}

// SizeOfCopy returns the length of a fid's file; fs.ErrNotExist when it is absent.
func (n *Node) SizeOfCopy(dev mogile.DevID, fid mogile.FID) (int64, error) {
	f, err := n.openCopy(dev, fid)
	if err != nil {
		return 0, err
	}
	defer f.Release()
	return f.Size(), nil
}

func (n *Node) openCopy(dev mogile.DevID, fid mogile.FID) (*file, error) {
	d, err := n.devices.get(dev)
	if err != nil {
		return nil, err
	}
	return n.files.Open(d.Device, copyName(dev, fid))
}

// ReadCopy fills p with the bytes of a fid's file from off on, and returns the file's length and
// when it was modified; fs.ErrNotExist when it is absent. A small file that is read over and
// over stays open between reads. When the file has not so many bytes, p is not filled, and
// the length says so.
func (n *Node) ReadCopy(dev mogile.DevID, fid mogile.FID, p []byte, off int64) (length int64, modified time.Time, err error) {
	f, err := n.openCopy(dev, fid)
	if err != nil {
		return 0, time.Time{}, err
	}
	defer f.Release()
	n.tally.Devices.At(dev).Opened.Add(1)
	if off+int64(len(p)) <= f.Size() {
		_, err = f.ReadAt(p, off)
	}
	return f.Size(), f.About.modified, err
}

// CreateCopy begins the file of a fid; size is -1 when it is not known. The caller
// must call Commit or Abort of the writer.
func (n *Node) CreateCopy(dev mogile.DevID, fid mogile.FID, size int64) (*disk.Writer, error) {
	d, err := n.devices.get(dev)
	if err != nil {
		return nil, err
	}
	return d.Create(copyName(dev, fid), disk.Options{Size: size})
}

// copyName is the path of a fid on its device, without the device.
func copyName(dev mogile.DevID, fid mogile.FID) string {
	return strings.TrimPrefix(fid.Path(dev), "/dev"+dev.String()+"/")
}
