package disk_test

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mogilefs/caddy-mogilefs/storage/disk"
)

const name = "0/000/000/0000000001.fid"

// device is dev1 in a new root.
func device(t *testing.T, open disk.Opener) *disk.Device {
	t.Helper()
	root := newRoot(t, t.TempDir(), open)
	if err := root.Declare(1); err != nil {
		t.Fatal(err)
	}
	d, err := root.Device(1)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func newRoot(t *testing.T, path string, open disk.Opener) *disk.Root {
	t.Helper()
	root, err := disk.NewRoot(path, disk.Rules{}, open)
	if err != nil {
		t.Fatal(err)
	}
	return root
}

// put writes a file of known size.
func put(d *disk.Device, name, content string) error {
	w, err := d.Create(name, disk.Options{Size: int64(len(content))})
	if err != nil {
		return err
	}
	defer w.Abort()
	if _, err := io.WriteString(w, content); err != nil {
		return err
	}
	return w.Commit()
}

func content(t *testing.T, d *disk.Device, name string) string {
	t.Helper()
	f, err := d.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.NewSectionReader(f, 0, math.MaxInt64))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// files lists all that is not a directory below a path.
func files(t *testing.T, path string) []string {
	t.Helper()
	var list []string
	err := filepath.WalkDir(path, func(p string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			rel, _ := filepath.Rel(path, p)
			list = append(list, filepath.ToSlash(rel))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestCommitPublishesAndReplaces(t *testing.T) {
	d := device(t, nil)
	for _, want := range []string{"first", "", "another"} {
		if err := put(d, name, want); err != nil {
			t.Fatal(err)
		}
		if got := content(t, d, name); got != want {
			t.Errorf("content: got %q; want %q", got, want)
		}
	}
	if got := files(t, d.Path()); !slices.Equal(got, []string{name}) {
		t.Errorf("files: got %v; want only %s", got, name)
	}
}

func TestNothingIsSeenBeforeCommitNorAfterAbort(t *testing.T) {
	d := device(t, nil)
	w, err := d.Create(name, disk.Options{Size: -1})
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(w, "half")
	if _, err := d.Open(name); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("open before commit: got %v; want not exist", err)
	}
	w.Abort()
	w.Abort()
	if got := files(t, d.Path()); len(got) != 0 {
		t.Errorf("files after abort: got %v; want none", got)
	}
	if err := w.Commit(); err == nil {
		t.Error("commit after abort: got nil; want an error")
	}
}

func TestCommitRefusesAnotherLength(t *testing.T) {
	for _, size := range []int64{0, 3, 5} {
		d := device(t, nil)
		if err := put(d, name, "old"); err != nil {
			t.Fatal(err)
		}
		w, err := d.Create(name, disk.Options{Size: size})
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(w, "four")
		if err := w.Commit(); !errors.Is(err, disk.ErrLength) {
			t.Errorf("commit of 4 bytes, %d announced: got %v; want ErrLength", size, err)
		}
		if got := content(t, d, name); got != "old" {
			t.Errorf("target: got %q; want the old content", got)
		}
		if got := files(t, d.Path()); len(got) != 1 {
			t.Errorf("files: got %v; want one", got)
		}
	}
}

func TestModTimeIsSet(t *testing.T) {
	d := device(t, nil)
	want := time.Date(2020, 2, 3, 4, 5, 6, 0, time.UTC)
	w, err := d.Create(name, disk.Options{Size: -1, ModTime: want})
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(w, "x")
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(filepath.Join(d.Path(), name))
	if err != nil {
		t.Fatal(err)
	}
	if !info.ModTime().Equal(want) {
		t.Errorf("mtime: got %v; want %v", info.ModTime(), want)
	}
}

func TestLargeFilesArePreallocatedAndKeepTheirLength(t *testing.T) {
	d := device(t, nil)
	want := strings.Repeat("0123456789abcdef", 1<<17)
	if err := put(d, name, want); err != nil {
		t.Fatal(err)
	}
	if got := content(t, d, name); got != want {
		t.Errorf("content: got %d bytes; want %d", len(got), len(want))
	}
}

func TestSizeBeyondTheDiskIsNoSpaceBeforeAnyByte(t *testing.T) {
	d := device(t, nil)
	_, err := d.Create(name, disk.Options{Size: 1 << 60})
	if !errors.Is(err, disk.ErrNoSpace) {
		t.Errorf("create: got %v; want ErrNoSpace", err)
	}
	if got := files(t, d.Path()); len(got) != 0 {
		t.Errorf("files: got %v; want none", got)
	}
}

func TestDeviceDirectoryIsNeverMade(t *testing.T) {
	d := device(t, nil)
	if err := os.RemoveAll(d.Path()); err != nil {
		t.Fatal(err)
	}
	if err := put(d, name, "x"); !errors.Is(err, disk.ErrNoDevice) {
		t.Errorf("put: got %v; want ErrNoDevice", err)
	}
	if err := d.Remove(name); !errors.Is(err, disk.ErrNoDevice) {
		t.Errorf("remove: got %v; want ErrNoDevice", err)
	}
	if _, err := d.Open(name); !errors.Is(err, disk.ErrNoDevice) {
		t.Errorf("open: got %v; want ErrNoDevice", err)
	}
	if _, err := os.Stat(d.Path()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("stat %s: got %v; want not exist", d.Path(), err)
	}
}

func TestRemoveTakesFilesOnly(t *testing.T) {
	d := device(t, nil)
	if err := put(d, name, "x"); err != nil {
		t.Fatal(err)
	}
	if err := d.Remove("0/000/000"); !errors.Is(err, disk.ErrIsDir) {
		t.Errorf("remove of a directory: got %v; want ErrIsDir", err)
	}
	if err := d.Remove(name); err != nil {
		t.Errorf("remove: %v", err)
	}
	if err := d.Remove(name); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("remove again: got %v; want not exist", err)
	}
	// The directory is empty now, and must stay nevertheless.
	if err := d.Remove("0/000/000"); !errors.Is(err, disk.ErrIsDir) {
		t.Errorf("remove of an empty directory: got %v; want ErrIsDir", err)
	}
}

func TestLinksLeadNowhereOutside(t *testing.T) {
	d := device(t, nil)
	outside := t.TempDir()
	secret := filepath.Join(outside, "secret")
	if err := os.WriteFile(secret, []byte("s"), 0o600); err != nil {
		t.Fatal(err)
	}
	for link, to := range map[string]string{"dir": outside, "file": secret, "up": "../.."} {
		if err := os.Symlink(to, filepath.Join(d.Path(), link)); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"dir/secret", "file", "up/dev1/file"} {
		if _, err := d.Open(name); !errors.Is(err, fs.ErrPermission) {
			t.Errorf("open %s: got %v; want permission", name, err)
		}
	}
	for _, name := range []string{"dir/new", "dir/a/new", "up/new"} {
		if err := put(d, name, "x"); !errors.Is(err, fs.ErrPermission) {
			t.Errorf("put %s: got %v; want permission", name, err)
		}
	}
	if err := d.Remove("dir/secret"); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("remove dir/secret: got %v; want permission", err)
	}
	// The link itself may be replaced and removed; what it names may not.
	if err := put(d, "file", "mine"); err != nil {
		t.Errorf("put file: %v", err)
	}
	if got := files(t, outside); !slices.Equal(got, []string{"secret"}) {
		t.Errorf("outside: got %v; want only the secret", got)
	}
	if b, err := os.ReadFile(secret); string(b) != "s" || err != nil {
		t.Errorf("secret: got %q, %v; want it untouched", b, err)
	}
}

func TestDeviceMayBeALink(t *testing.T) {
	root, elsewhere := t.TempDir(), t.TempDir()
	if err := os.Symlink(elsewhere, filepath.Join(root, "dev7")); err != nil {
		t.Fatal(err)
	}
	d, err := newRoot(t, root, nil).Device(7)
	if err != nil {
		t.Fatal(err)
	}
	if err := put(d, name, "x"); err != nil {
		t.Fatal(err)
	}
	if got := content(t, d, name); got != "x" {
		t.Errorf("content: got %q; want x", got)
	}
}

func TestListFindsDevicesOnly(t *testing.T) {
	path := t.TempDir()
	for _, name := range []string{"dev1", "dev16777215", "dev01", "dev0", "dev16777216", "device", "devx", "dev2x"} {
		if err := os.Mkdir(filepath.Join(path, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(path, "dev3"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := newRoot(t, path, nil).List()
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(got)
	if len(got) != 2 || got[0] != 1 || got[1] != 16777215 {
		t.Errorf("devices: got %v; want 1 and 16777215", got)
	}
}

func TestDeclareMakesTheRootToo(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a", "b")
	root := newRoot(t, path, nil)
	for range 2 {
		if err := root.Declare(4); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := root.Device(4); err != nil {
		t.Error(err)
	}
	if _, err := root.Device(5); !errors.Is(err, disk.ErrNoDevice) {
		t.Errorf("device 5: got %v; want ErrNoDevice", err)
	}
}

func TestSweepTakesWhatACrashLeftAndNothingElse(t *testing.T) {
	d := device(t, nil)
	if err := put(d, name, "x"); err != nil {
		t.Fatal(err)
	}
	stale := []string{name + ".c0123456789abcdef.tmp", "usage.cfedcba9876543210.tmp"}
	kept := []string{
		name,
		name + ".1234.0123456789012345.tmp", // the reference's
		name + ".0a1b2c3d.4321.tmp",         // and the other one's
		"0/000/000/x.tmp",
	}
	for _, name := range append(slices.Clone(stale), kept[1:]...) {
		if err := os.WriteFile(filepath.Join(d.Path(), name), []byte("left"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	live, err := d.Create("0/000/000/live", disk.Options{Size: -1})
	if err != nil {
		t.Fatal(err)
	}
	removed, err := d.Sweep(context.Background())
	if err != nil || removed != len(stale) {
		t.Errorf("sweep: got %d, %v; want %d", removed, err, len(stale))
	}
	if err := live.Commit(); err != nil {
		t.Errorf("commit of a file written during the sweep: %v", err)
	}
	got, want := files(t, d.Path()), append(kept, "0/000/000/live")
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("files: got %v; want %v", got, want)
	}
}

func TestSweepEndsWithItsContext(t *testing.T) {
	d := device(t, nil)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := d.Sweep(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("sweep: got %v; want canceled", err)
	}
}

func mustWrite(t *testing.T, d *disk.Device, name string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(d.Path(), name), nil, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestSweepsNeverTakeWhatIsBeingWritten(t *testing.T) {
	d := device(t, nil)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	for range 2 {
		wg.Go(func() {
			for ctx.Err() == nil {
				d.Sweep(ctx)
			}
		})
	}
	for i := range 300 {
		if err := put(d, "0/x"+strconv.Itoa(i%3), "x"); err != nil {
			t.Fatalf("put %d: %v", i, err)
		}
	}
}
