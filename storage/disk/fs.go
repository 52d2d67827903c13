package disk

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"time"
)

// Site names what an operation is done for, so that a test can fail exactly one.
type Site string

// The sites of this package.
const (
	SitePut     Site = "put"     // the temporary, its rename, the sync of its directory
	SitePart    Site = "part"    // a part of a file, written in place
	SiteParent  Site = "parent"  // directories above a file
	SiteAbort   Site = "abort"   // removal of a temporary that is not wanted
	SiteDelete  Site = "delete"  // removal of a stored file
	SiteSweep   Site = "sweep"   // search for temporaries of a crashed process
	SiteDeclare Site = "declare" // creation of the root and of dev<N>
	SiteMount   Site = "mount"   // the record that a device is a mount point, and which directory it is
	SiteLook    Site = "look"    // whether the disk is in order
)

// FS is one directory of the system, and everything that changes it. Names are
// relative to it, separated by slashes, "." is the directory itself. No name and no
// symbolic link leads out of it.
type FS interface {
	// Create makes a new file for writing and keeps it locked until the FS is
	// closed, which is later than the file is. A file that exists is an error.
	Create(site Site, name string) (File, error)
	// OpenAt opens a file for writing in place from an offset on, and makes it when it
	// is absent. Beyond its end a hole is left.
	OpenAt(site Site, name string, offset int64) (File, error)
	// Mkdir gives fs.ErrExist for a name that exists.
	Mkdir(site Site, name string) error
	// Rename replaces a file of the new name; a directory there is ErrIsDir.
	Rename(site Site, from, to string) error
	Remove(site Site, name string) error
	// Overwrite writes over a file that exists, in place, and fills what was longer
	// with line ends. It takes no room on the disk, and a crash may leave a mixture.
	Overwrite(site Site, name string, content []byte) error
	// RemoveAbandoned removes a file unless a process has it locked; removed tells.
	RemoveAbandoned(site Site, name string) (removed bool, err error)
	// SetModTime is lasting once the file is synced.
	SetModTime(site Site, name string, t time.Time) error
	// SyncDir makes creations, renames and removals in a directory lasting.
	SyncDir(site Site, name string) error
	Lstat(site Site, name string) (fs.FileInfo, error)
	// MountPoint reports whether the directory is on another file system than the one above it.
	MountPoint() (bool, error)
	// ReadDir lists a directory, in no order.
	ReadDir(site Site, name string) ([]fs.DirEntry, error)
	// Space measures the file system the directory is on.
	Space(site Site) (Space, error)
	Close() error
}

// File is a file being written. Its operations belong to the site that created it.
type File interface {
	io.WriteCloser
	// Preallocate reserves room without changing the length.
	Preallocate(size int64) error
	// Sync makes bytes, length and modification time lasting.
	Sync() error
}

// Opener opens the directory at a path of the system; fs.ErrNotExist when absent.
type Opener func(path string) (FS, error)

// OpenFS is the [Opener] of the operating system.
func OpenFS(path string) (FS, error) { return openFS(path) }

// openPortable is OpenFS with nothing but what all systems have.
func openPortable(path string) (FS, error) {
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, err
	}
	return &osFS{root: root}, nil
}

// osFS is the FS of all operating systems. It ignores sites.
type osFS struct {
	root *os.Root
	held []io.Closer // locks of the files created
}

// New files and directories are left to the umask, as the reference does.
const (
	filePerm = 0o666
	dirPerm  = 0o777
)

func (s *osFS) Create(_ Site, name string) (File, error) {
	for {
		f, err := s.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, filePerm)
		if err != nil {
			return nil, escaped(err)
		}
		held, there, err := hold(f)
		if err == nil && there {
			s.held = append(s.held, held)
			return osFile{f}, nil
		}
		f.Close()
		if err != nil {
			s.root.Remove(name)
			return nil, err
		}
		// A sweep took it in the moment before it was locked.
		held.Close()
	}
}

func (s *osFS) OpenAt(_ Site, name string, offset int64) (File, error) {
	f, err := s.root.OpenFile(name, os.O_WRONLY|os.O_CREATE, filePerm)
	if err != nil {
		return nil, escaped(err)
	}
	if _, err := f.Seek(offset, io.SeekStart); err != nil {
		f.Close()
		return nil, err
	}
	return osFile{f}, nil
}

func (s *osFS) Mkdir(_ Site, name string) error  { return escaped(s.root.Mkdir(name, dirPerm)) }
func (s *osFS) Remove(_ Site, name string) error { return escaped(s.root.Remove(name)) }

func (s *osFS) Close() error {
	for _, h := range s.held {
		h.Close()
	}
	return s.root.Close()
}

func (s *osFS) Lstat(_ Site, name string) (fs.FileInfo, error) {
	info, err := s.root.Lstat(name)
	return info, escaped(err)
}

func (s *osFS) MountPoint() (bool, error) { return isMountPoint(s.root.Name()) }

func (s *osFS) Rename(_ Site, from, to string) error {
	err := escaped(s.root.Rename(from, to))
	if errors.Is(err, fs.ErrExist) {
		// Only a directory can't be replaced.
		return fmt.Errorf("%w: %w", ErrIsDir, err)
	}
	return err
}

func (s *osFS) Overwrite(_ Site, name string, content []byte) error {
	f, err := s.root.OpenFile(name, os.O_WRONLY, 0)
	if err != nil {
		return escaped(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	// Not cut to the new length: a reader who knows the old one would miss bytes.
	if rest := info.Size() - int64(len(content)); rest > 0 {
		content = append(slices.Clip(content), bytes.Repeat([]byte("\n"), int(rest))...)
	}
	_, err = f.WriteAt(content, 0)
	return err
}

func (s *osFS) RemoveAbandoned(_ Site, name string) (bool, error) {
	f, err := s.root.OpenFile(name, os.O_WRONLY, 0)
	if err != nil {
		return false, err
	}
	defer f.Close()
	if !abandoned(f) {
		return false, nil
	}
	err = s.root.Remove(name)
	return err == nil, err
}

func (s *osFS) SetModTime(_ Site, name string, t time.Time) error {
	return s.root.Chtimes(name, t, t)
}

func (s *osFS) SyncDir(_ Site, name string) error {
	dir, err := s.root.Open(name)
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}

func (s *osFS) ReadDir(_ Site, name string) ([]fs.DirEntry, error) {
	dir, err := s.root.Open(name)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	return dir.ReadDir(-1)
}

func (s *osFS) Space(Site) (Space, error) {
	dir, err := s.root.Open(".")
	if err != nil {
		return Space{}, err
	}
	defer dir.Close()
	return spaceOf(dir)
}

type osFile struct{ *os.File }

func (f osFile) Preallocate(size int64) error { return preallocate(int(f.Fd()), size) }
