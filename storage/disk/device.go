package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"sync/atomic"
)

// maxSyncs is how many syncs of one device run at once. Each holds a thread of the
// process, of which there are 10,000; a disk that hangs must not take them all,
// and none gets faster by more.
const maxSyncs = 64

// preallocateFrom is the size from which room is reserved in advance. Below it one
// write takes what it needs in one piece anyway.
const preallocateFrom = 1 << 20

// Device is one device directory. Its methods may be called by many goroutines.
// It needs no closing.
type Device struct {
	root *Root
	path string
	base string // dev<N>

	mounted  atomic.Bool // it was a mount point once
	recorded atomic.Bool // and that is on disk
	syncs    chan struct{}
	dirs     dirSyncs
	known    knownDirs
}

// Path is the device directory's path in the system.
func (d *Device) Path() string { return d.path }

// Open opens a file for reading.
func (d *Device) Open(name string) (*os.File, error) {
	f, err := openBeneath(d.path, name)
	if errors.Is(err, fs.ErrNotExist) {
		// Absence on a disk that is not there means nothing: a tracker would
		// take it for a lost copy.
		if merr := d.ready(); merr != nil {
			return nil, merr
		}
	}
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", name, err)
	}
	return f, nil
}

func openInRoot(dir, name string) (*os.File, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	f, err := root.Open(name)
	return f, escaped(err)
}

// Create begins a file. Missing directories below the device are made. A known size
// that does not fit gives ErrNoSpace before a byte is read.
func (d *Device) Create(name string, o Options) (*Writer, error) {
	return d.create(name, o, d.root.fast)
}

func (d *Device) create(name string, o Options, fast bool) (*Writer, error) {
	dir, err := d.enter()
	if err != nil {
		return nil, fmt.Errorf("create %s: %w", name, err)
	}
	w := &Writer{device: d, fs: dir, name: name, options: o, fast: fast}
	if err := w.begin(); err != nil {
		w.Abort()
		return nil, fmt.Errorf("create %s: %w", name, classed(err))
	}
	return w, nil
}

// begin opens the temporary.
func (w *Writer) begin() error {
	if space, err := w.fs.Space(SitePut); err == nil && w.options.Size > space.Available {
		return fmt.Errorf("%w: %d bytes are available, %d wanted", ErrNoSpace, space.Available, w.options.Size)
	}
	temp := tempName(w.name)
	file, err := w.fs.Create(SitePut, temp)
	if errors.Is(err, fs.ErrNotExist) {
		if err = w.device.makeParents(w.fs, w.name); err == nil {
			file, err = w.fs.Create(SitePut, temp)
		}
	}
	if err != nil {
		return err
	}
	w.temp, w.file = temp, file
	if w.options.Size < preallocateFrom {
		return nil
	}
	if err := classed(file.Preallocate(w.options.Size)); errors.Is(err, ErrNoSpace) {
		return err
	}
	return nil
}

// Replace writes a small file in one go, but without waiting for the disk: for files
// that are written anew all the time. Readers see the old or the new one, whole. Only
// on a full disk, where there is no room for both, the old one is overwritten.
func (d *Device) Replace(name string, content []byte) error {
	err := d.replace(name, content)
	if errors.Is(err, ErrNoSpace) {
		return d.overwrite(name, content)
	}
	return err
}

func (d *Device) overwrite(name string, content []byte) error {
	dir, err := d.enter()
	if err != nil {
		return fmt.Errorf("overwrite %s: %w", name, err)
	}
	defer dir.Close()
	if err := dir.Overwrite(SitePut, name, content); err != nil {
		return fmt.Errorf("overwrite %s: %w", name, classed(err))
	}
	return nil
}

func (d *Device) replace(name string, content []byte) error {
	w, err := d.create(name, Options{Size: int64(len(content))}, true)
	if err != nil {
		return err
	}
	defer w.Abort()
	if _, err := w.Write(content); err != nil {
		return err
	}
	return w.Commit()
}

// Remove deletes a file, lastingly unless the device is fast. A directory is
// ErrIsDir.
func (d *Device) Remove(name string) error {
	dir, err := d.enter()
	if err != nil {
		return fmt.Errorf("remove %s: %w", name, err)
	}
	defer dir.Close()
	if err := d.remove(dir, name); err != nil {
		return fmt.Errorf("remove %s: %w", name, classed(err))
	}
	return nil
}

func (d *Device) remove(dir FS, name string) error {
	// FS.Remove would take an empty directory too.
	info, err := dir.Lstat(SiteDelete, name)
	if err != nil {
		return err
	}
	if info.IsDir() {
		return ErrIsDir
	}
	if err := dir.Remove(SiteDelete, name); err != nil || d.root.fast {
		return err
	}
	return d.syncDir(dir, SiteDelete, path.Dir(name))
}

// Space measures the device; an unmounted one is ErrNotMounted.
func (d *Device) Space() (Space, error) {
	dir, err := d.enter()
	if err != nil {
		return Space{}, fmt.Errorf("measure %s: %w", d.path, err)
	}
	defer dir.Close()
	space, err := dir.Space(SitePut)
	if err != nil {
		return Space{}, fmt.Errorf("measure %s: %w", d.path, err)
	}
	return space, nil
}

// enter opens the device directory, which must exist and be mounted when it ever
// was. The directory is opened before it is looked at: what is open can't be
// unmounted in between.
func (d *Device) enter() (FS, error) {
	dir, err := d.root.open(d.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNoDevice
	}
	if err != nil {
		return nil, err
	}
	if err := d.ready(); err != nil {
		dir.Close()
		return nil, err
	}
	return dir, nil
}

// ready compares what the directory is with what it was.
func (d *Device) ready() error {
	mount, err := isMountPoint(d.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return ErrNoDevice
	case err != nil:
		return err
	case !mount && d.mounted.Load():
		return fmt.Errorf("%w: mount the disk on %s, or remove %s when it shall be a plain directory",
			ErrNotMounted, d.path, filepath.Join(d.root.path, recordName(d.base)))
	case mount && !d.mounted.Load():
		d.mounted.Store(true)
	}
	return nil
}
