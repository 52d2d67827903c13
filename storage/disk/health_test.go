package disk_test

import (
	"errors"
	"io/fs"
	"strings"
	"syscall"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/mogilefs/caddy-mogilefs/storage/disk"
)

// sick is a disk whose changes fail while err is set.
type sick struct{ err error }

func (s *sick) open(path string) (disk.FS, error) {
	dir, err := disk.OpenFS(path)
	return sickFS{dir, s}, err
}

type sickFS struct {
	disk.FS
	s *sick
}

func (s sickFS) Create(site disk.Site, name string) (disk.File, error) {
	if s.s.err != nil {
		return nil, &fs.PathError{Op: "create", Path: name, Err: s.s.err}
	}
	return s.FS.Create(site, name)
}

// sickDevice is a device with a file, and what it logs.
func sickDevice(t *testing.T) (*disk.Device, *sick, *observer.ObservedLogs) {
	t.Helper()
	s := new(sick)
	core, logs := observer.New(zapcore.InfoLevel)
	root, err := disk.NewRoot(t.TempDir(), disk.Rules{Log: zap.New(core)}, s.open)
	if err != nil {
		t.Fatal(err)
	}
	if err := root.Declare(1); err != nil {
		t.Fatal(err)
	}
	d, err := root.Device(1)
	if err != nil {
		t.Fatal(err)
	}
	if err := put(d, name, "old"); err != nil {
		t.Fatal(err)
	}
	return d, s, logs
}

// look ticks and looks, as the node does each second.
func look(t *testing.T, d *disk.Device) (recovered bool) {
	t.Helper()
	d.Tick(false)
	recovered, err := d.Look()
	if err != nil {
		t.Fatal(err)
	}
	return recovered
}

func TestTroubleEndsWritingAtOnceUntilAProbeWorks(t *testing.T) {
	for _, errno := range []syscall.Errno{syscall.EIO, syscall.EROFS, syscall.ENODEV} {
		d, s, logs := sickDevice(t)
		s.err = errno
		if err := put(d, "x", "x"); !errors.Is(err, errno) {
			t.Errorf("%v: the first put: got %v; want that error", errno, err)
		}
		s.err = nil // and yet nobody writes before the disk was tried
		for range 3 {
			if err := put(d, "x", "x"); !errors.Is(err, disk.ErrUnwritable) || !errors.Is(err, errno) {
				t.Errorf("%v: the next put: got %v; want ErrUnwritable for that reason", errno, err)
			}
			if err := d.Remove(name); !errors.Is(err, disk.ErrUnwritable) {
				t.Errorf("%v: remove: got %v; want ErrUnwritable", errno, err)
			}
		}
		if got := content(t, d, name); got != "old" {
			t.Errorf("%v: read: got %q; want it as ever", errno, got)
		}
		s.err = errno
		for range 5 {
			if look(t, d) {
				t.Errorf("%v: recovered while the disk is as bad as before", errno)
			}
		}
		s.err = nil
		if !look(t, d) || d.Trouble() != nil {
			t.Errorf("%v: got trouble %v; want the device recovered", errno, d.Trouble())
		}
		if err := put(d, "x", "x"); err != nil {
			t.Errorf("%v: put after recovery: %v", errno, err)
		}
		if got := files(t, d.Path()); strings.Join(got, " ") != name+" x" {
			t.Errorf("%v: files: got %v; want no probe left", errno, got)
		}
		if got := logs.Len(); got != 2 {
			t.Errorf("%v: got %d lines of log %v; want one for the trouble and one for its end", errno, got, logs.All())
		}
	}
}

func TestErrorsOfOneFileOrOfTheProcessAreNotTheDisks(t *testing.T) {
	for _, errno := range []syscall.Errno{syscall.ENOSPC, syscall.EDQUOT, syscall.EMFILE, syscall.ENAMETOOLONG, syscall.ENOTDIR} {
		d, s, _ := sickDevice(t)
		s.err = errno
		if err := put(d, "x", "x"); !errors.Is(err, errno) {
			t.Errorf("%v: got %v; want it", errno, err)
		}
		look(t, d)
		if err := d.Trouble(); err != nil {
			t.Errorf("%v: got trouble %v; want none", errno, err)
		}
	}
}

func TestWhatMayBeTheDisksFaultIsLookedAt(t *testing.T) {
	d, s, _ := sickDevice(t)
	s.err = syscall.EACCES
	if err := put(d, "x", "x"); !errors.Is(err, syscall.EACCES) {
		t.Errorf("put without the right: got %v; want permission denied", err)
	}
	if err := d.Trouble(); err != nil {
		t.Errorf("right after it: got trouble %v; want none yet", err)
	}
	look(t, d)
	if err := d.Trouble(); !errors.Is(err, syscall.EACCES) {
		t.Errorf("after a look: got trouble %v; want the missing right", err)
	}
	s.err = nil
	for range 3 {
		look(t, d)
	}
	// One bad spot of a disk that takes writes.
	d.Suspect(syscall.EIO)
	look(t, d)
	if err := d.Trouble(); err != nil {
		t.Errorf("after an error of a read: got trouble %v; want none, as writing works", err)
	}
	s.err = syscall.EIO
	d.Suspect(syscall.EIO)
	look(t, d)
	if err := d.Trouble(); err == nil {
		t.Error("after an error of a read, and none can write: got no trouble")
	}
}

func TestMinFreeIsLeft(t *testing.T) {
	root, err := disk.NewRoot(t.TempDir(), disk.Rules{MinFree: 1000}, func(path string) (disk.FS, error) {
		dir, err := disk.OpenFS(path)
		return tight{dir}, err
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := root.Declare(1); err != nil {
		t.Fatal(err)
	}
	d, err := root.Device(1)
	if err != nil {
		t.Fatal(err)
	}
	for size, fits := range map[int64]bool{0: true, 500: true, 501: false, -1: true} {
		w, err := d.Create("x", disk.Options{Size: size})
		if (err == nil) != fits || err != nil && !errors.Is(err, disk.ErrNoSpace) {
			t.Errorf("size %d: got %v; want it to fit: %v", size, err, fits)
		}
		if err == nil {
			w.Abort()
		}
	}
	// What the node writes itself needs no such room.
	if err := d.Replace("usage", []byte(strings.Repeat("x", 1400))); err != nil {
		t.Errorf("replace: %v", err)
	}
}

// tight has 1500 bytes.
type tight struct{ disk.FS }

func (tight) Space(disk.Site) (disk.Space, error) { return disk.Space{Used: 1, Available: 1500}, nil }
