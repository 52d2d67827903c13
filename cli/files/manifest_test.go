package files

import (
	"crypto/md5"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/mogilefs/caddy-mogilefs/mogile"
)

func TestWhatAKilledRunMayHaveDoneWithoutALineIsLookedFor(t *testing.T) {
	name := filepath.Join(t.TempDir(), "manifest")
	if m := reopen(t, name); m.doubtful() {
		t.Error("a first run: got a doubt; want none, as nobody was there before")
	}
	// Killed before it wrote anything.
	m := reopen(t, name)
	addUntilCertain(t, m, "first")

	m = reopen(t, name)
	for n := range 2*maxParallel - 1 {
		if !m.has(key("first", n)) || !m.doubtful() {
			t.Fatalf("%s: got no line or no doubt; want both, as a later one has a line", key("first", n))
		}
	}
	if m.has("second") || !m.doubtful() {
		t.Error("a file before the last that has a line: want no line and a doubt")
	}
	write(t, m, "second")
	if !m.has(key("first", 2*maxParallel-1)) {
		t.Error("the last line: got none")
	}
	addUntilCertain(t, m, "third")
}

func TestAsLongAsALineHasNoFileAllAreLookedFor(t *testing.T) {
	name := filepath.Join(t.TempDir(), "manifest")
	write(t, reopen(t, name), "gone")
	m := reopen(t, name)
	for n := range 5 * maxParallel {
		if m.has(key("k", n)) || !m.doubtful() {
			t.Fatalf("%s: got a line or no doubt; want no line and a doubt", key("k", n))
		}
		write(t, m, key("k", n))
	}
}

func key(prefix string, n int) mogile.Key { return mogile.Key(prefix + strconv.Itoa(n)) }

// addUntilCertain writes as many lines as an earlier run, and this one, may have had under way.
func addUntilCertain(t *testing.T, m *manifest, prefix string) {
	t.Helper()
	for n := range 2 * maxParallel {
		if m.has(key(prefix, n)) || !m.doubtful() {
			t.Fatalf("%s: got a line or no doubt; want no line and a doubt", key(prefix, n))
		}
		write(t, m, key(prefix, n))
	}
	if m.doubtful() {
		t.Errorf("after %d lines: got a doubt; want none", 2*maxParallel)
	}
}

func write(t *testing.T, m *manifest, key mogile.Key) {
	t.Helper()
	sum := mogile.Checksum{Type: mogile.HashMD5, Sum: make([]byte, md5.Size)}
	if err := m.add(entry{Sum: sum, Key: key}); err != nil {
		t.Fatal(err)
	}
}

func reopen(t *testing.T, name string) *manifest {
	t.Helper()
	m, err := openManifest(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.close)
	return m
}
