package disk_test

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/mogilefs/caddy-mogilefs/storage/disk"
)

// mount puts a small file system on a directory. It reports false where that is not
// permitted, which must not be so in continuous integration.
func mount(t *testing.T, path string) bool {
	t.Helper()
	err := unix.Mount("tmpfs", path, "tmpfs", 0, "size=2m")
	switch {
	case err == nil:
		t.Cleanup(func() { unix.Unmount(path, unix.MNT_DETACH) })
		return true
	case os.Getenv("CI") == "true":
		t.Fatalf("mount tmpfs: %v; it must be permitted in continuous integration", err)
	}
	t.Logf("mount tmpfs: %v; what needs a mount is not tested here", err)
	return false
}

func TestUnmountedDeviceIsNeitherReadNorWritten(t *testing.T) {
	path := t.TempDir()
	dev := filepath.Join(path, "dev1")
	if err := os.Mkdir(dev, 0o755); err != nil {
		t.Fatal(err)
	}
	if !mount(t, dev) {
		return
	}
	first, err := newRoot(t, path, nil).Device(1)
	if err != nil {
		t.Fatal(err)
	}
	if err := first.RecordMount(); err != nil {
		t.Fatal(err)
	}
	if err := put(first, name, "x"); err != nil {
		t.Fatal(err)
	}
	// Nothing of ours keeps it busy.
	if err := unix.Unmount(dev, 0); err != nil {
		t.Fatal(err)
	}
	restarted, err := newRoot(t, path, nil).Device(1)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range []*disk.Device{first, restarted} {
		if err := put(d, name, "y"); !errors.Is(err, disk.ErrNotMounted) {
			t.Errorf("put: got %v; want ErrNotMounted", err)
		}
		if _, err := d.Open(name); !errors.Is(err, disk.ErrNotMounted) || errors.Is(err, fs.ErrNotExist) {
			t.Errorf("open: got %v; want ErrNotMounted and not absence", err)
		}
		if err := d.Remove(name); !errors.Is(err, disk.ErrNotMounted) {
			t.Errorf("remove: got %v; want ErrNotMounted", err)
		}
		if _, err := d.Space(); !errors.Is(err, disk.ErrNotMounted) {
			t.Errorf("space: got %v; want ErrNotMounted", err)
		}
	}
	if got := files(t, dev); len(got) != 0 {
		t.Errorf("files in the empty mount point: got %v; want none", got)
	}
	// A disk that comes back is used again at once.
	if mount(t, dev) {
		if err := put(first, name, "z"); err != nil {
			t.Errorf("put after the mount: %v", err)
		}
	}
}

func TestMissingMountPointIsNotMadeAnew(t *testing.T) {
	path := t.TempDir()
	if err := os.WriteFile(filepath.Join(path, ".dev1.mounted"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := newRoot(t, path, nil).Declare(1); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(path, "dev1")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("stat dev1: got %v; want not exist", err)
	}
}

func TestPlainDirectoryNeedsNoMount(t *testing.T) {
	d := device(t, nil)
	if err := d.RecordMount(); err != nil {
		t.Fatal(err)
	}
	if got := files(t, filepath.Dir(d.Path())); len(got) != 0 {
		t.Errorf("files in the root: got %v; want none", got)
	}
}

func TestFullDiskIsNoSpaceAndKeepsTheOldFile(t *testing.T) {
	path := t.TempDir()
	dev := filepath.Join(path, "dev1")
	if err := os.Mkdir(dev, 0o755); err != nil {
		t.Fatal(err)
	}
	if !mount(t, dev) {
		return
	}
	d, err := newRoot(t, path, nil).Device(1)
	if err != nil {
		t.Fatal(err)
	}
	if err := put(d, name, "old"); err != nil {
		t.Fatal(err)
	}
	// Of unknown size, so that only writing finds out.
	w, err := d.Create(name, disk.Options{Size: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	_, err = io.Copy(struct{ io.Writer }{w}, io.LimitReader(zeros{}, 4<<20))
	if !errors.Is(err, disk.ErrNoSpace) {
		t.Errorf("write: got %v; want ErrNoSpace", err)
	}
	if err := w.Commit(); !errors.Is(err, disk.ErrNoSpace) {
		t.Errorf("commit: got %v; want ErrNoSpace", err)
	}
	if got := content(t, d, name); got != "old" {
		t.Errorf("content: got %q; want old", got)
	}
	if space, err := d.Space(); err != nil || space.Used <= 0 || space.Available < 1<<20 {
		t.Errorf("space: got %+v, %v; want the temporary gone", space, err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }
