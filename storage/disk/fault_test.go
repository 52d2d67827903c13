package disk_test

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/mogilefs/caddy-mogilefs/storage/disk"
)

var errInjected = errors.New("injected")

// faults fails one operation of all that go through it.
type faults struct {
	mu     sync.Mutex // guards count
	count  int
	at     int   // the operation that fails; -1 for none
	err    error // what it fails with
	failed string
}

// step counts an operation and says whether it must fail.
func (f *faults) step(site disk.Site, op string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.count++
	if f.count-1 != f.at {
		return nil
	}
	f.failed = fmt.Sprintf("%s %s", site, op)
	return f.err
}

func (f *faults) open(path string) (disk.FS, error) {
	if err := f.step("", "open"); err != nil {
		return nil, err
	}
	dir, err := disk.OpenFS(path)
	if err != nil {
		return nil, err
	}
	return faultFS{dir, f}, nil
}

// faultFS does an operation unless it must fail.
type faultFS struct {
	disk.FS
	f *faults
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
	f    *faults
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

// harmless operations may fail without anybody being told: a missing guess of the
// room just means that the disk itself will say when it is full.
var harmless = []string{"put space", "put preallocate"}

// bigContent is large enough to be preallocated.
var bigContent = string(make([]byte, 1<<20))

func TestEveryFailureOfAPutIsReportedAndLeavesTheOldFileOrTheNew(t *testing.T) {
	for _, old := range []string{"", "old content"} {
		t.Run(fmt.Sprintf("old=%q", old), func(t *testing.T) {
			sites := make(map[string]bool)
			for i := 0; ; i++ {
				f := &faults{at: -1, err: errInjected}
				d := device(t, f.open)
				if old != "" {
					if err := put(d, name, old); err != nil {
						t.Fatal(err)
					}
				}
				f.count, f.at = 0, i
				err := putTimed(d)
				if f.failed == "" {
					break
				}
				sites[f.failed] = true
				checkAfterFault(t, d, f.failed, old, err)
			}
			want := []string{"put create", "put write", "put sync", "put close", "put rename",
				"put sync directory", "put set time", " open"}
			if old == "" {
				want = append(want, "parent mkdir", "parent sync directory")
			}
			for _, want := range want {
				if !sites[want] {
					t.Errorf("the sweep never failed %q; it failed %v", want, sites)
				}
			}
		})
	}
}

func putTimed(d *disk.Device) error {
	w, err := d.Create(name, disk.Options{Size: int64(len(bigContent)), ModTime: time.Unix(1e9, 0)})
	if err != nil {
		return err
	}
	defer w.Abort()
	if _, err := w.Write([]byte(bigContent)); err != nil {
		return err
	}
	return w.Commit()
}

func checkAfterFault(t *testing.T, d *disk.Device, failed, old string, err error) {
	t.Helper()
	if (err == nil) != slices.Contains(harmless, failed) {
		t.Errorf("put with %q failing: got %v", failed, err)
	}
	if err != nil && !errors.Is(err, errInjected) {
		t.Errorf("put with %q failing: got %v; want the injected error wrapped", failed, err)
	}
	published := err == nil || failed == "put sync directory"
	switch got := files(t, d.Path()); {
	case !published && old == "":
		if len(got) != 0 {
			t.Errorf("files with %q failing: got %v; want none", failed, got)
		}
	case !slices.Equal(got, []string{name}):
		t.Errorf("files with %q failing: got %v; want only %s", failed, got, name)
	case published:
		if content(t, d, name) != bigContent {
			t.Errorf("content with %q failing: want the new one", failed)
		}
	case content(t, d, name) != old:
		t.Errorf("content with %q failing: want the old one", failed)
	}
}

func TestEveryFailureOfARemoveIsReported(t *testing.T) {
	sites := 0
	for i := 0; ; i++ {
		f := &faults{at: -1, err: errInjected}
		d := device(t, f.open)
		if err := put(d, name, "x"); err != nil {
			t.Fatal(err)
		}
		f.count, f.at = 0, i
		err := d.Remove(name)
		if f.failed == "" {
			break
		}
		sites++
		if !errors.Is(err, errInjected) {
			t.Errorf("remove with %q failing: got %v; want the injected error", f.failed, err)
		}
	}
	if want := 4; sites != want { // open, lstat, remove, sync
		t.Errorf("failed %d operations; want %d", sites, want)
	}
}

func TestErrorsOfAFullDiskAreNoSpace(t *testing.T) {
	for _, errno := range []syscall.Errno{syscall.ENOSPC, syscall.EDQUOT, syscall.EFBIG} {
		for i := 0; ; i++ {
			f := &faults{at: -1, err: errno}
			d := device(t, f.open)
			f.count, f.at = 0, i
			err := putTimed(d)
			if f.failed == "" {
				break
			}
			// A guess may fail for any reason; only preallocation knows of space.
			if f.failed != "put space" && !errors.Is(err, disk.ErrNoSpace) && f.failed != " open" {
				t.Errorf("%v from %q: got %v; want ErrNoSpace", errno, f.failed, err)
			}
		}
	}
}

func TestSweepGoesOnAfterAnError(t *testing.T) {
	d := device(t, func(path string) (disk.FS, error) {
		dir, err := disk.OpenFS(path)
		return sweepFaults{dir}, err
	})
	for _, name := range []string{"a/x", "b/x"} {
		if err := put(d, name, "x"); err != nil {
			t.Fatal(err)
		}
	}
	mustWrite(t, d, "a/y.c0123456789abcdef.tmp")
	mustWrite(t, d, "b/y.c0123456789abcdef.tmp")
	removed, err := d.Sweep(t.Context())
	if removed != 1 || !errors.Is(err, errInjected) {
		t.Errorf("sweep: got %d, %v; want 1 and the injected error", removed, err)
	}
}

// sweepFaults can't list a.
type sweepFaults struct{ disk.FS }

func (s sweepFaults) ReadDir(site disk.Site, name string) ([]fs.DirEntry, error) {
	if name == "a" {
		return nil, errInjected
	}
	return s.FS.ReadDir(site, name)
}
