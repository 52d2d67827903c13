package disktest

import (
	"fmt"
	"io/fs"
	"sync"
	"time"

	"github.com/mogilefs/caddy-mogilefs/storage/disk"
)

// Faults fails one operation of all that go through it, and does the others. The zero
// value fails none.
type Faults struct {
	// Over is where the operations are done; nil means the operating system.
	Over disk.Opener

	mu     sync.Mutex // guards what follows
	armed  bool
	left   int
	err    error
	failed string
}

// Arm lets the operation fail that comes after so many others.
func (f *Faults) Arm(after int, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.armed, f.left, f.err, f.failed = true, after, err, ""
}

// Failed says which operation failed, as in "put rename"; empty when none did.
func (f *Faults) Failed() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.failed
}

// step counts an operation and says whether it must fail.
func (f *Faults) step(site disk.Site, op string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.armed {
		return nil
	}
	if f.left--; f.left >= 0 {
		return nil
	}
	f.armed = false
	f.failed = fmt.Sprintf("%s %s", site, op)
	return f.err
}

// Open is a [disk.Opener].
func (f *Faults) Open(path string) (disk.FS, error) {
	if err := f.step("", "open"); err != nil {
		return nil, err
	}
	open := f.Over
	if open == nil {
		open = disk.OpenFS
	}
	dir, err := open(path)
	if err != nil {
		return nil, err
	}
	return faultFS{dir, f}, nil
}

// faultFS does an operation unless it must fail. Looking for what a crash left, and
// closing, never fail.
type faultFS struct {
	disk.FS
	f *Faults
}

func (s faultFS) Create(site disk.Site, name string) (disk.File, error) {
	if err := s.f.step(site, "create"); err != nil {
		return nil, err
	}
	file, err := s.FS.Create(site, name)
	if err != nil {
		return nil, err
	}
	return faultFile{file, s.f, site}, nil
}

func (s faultFS) OpenAt(site disk.Site, name string, offset int64) (disk.File, error) {
	if err := s.f.step(site, "open at"); err != nil {
		return nil, err
	}
	file, err := s.FS.OpenAt(site, name, offset)
	if err != nil {
		return nil, err
	}
	return faultFile{file, s.f, site}, nil
}

func (s faultFS) Mkdir(site disk.Site, name string) error {
	if err := s.f.step(site, "mkdir"); err != nil {
		return err
	}
	return s.FS.Mkdir(site, name)
}

func (s faultFS) Rename(site disk.Site, from, to string) error {
	if err := s.f.step(site, "rename"); err != nil {
		return err
	}
	return s.FS.Rename(site, from, to)
}

func (s faultFS) Remove(site disk.Site, name string) error {
	if err := s.f.step(site, "remove"); err != nil {
		return err
	}
	return s.FS.Remove(site, name)
}

func (s faultFS) SetModTime(site disk.Site, name string, t time.Time) error {
	if err := s.f.step(site, "set time"); err != nil {
		return err
	}
	return s.FS.SetModTime(site, name, t)
}

func (s faultFS) SyncDir(site disk.Site, name string) error {
	if err := s.f.step(site, "sync directory"); err != nil {
		return err
	}
	return s.FS.SyncDir(site, name)
}

func (s faultFS) Lstat(site disk.Site, name string) (fs.FileInfo, error) {
	if err := s.f.step(site, "lstat"); err != nil {
		return nil, err
	}
	return s.FS.Lstat(site, name)
}

func (s faultFS) Space(site disk.Site) (disk.Space, error) {
	if err := s.f.step(site, "space"); err != nil {
		return disk.Space{}, err
	}
	return s.FS.Space(site)
}

type faultFile struct {
	disk.File
	f    *Faults
	site disk.Site
}

func (f faultFile) Write(p []byte) (int, error) {
	if err := f.f.step(f.site, "write"); err != nil {
		n, _ := f.File.Write(p[:len(p)/2]) // as a full disk does
		return n, err
	}
	return f.File.Write(p)
}

func (f faultFile) Preallocate(size int64) error {
	if err := f.f.step(f.site, "preallocate"); err != nil {
		return err
	}
	return f.File.Preallocate(size)
}

func (f faultFile) Sync() error {
	if err := f.f.step(f.site, "sync"); err != nil {
		return err
	}
	return f.File.Sync()
}

func (f faultFile) Close() error {
	err := f.File.Close()
	if ferr := f.f.step(f.site, "close"); ferr != nil {
		return ferr
	}
	return err
}
