package disk

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"sync"
	"time"
)

// guarded is a device's directory in which every operation waits for its turn, and what
// it says about the disk is noticed.
type guarded struct {
	FS
	device *Device
	// home is the directory that was opened, which may not be what its path names now.
	home fs.FileInfo
	// prefix tells its names from those in a directory that had the path before.
	prefix string
}

// key is what a directory is remembered by.
func (s guarded) key(name string) string { return s.prefix + name }

// homes counts how often the path of a device named another directory than before. The
// zero value is ready.
type homes struct {
	mu     sync.Mutex // guards all
	latest fs.FileInfo
	count  int
	prefix string
}

// prefixOf is the same for the same directory as long as no other is entered.
func (h *homes) prefixOf(home fs.FileInfo) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.latest == nil || !os.SameFile(h.latest, home) {
		h.latest = home
		h.count++
		h.prefix = strconv.Itoa(h.count) + ":"
	}
	return h.prefix
}

// do does one operation that changes the device.
func (d *Device) do(bytes int64, op func() error) error {
	slot, err := d.writing.Enter(bytes)
	if err != nil {
		return err
	}
	defer d.writing.Leave(slot)
	return d.noticed(op())
}

// giveBack closes something, which must always be possible: nobody waits for a turn, nor for
// long. It is done later where a device is remote and hangs: there closing may hang too.
func (d *Device) giveBack(x io.Closer) error {
	if !d.Remote() {
		return x.Close()
	}
	if d.writing.Stalled() || !d.closer.Idle() {
		d.closer.Add(x)
		return ErrStalled
	}
	return d.do(0, x.Close)
}

// Close closes the directory and all that was created there.
func (s guarded) Close() error { return s.device.giveBack(s.FS) }

// noticed draws the conclusions from an error, which may be nil, and names it for what it
// is.
func (d *Device) noticed(err error) error {
	d.notice(err)
	if isTrouble(err) {
		err = d.classed(err)
		return fmt.Errorf("%w: %w", ErrUnwritable, err)
	}
	return err
}

func (s guarded) Create(site Site, name string) (File, error) {
	var f File
	err := s.device.do(0, func() (err error) {
		f, err = s.FS.Create(site, name)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &guardedFile{File: f, device: s.device}, nil
}

func (s guarded) OpenAt(site Site, name string, offset int64) (File, error) {
	var f File
	err := s.device.do(0, func() (err error) {
		f, err = s.FS.OpenAt(site, name, offset)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &guardedFile{File: f, device: s.device}, nil
}

func (s guarded) Mkdir(site Site, name string) error {
	return s.device.do(0, func() error { return s.FS.Mkdir(site, name) })
}

func (s guarded) Rename(site Site, from, to string) error {
	return s.device.do(0, func() error { return s.FS.Rename(site, from, to) })
}

func (s guarded) Remove(site Site, name string) error {
	return s.device.do(0, func() error { return s.FS.Remove(site, name) })
}

func (s guarded) Overwrite(site Site, name string, content []byte) error {
	return s.device.do(0, func() error { return s.FS.Overwrite(site, name, content) })
}

func (s guarded) RemoveAbandoned(site Site, name string) (removed bool, err error) {
	err = s.device.do(0, func() (err error) {
		removed, err = s.FS.RemoveAbandoned(site, name)
		return err
	})
	return removed, err
}

func (s guarded) SetModTime(site Site, name string, t time.Time) error {
	return s.device.do(0, func() error { return s.FS.SetModTime(site, name, t) })
}

func (s guarded) SyncDir(site Site, name string) error {
	return s.device.do(0, func() error { return s.FS.SyncDir(site, name) })
}

func (s guarded) Lstat(site Site, name string) (info fs.FileInfo, err error) {
	err = s.device.do(0, func() (err error) {
		info, err = s.FS.Lstat(site, name)
		return err
	})
	return info, err
}

func (s guarded) ReadDir(site Site, name string) (list []fs.DirEntry, err error) {
	err = s.device.do(0, func() (err error) {
		list, err = s.FS.ReadDir(site, name)
		return err
	})
	return list, err
}

func (s guarded) Space(site Site) (space Space, err error) {
	err = s.device.do(0, func() (err error) {
		space, err = s.FS.Space(site)
		return err
	})
	return space, err
}

type guardedFile struct {
	File
	device  *Device
	written int64
}

func (f *guardedFile) Write(p []byte) (n int, err error) {
	err = f.device.do(0, func() (err error) {
		n, err = f.File.Write(p)
		return err
	})
	f.written += int64(n)
	return n, err
}

// Close tells what could not be written, which some file systems say as late as that.
func (f *guardedFile) Close() error { return f.device.noticed(f.device.giveBack(f.File)) }

func (f *guardedFile) Preallocate(size int64) error {
	return f.device.do(0, func() error { return f.File.Preallocate(size) })
}

func (f *guardedFile) Sync() error {
	return f.device.do(f.written, f.File.Sync)
}
