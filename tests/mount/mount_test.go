package mount

import (
	"os"
	"path/filepath"
	"testing"
)

func TestMountsHoldFilesUntilTheyAreTakenAway(t *testing.T) {
	for name, mount := range map[string]func(dir string) bool{
		"tmpfs": func(dir string) bool { return Tmpfs(t, dir, "1m") },
		"ext4":  func(dir string) bool { return Ext4(t, dir, 16<<20) },
	} {
		dir := t.TempDir()
		if !mount(dir) {
			return
		}
		file := filepath.Join(dir, "file")
		if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		Remount(t, dir, "ro")
		if err := os.Remove(file); err == nil {
			t.Errorf("%s: removed a file of a read-only file system", name)
		}
		Remount(t, dir, "rw")
		Unmount(t, dir)
		if _, err := os.Stat(file); err == nil {
			t.Errorf("%s: the file is there without its file system", name)
		}
	}
}
