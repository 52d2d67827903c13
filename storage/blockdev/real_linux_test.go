package blockdev_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mogilefs/caddy-mogilefs/storage/blockdev"
	"github.com/mogilefs/caddy-mogilefs/tests/mount"
)

// TestALoopIsFoundAndItsWorkCounted needs root.
func TestALoopIsFoundAndItsWorkCounted(t *testing.T) {
	dir := t.TempDir()
	if !mount.Ext4(t, dir, 32<<20) {
		return
	}
	k := blockdev.System()
	link := filepath.Join(t.TempDir(), "dev1")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	place, err := k.Place(link)
	if err != nil || !strings.HasPrefix(place.Source, "/dev/loop") {
		t.Fatalf("place: got %+v, %v; want a loop", place, err)
	}
	disks := k.Disks(place)
	if len(disks) != 1 || disks[0].Major != 7 {
		t.Fatalf("disks of %+v: got %v; want a loop's number", place, disks)
	}
	before, err := k.Counters()
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(filepath.Join(dir, "file"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Write(make([]byte, 8<<20)); err != nil {
		t.Fatal(err)
	}
	if err := f.Sync(); err != nil {
		t.Fatal(err)
	}
	after, err := k.Counters()
	if err != nil {
		t.Fatal(err)
	}
	a, b := after[disks[0]], before[disks[0]]
	if a.Done <= b.Done || a.Busy < b.Busy {
		t.Errorf("counters of the loop: got %+v, before it was %+v; want the writes counted", a, b)
	}
}

// TestATmpfsIsOnNoDisk needs root.
func TestATmpfsIsOnNoDisk(t *testing.T) {
	dir := t.TempDir()
	if !mount.Tmpfs(t, dir, "1m") {
		return
	}
	place, err := blockdev.System().Place(dir)
	if err != nil || place.Source != "tmpfs" {
		t.Fatalf("place: got %+v, %v; want tmpfs", place, err)
	}
	if disks := blockdev.System().Disks(place); len(disks) != 0 {
		t.Errorf("disks: got %v; want none", disks)
	}
}

func TestAMissingDirectoryIsAnError(t *testing.T) {
	if got, err := blockdev.System().Place(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Errorf("got %+v; want an error", got)
	}
}
