package disk_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/mogilefs/caddy-mogilefs/storage/disk"
)

func TestDeviceDirectoriesAreLookedAt(t *testing.T) {
	root := t.TempDir()
	for _, name := range []string{"dev1", "dev2", "dev02", "other"} {
		if err := os.Mkdir(filepath.Join(root, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(root, ".dev2.mounted"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	found, err := disk.Look(root)
	if err != nil || len(found) != 2 {
		t.Fatalf("got %v, %v; want dev1 and dev2", found, err)
	}
	if one := found[0]; one.Device != 1 || one.MountPoint || one.Trouble != nil || one.Space.Available <= 0 {
		t.Errorf("got %+v; want a directory that can be written", one)
	}
	if two := found[1]; !two.Recorded || !errors.Is(two.Trouble, disk.ErrNotMounted) {
		t.Errorf("got %+v; want that its disk is missing", two)
	}
	if entries, err := os.ReadDir(filepath.Join(root, "dev1")); err != nil || len(entries) != 0 {
		t.Errorf("got %v, %v in dev1; want nothing left", entries, err)
	}
}

func TestAMountPointIsSeenByWhoLooks(t *testing.T) {
	root := t.TempDir()
	dir := filepath.Join(root, "dev1")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if !mount(t, dir) {
		return
	}
	found, err := disk.Look(root)
	if err != nil || len(found) != 1 || !found[0].MountPoint || found[0].Trouble != nil {
		t.Fatalf("got %+v, %v; want a mount point that can be written", found, err)
	}
	if err := unix.Mount("", dir, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	found, err = disk.Look(root)
	if err != nil || !found[0].Space.ReadOnly || found[0].Trouble == nil {
		t.Errorf("got %+v, %v; want that it is read-only", found, err)
	}
}

func TestARootThatIsNotThereIsAnError(t *testing.T) {
	if _, err := disk.Look(filepath.Join(t.TempDir(), "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v; want %v", err, os.ErrNotExist)
	}
}
