package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"sync/atomic"

	"github.com/mogilefs/caddy-mogilefs/storage/dirsync"
	"github.com/mogilefs/caddy-mogilefs/storage/guard"
	"github.com/mogilefs/caddy-mogilefs/tally"
)

// preallocateFrom is the size from which room is reserved in advance. Below it one
// write takes what it needs in one piece anyway.
const preallocateFrom = 1 << 20

// Device is one device directory. Its methods may be called by many goroutines.
// It needs no closing.
type Device struct {
	root *Root
	path string
	base string // dev<N>

	counts *tally.Device

	mounted  atomic.Bool // it was a mount point once
	recorded atomic.Bool // and that is on disk
	homes    homes
	dirs     dirsync.Syncs
	known    knownDirs

	// remote is set when another machine, or process, answers for the file system.
	remote atomic.Bool
	closer guard.Closer // what can't be closed while it hangs

	// Two guards, since a disk that is slow to write may still be read.
	reading, writing *guard.Guard
	health
}

// Path is the device directory's path in the system.
func (d *Device) Path() string { return d.path }

// Remote reports whether the device is on a file system that another machine, or process,
// answers for. Whatever is done there may hang for ever, and does so watched, and bounded.
func (d *Device) Remote() bool { return d.remote.Load() }

// SetRemote says so.
func (d *Device) SetRemote(is bool) { d.remote.Store(is) }

// Create begins a file. Missing directories below the device are made. A known size
// that does not fit gives ErrNoSpace before a byte is read.
func (d *Device) Create(name string, o Options) (*Writer, error) {
	w, err := d.create(name, o, d.root.rules)
	d.count(err)
	return w, err
}

func (d *Device) create(name string, o Options, rules Rules) (*Writer, error) {
	dir, err := d.enterToWrite()
	if err != nil {
		return nil, fmt.Errorf("create %s: %w", name, err)
	}
	w := &Writer{device: d, fs: dir, name: name, options: o, fast: rules.Fast, counted: rules.Tally != nil}
	if err := w.begin(rules.MinFree); err != nil {
		w.Abort()
		return nil, fmt.Errorf("create %s: %w", name, classed(err))
	}
	return w, nil
}

// begin opens the temporary.
func (w *Writer) begin(minFree int64) error {
	// A size that is not known leaves what it must for as long as it can be told.
	size := max(w.options.Size, 0)
	if space, err := w.fs.Space(SitePut); err == nil && size > space.Available-minFree {
		return fmt.Errorf("%w: %d bytes are available, %d wanted, %d must be left", ErrNoSpace, space.Available, size, minFree)
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
	dir, err := d.enterToWrite()
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
	w, err := d.create(name, Options{Size: int64(len(content))}, Rules{Fast: true})
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
	dir, err := d.enterToWrite()
	if err != nil {
		return fmt.Errorf("remove %s: %w", name, err)
	}
	defer dir.Close()
	err = d.remove(dir, name)
	d.count(err)
	if err != nil {
		return fmt.Errorf("remove %s: %w", name, classed(err))
	}
	d.counts.Removed.Add(1)
	return nil
}

func (d *Device) remove(dir guarded, name string) error {
	// FS.Remove would take an empty directory too.
	info, err := dir.Lstat(SiteDelete, name)
	if err != nil {
		return err
	}
	if info.IsDir() {
		return ErrIsDir
	}
	if err := dir.Remove(SiteDelete, name); err != nil || d.root.rules.Fast {
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

// enterToWrite is enter for those who change something: not while there is trouble.
func (d *Device) enterToWrite() (guarded, error) {
	if err := d.Trouble(); err != nil {
		return guarded{}, err
	}
	return d.enter()
}

// enter opens the device directory, which must exist and be mounted when it ever
// was. The directory is opened before it is looked at: what is open can't be
// unmounted in between.
func (d *Device) enter() (dir guarded, err error) {
	err = d.do(0, func() error {
		opened, err := d.root.open(d.path)
		if errors.Is(err, fs.ErrNotExist) {
			return ErrNoDevice
		}
		if err != nil {
			return err
		}
		dir = guarded{FS: opened, device: d}
		if dir.home, err = opened.Lstat(SiteMount, "."); err == nil {
			err = d.ready(opened.MountPoint())
		}
		if err != nil {
			opened.Close()
			return err
		}
		dir.prefix = d.homes.prefixOf(dir.home)
		return nil
	})
	return dir, err
}

// ready compares what the directory is with what it was.
func (d *Device) ready(mount bool, err error) error {
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

// still fails when the device's path names another directory than the one that was
// entered: what was stored there is not to be found any more.
func (d *Device) still(home fs.FileInfo) error {
	return d.do(0, func() error {
		if now, err := os.Stat(d.path); err != nil || !os.SameFile(home, now) {
			return ErrReplaced
		}
		return nil
	})
}
