package disk_test

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/mogilefs/caddy-mogilefs/storage/disk"
	"github.com/mogilefs/caddy-mogilefs/storage/disk/disktest"
)

var errInjected = errors.New("injected")

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
				f := new(disktest.Faults)
				d := device(t, f.Open)
				if old != "" {
					if err := put(d, name, old); err != nil {
						t.Fatal(err)
					}
				}
				f.Arm(i, errInjected)
				err := putTimed(d)
				if f.Failed() == "" {
					break
				}
				sites[f.Failed()] = true
				checkAfterFault(t, d, f.Failed(), old, err)
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
		f := new(disktest.Faults)
		d := device(t, f.Open)
		if err := put(d, name, "x"); err != nil {
			t.Fatal(err)
		}
		f.Arm(i, errInjected)
		err := d.Remove(name)
		if f.Failed() == "" {
			break
		}
		sites++
		if !errors.Is(err, errInjected) {
			t.Errorf("remove with %q failing: got %v; want the injected error", f.Failed(), err)
		}
	}
	if want := 5; sites != want { // open, which directory it is, lstat, remove, sync
		t.Errorf("failed %d operations; want %d", sites, want)
	}
}

func TestErrorsOfAFullDiskAreNoSpace(t *testing.T) {
	for _, errno := range []syscall.Errno{syscall.ENOSPC, syscall.EDQUOT, syscall.EFBIG} {
		for i := 0; ; i++ {
			f := new(disktest.Faults)
			d := device(t, f.Open)
			f.Arm(i, errno)
			err := putTimed(d)
			if f.Failed() == "" {
				break
			}
			// A guess may fail for any reason; only preallocation knows of space.
			if !slices.Contains([]string{"put space", " open", "mount lstat"}, f.Failed()) && !errors.Is(err, disk.ErrNoSpace) {
				t.Errorf("%v from %q: got %v; want ErrNoSpace", errno, f.Failed(), err)
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
