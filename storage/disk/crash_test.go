package disk_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/mogilefs/caddy-mogilefs/storage/disk"
	"github.com/mogilefs/caddy-mogilefs/storage/disk/disktest"
)

// crashDevice is a device in a root that is followed from its creation.
func crashDevice(t *testing.T) (*disk.Device, *disktest.Crash) {
	t.Helper()
	base := t.TempDir()
	c := disktest.NewCrash(base)
	root := newRoot(t, base, c.Open)
	if err := root.Declare(1); err != nil {
		t.Fatal(err)
	}
	d, err := root.Device(1)
	if err != nil {
		t.Fatal(err)
	}
	return d, c
}

func TestWhatWasCommittedSurvivesACrashAtAnyMoment(t *testing.T) {
	const writers, rounds = 8, 12
	d, c := crashDevice(t)
	acknowledged := make(map[string]string)
	c.After = func(left disktest.Left) {
		for name, want := range acknowledged {
			if got, ok := left.Files[name]; !ok || got != want {
				t.Errorf("%s after a crash: got %q, there %v; want %q", name, got, ok, want)
			}
		}
		if len(left.Unsettled) != 0 {
			t.Errorf("published before their content is on disk: %v", left.Unsettled)
		}
	}
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			for j := range rounds {
				// All meet in the same new directories.
				name := fmt.Sprintf("%d/%03d/x%d", j%3, j/2, i)
				body := fmt.Sprintf("%d-%d", i, j)
				c.Meanwhile(func() { delete(acknowledged, "dev1/"+name) })
				if err := put(d, name, body); err != nil {
					t.Errorf("put %s: %v", name, err)
				}
				c.Meanwhile(func() { acknowledged["dev1/"+name] = body })
			}
		})
	}
	wg.Wait()
	if len(acknowledged) == 0 {
		t.Error("nothing was acknowledged")
	}
}

func TestWhatWasRemovedStaysRemovedAfterACrash(t *testing.T) {
	d, c := crashDevice(t)
	if err := put(d, name, "x"); err != nil {
		t.Fatal(err)
	}
	if err := d.Remove(name); err != nil {
		t.Fatal(err)
	}
	if left := c.Left(); len(left.Files) != 0 {
		t.Errorf("after a crash: got %v; want nothing", left.Files)
	}
}

func TestDirectoryMadeAgainIsSyncedAgain(t *testing.T) {
	d, c := crashDevice(t)
	if err := put(d, "a/b/x", "x"); err != nil {
		t.Fatal(err)
	}
	// An operator clears the device while the node runs.
	dir, err := disk.OpenFS(d.Path())
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	for _, name := range []string{"a/b/x", "a/b", "a"} {
		if err := dir.Remove("", name); err != nil {
			t.Fatal(err)
		}
	}
	if err := dir.SyncDir("", "."); err != nil {
		t.Fatal(err)
	}
	c.Clear("dev1")

	if err := put(d, "a/b/y", "y"); err != nil {
		t.Fatal(err)
	}
	if left := c.Left(); left.Files["dev1/a/b/y"] != "y" {
		t.Errorf("after a crash: got %v; want dev1/a/b/y", left.Files)
	}
}
