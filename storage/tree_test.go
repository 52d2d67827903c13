package storage_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func mustWriteFile(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func mustSymlink(t *testing.T, to, name string) {
	t.Helper()
	if err := os.Symlink(to, name); err != nil {
		t.Fatal(err)
	}
}

// tree is all that lies below some directories, with what is in it; but for usage files,
// which the node writes when it wants.
func tree(t *testing.T, dirs ...string) string {
	t.Helper()
	var b strings.Builder
	for _, dir := range dirs {
		err := filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
			if err != nil || strings.HasPrefix(e.Name(), "usage") {
				return err
			}
			text := ""
			if e.Type().IsRegular() {
				content, err := os.ReadFile(name)
				if err != nil {
					return err
				}
				text = string(content)
			}
			fmt.Fprintf(&b, "%s %s %q\n", name, e.Type(), text)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return b.String()
}
