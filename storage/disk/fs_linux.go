package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"time"

	"golang.org/x/sys/unix"
)

// linuxFS is osFS with fewer calls of the system: it finds the directory a file is in
// with one, and keeps that open from a file's creation to its sync, where osFS opens each
// directory on the way anew each time. What it does not know to do, and what fails for another
// reason than that a name is absent, it leaves to osFS.
type linuxFS struct {
	dir    *os.File  // itself
	parent int       // the directory that was used last, or none
	name   string    // of parent
	found  time.Time // when parent was found at its name
	rest   FS        // osFS on the same directory, or nil until it is needed
	held   []int     // descriptors that hold the locks of files that are closed
	// quiet says that the file system has nothing to tell when a file is closed.
	quiet bool
}

// none is no descriptor.
const none = -1

// parentFor is how long a directory counts as what its name said: bytes may take long to come.
const parentFor = time.Second

func openFS(path string) (FS, error) {
	fd, err := ignoringEINTR(func() (int, error) {
		return unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	})
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	return &linuxFS{dir: os.NewFile(uintptr(fd), path), parent: none}, nil
}

func ignoringEINTR(call func() (int, error)) (int, error) {
	for {
		n, err := call()
		if !errors.Is(err, unix.EINTR) {
			return n, err
		}
	}
}

// portable is osFS, opened through our own descriptor: another directory may have
// the path by now.
func (s *linuxFS) portable() (FS, error) {
	if s.rest == nil {
		rest, err := openPortable(fmt.Sprintf("/proc/self/fd/%d", s.dir.Fd()))
		if err != nil {
			return nil, err
		}
		s.rest = rest
	}
	return s.rest, nil
}

// in returns the directory of a name, which stays open until the next call.
func (s *linuxFS) in(dir string) (int, error) {
	if dir == "." {
		return int(s.dir.Fd()), nil
	}
	if s.parent != none && s.name == dir && time.Since(s.found) < parentFor {
		return s.parent, nil
	}
	fd, err := s.open(dir)
	if err != nil {
		return none, err
	}
	s.leave()
	s.parent, s.name, s.found = fd, dir, time.Now()
	return fd, nil
}

func (s *linuxFS) open(dir string) (int, error) {
	how := unix.OpenHow{
		Flags:   unix.O_RDONLY | unix.O_DIRECTORY | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_MAGICLINKS,
	}
	fd, err := ignoringEINTR(func() (int, error) { return unix.Openat2(int(s.dir.Fd()), dir, &how) })
	if err != nil {
		return none, &fs.PathError{Op: "open", Path: dir, Err: err}
	}
	return fd, nil
}

// leave closes the directory that was used last.
func (s *linuxFS) leave() {
	if s.parent != none {
		_ = unix.Close(s.parent) // nothing was written there
		s.parent = none
	}
}

// at calls do with the directory a name is in and its last part.
func (s *linuxFS) at(name string, do func(dir int, base string) error) error {
	dir, err := s.in(path.Dir(name))
	if err != nil {
		return err
	}
	if err := do(dir, path.Base(name)); err != nil {
		return &fs.PathError{Op: "use", Path: name, Err: err}
	}
	return nil
}

// orElse gives what failed to osFS, which knows all ways and words all errors, unless the
// name or a directory above it is absent.
func (s *linuxFS) orElse(err error, do func(rest FS) error) error {
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		return err
	}
	rest, rerr := s.portable()
	if rerr != nil {
		return err
	}
	return do(rest)
}

func (s *linuxFS) Create(site Site, name string) (f File, err error) {
	err = s.at(name, func(dir int, base string) error {
		f, err = s.create(dir, base)
		return err
	})
	return f, s.orElse(err, func(rest FS) (err error) {
		f, err = rest.Create(site, name)
		return err
	})
}

func (s *linuxFS) create(dir int, base string) (File, error) {
	for {
		fd, err := ignoringEINTR(func() (int, error) {
			return unix.Openat(dir, base, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, filePerm)
		})
		if err != nil {
			return nil, err
		}
		if unix.Flock(fd, unix.LOCK_EX) != nil {
			return &heldFile{fd, s, 0}, nil // as in hold
		}
		var st unix.Stat_t
		if err := unix.Fstat(fd, &st); err != nil {
			_ = unix.Close(fd)
			_ = unix.Unlinkat(dir, base, 0) // the error that counts is the other
			return nil, err
		}
		if st.Nlink > 0 {
			return &heldFile{fd, s, 0}, nil
		}
		// A sweep took it in the moment before it was locked.
		_ = unix.Close(fd)
	}
}

// heldFile is locked until the FS is closed.
type heldFile struct {
	fd      int // none once it is closed
	fs      *linuxFS
	written int
}

// Write gives its directory up with the second piece: the others may take long to come, and
// many files may be written at a time.
func (f *heldFile) Write(p []byte) (n int, err error) {
	if f.written > 0 {
		f.fs.leave()
	}
	for got := 1; got > 0 && n < len(p); n += max(got, 0) {
		got, err = ignoringEINTR(func() (int, error) { return unix.Write(f.fd, p[n:]) })
	}
	f.written += n
	return n, err
}

func (f *heldFile) Preallocate(size int64) error { return preallocate(f.fd, size) }

func (f *heldFile) Sync() error {
	_, err := ignoringEINTR(func() (int, error) { return 0, unix.Fsync(f.fd) })
	return err
}

// Close closes the file, of which a second descriptor keeps the lock: an upload that
// takes long has one only. Each closing has the system report what it could not write,
// where it has something to report.
func (f *heldFile) Close() (err error) {
	fd := f.fd
	f.fd = none
	if !f.fs.quiet {
		held, derr := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
		fd, err = held, errors.Join(derr, unix.Close(fd))
	}
	if fd != none {
		f.fs.held = append(f.fs.held, fd)
	}
	return err
}

func (s *linuxFS) Mkdir(site Site, name string) error {
	err := s.at(name, func(dir int, base string) error { return unix.Mkdirat(dir, base, dirPerm) })
	return s.orElse(err, func(rest FS) error { return rest.Mkdir(site, name) })
}

func (s *linuxFS) Rename(site Site, from, to string) error {
	err := error(unix.EXDEV)
	if path.Dir(from) == path.Dir(to) {
		err = s.at(from, func(dir int, base string) error { return unix.Renameat(dir, base, dir, path.Base(to)) })
	}
	return s.orElse(err, func(rest FS) error { return rest.Rename(site, from, to) })
}

func (s *linuxFS) Remove(site Site, name string) error {
	err := s.at(name, func(dir int, base string) error { return unix.Unlinkat(dir, base, 0) })
	return s.orElse(err, func(rest FS) error { return rest.Remove(site, name) })
}

func (s *linuxFS) SyncDir(site Site, name string) error {
	dir, err := s.in(name)
	if err != nil {
		return s.orElse(err, func(rest FS) error { return rest.SyncDir(site, name) })
	}
	_, err = ignoringEINTR(func() (int, error) { return 0, unix.Fsync(dir) })
	return err
}

func (s *linuxFS) Lstat(site Site, name string) (info fs.FileInfo, err error) {
	if name == "." {
		return s.dir.Stat()
	}
	err = s.at(name, func(dir int, base string) error {
		fd, err := ignoringEINTR(func() (int, error) {
			return unix.Openat(dir, base, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		})
		if err != nil {
			return err
		}
		f := os.NewFile(uintptr(fd), base)
		defer f.Close()
		info, err = f.Stat()
		return err
	})
	return info, s.orElse(err, func(rest FS) (err error) {
		info, err = rest.Lstat(site, name)
		return err
	})
}

func (s *linuxFS) MountPoint() (bool, error) {
	var own, above unix.Stat_t
	dir := int(s.dir.Fd())
	if err := errors.Join(unix.Fstat(dir, &own), unix.Fstatat(dir, "..", &above, 0)); err != nil {
		return false, err
	}
	return own.Dev != above.Dev, nil
}

func (s *linuxFS) Space(Site) (Space, error) {
	var st unix.Statfs_t
	if err := unix.Fstatfs(int(s.dir.Fd()), &st); err != nil {
		return Space{}, os.NewSyscallError("fstatfs", err)
	}
	switch int64(st.Type) {
	case unix.EXT4_SUPER_MAGIC, unix.XFS_SUPER_MAGIC, unix.BTRFS_SUPER_MAGIC, unix.TMPFS_MAGIC:
		s.quiet = true
	}
	return spaceIn(&st), nil
}

func (s *linuxFS) OpenAt(site Site, name string, offset int64) (File, error) {
	rest, err := s.portable()
	if err != nil {
		return nil, err
	}
	return rest.OpenAt(site, name, offset)
}

func (s *linuxFS) Overwrite(site Site, name string, content []byte) error {
	rest, err := s.portable()
	if err != nil {
		return err
	}
	return rest.Overwrite(site, name, content)
}

func (s *linuxFS) RemoveAbandoned(site Site, name string) (bool, error) {
	rest, err := s.portable()
	if err != nil {
		return false, err
	}
	return rest.RemoveAbandoned(site, name)
}

func (s *linuxFS) SetModTime(site Site, name string, t time.Time) error {
	err := s.at(name, func(dir int, base string) error {
		at, err := unix.TimeToTimespec(t)
		if err != nil {
			return err
		}
		return unix.UtimesNanoAt(dir, base, []unix.Timespec{at, at}, unix.AT_SYMLINK_NOFOLLOW)
	})
	return s.orElse(err, func(rest FS) error { return rest.SetModTime(site, name, t) })
}

// ReadDir has the types of what it lists from the directory itself. osFS looks at each: a disk
// that is mounted there and hangs, or fails, would keep all others from being listed.
func (s *linuxFS) ReadDir(site Site, name string) ([]fs.DirEntry, error) {
	fd, err := s.open(name)
	if err != nil {
		var list []fs.DirEntry
		err = s.orElse(err, func(rest FS) (err error) {
			list, err = rest.ReadDir(site, name)
			return err
		})
		return list, err
	}
	dir := os.NewFile(uintptr(fd), name)
	defer dir.Close()
	return dir.ReadDir(-1)
}

// Close closes all but the files that are still open.
func (s *linuxFS) Close() error {
	for _, fd := range s.held {
		_ = unix.Close(fd) // it was closed once, when it was asked for errors
	}
	s.leave()
	if s.rest != nil {
		s.rest.Close()
	}
	return s.dir.Close()
}
