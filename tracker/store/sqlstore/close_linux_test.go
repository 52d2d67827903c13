package sqlstore

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/zap"
)

// A reload that changes a tracker's settings opens the file a second time before it is
// closed for the first: what stays open then stays until the process ends.
func TestAClosedStoreHasNoFileOpen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mogilefs.db")
	first := mustOpen(t, path)
	second, err := OpenSQLite(t.Context(), path, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []*Store{first, second} {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if left := openFiles(t, path); len(left) > 0 {
		t.Errorf("got %v open after Close; want none", left)
	}
	if _, err := os.Stat(path + "-wal"); !os.IsNotExist(err) {
		t.Errorf("write-ahead log after the last Close: got %v; want none, emptied into the file", err)
	}
}

// openFiles lists the descriptors of this process whose names begin with path.
func openFiles(t *testing.T, path string) []string {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, e := range entries {
		name, err := os.Readlink("/proc/self/fd/" + e.Name())
		if err == nil && strings.HasPrefix(name, path) { // an error: closed meanwhile
			found = append(found, name)
		}
	}
	return found
}
