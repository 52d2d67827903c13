// Package mount puts real file systems under directories of a test: small ones that can be
// filled, made read-only, frozen and taken away, without a disk of their own, and one of the
// network, whose server can be frozen and cut off.
//
// It needs root. Where mounting is not permitted, its functions say so in the test's log
// and report false, and the caller has nothing to test; in continuous integration
// (CI=true) the test fails.
package mount

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Tmpfs mounts a tmpfs of a size such as 2m. It is gone when the test ends.
func Tmpfs(t testing.TB, dir, size string) bool {
	t.Helper()
	return mount(t, dir, "-t", "tmpfs", "-o", "size="+size, "tmpfs", dir)
}

// Ext4 makes an ext4 in a file and mounts it through a loop device, with a journal and
// with reserved blocks, as mkfs makes it by default. It is gone when the test ends.
func Ext4(t testing.TB, dir string, size int64) bool {
	t.Helper()
	if !permitted(t) {
		return false
	}
	image := filepath.Join(t.TempDir(), "image")
	err := os.WriteFile(image, nil, 0o600)
	if err == nil {
		err = os.Truncate(image, size)
	}
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("mkfs.ext4", "-q", "-F", image).CombinedOutput(); err != nil {
		return refused(t, "mkfs.ext4", err, out)
	}
	return mount(t, dir, "-o", "loop", image, dir)
}

// Remount changes options of a file system that is mounted, such as ro and rw.
func Remount(t testing.TB, dir, options string) {
	t.Helper()
	if out, err := exec.Command("mount", "-o", "remount,"+options, dir).CombinedOutput(); err != nil {
		t.Fatalf("remount %s %s: %v: %s", dir, options, err, out)
	}
}

// Unmount takes a file system away. It fails the test when something keeps it busy.
func Unmount(t testing.TB, dir string) {
	t.Helper()
	if out, err := exec.Command("umount", dir).CombinedOutput(); err != nil {
		t.Fatalf("unmount %s: %v: %s", dir, err, out)
	}
}

func mount(t testing.TB, dir string, args ...string) bool {
	t.Helper()
	if !permitted(t) {
		return false
	}
	if out, err := exec.Command("mount", args...).CombinedOutput(); err != nil {
		return refused(t, "mount", err, out)
	}
	// Lazily: a test that failed may have left something open.
	t.Cleanup(func() { _ = exec.Command("umount", "-l", dir).Run() }) // the test may have unmounted it
	return true
}

func permitted(t testing.TB) bool {
	t.Helper()
	if os.Geteuid() == 0 {
		return true
	}
	return refused(t, "mount", os.ErrPermission, nil)
}

func refused(t testing.TB, what string, err error, out []byte) bool {
	t.Helper()
	text := strings.TrimSpace(string(out))
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s: %v %s; root is needed in continuous integration", what, err, text)
	}
	t.Logf("%s: %v %s; what needs a mount is not tested here: run as root", what, err, text)
	return false
}
