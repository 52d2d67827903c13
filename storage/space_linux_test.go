package storage_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/mogilefs/caddy-mogilefs/storage"
)

// TestFullFileSystem fills a real one. Without the right to mount,
// TestTroubleOfTheDiskIsToldAndStoresNothing stands in for it.
func TestFullFileSystemIs507AndKeepsWhatItHas(t *testing.T) {
	root := t.TempDir()
	dev := filepath.Join(root, "dev1")
	if err := os.Mkdir(dev, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", dev, "tmpfs", 0, "size=1m"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("mount tmpfs: %v; it must be permitted in continuous integration", err)
		}
		t.Logf("mount tmpfs: %v; only the simulated full disk is tested", err)
		return
	}
	t.Cleanup(func() { unix.Unmount(dev, unix.MNT_DETACH) })
	s := serverWith(t, storage.Config{Root: root, UsageInterval: 50 * time.Millisecond}, nil)
	usage := s.do(t, "GET", "/dev1/usage", "").body
	if !strings.Contains(usage, "device: tmpfs\n") || !strings.Contains(usage, "total: 1024\n") {
		t.Errorf("usage: got %s; want a tmpfs of 1024 KiB", usage)
	}
	s.mustPut(t, fidPath, "kept")
	// Little enough beyond the limit for the server to read the rest, so that the
	// connection stays whole and the answer is seen.
	const big = 1<<20 + 128<<10
	if a := s.do(t, "PUT", fidPath, strings.Repeat("x", big), "Expect: 100-continue"); a.status != 507 {
		t.Errorf("known length: got %d; want 507", a.status)
	}
	// A reader of its own type has no known length, so that the client sends chunks.
	r, err := http.NewRequest("PUT", s.url+fidPath, struct{ *strings.Reader }{strings.NewReader(strings.Repeat("x", big))})
	if err != nil {
		t.Fatal(err)
	}
	if resp, err := http.DefaultClient.Do(r); err != nil {
		t.Errorf("chunked: %v", err)
	} else {
		resp.Body.Close()
		if resp.StatusCode != 507 {
			t.Errorf("chunked: got %d; want 507", resp.StatusCode)
		}
	}
	if a := s.do(t, "GET", fidPath, ""); a.body != "kept" {
		t.Errorf("target: got %d %q; want kept", a.status, a.body)
	}
	// Filled to the last block by another, the device still tells how full it is.
	if err := os.WriteFile(filepath.Join(dev, "fill"), make([]byte, big), 0o644); err == nil {
		t.Fatal("got a file larger than its disk")
	}
	eventually(t, "usage of a full disk", func() bool {
		return strings.Contains(s.do(t, "GET", "/dev1/usage", "").body, "available: 0\n")
	})
	if err := os.Remove(filepath.Join(dev, "fill")); err != nil {
		t.Fatal(err)
	}
	// The record of the mount is the node's, not a client's.
	if got := s.stored(t); len(got) != 2 || got[0] != "/.dev1.mounted" {
		t.Errorf("stored: got %v; want the record and the one file", got)
	}
}

func TestUnmountedDeviceAnswers503(t *testing.T) {
	root := t.TempDir()
	for _, name := range []string{"dev1", ".dev1.mounted"} {
		if err := os.Mkdir(filepath.Join(root, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	s := serverWith(t, storage.Config{Root: root}, nil)
	for _, c := range []struct{ method, path string }{
		{"GET", fidPath}, {"HEAD", fidPath}, {"PUT", fidPath}, {"DELETE", fidPath}, {"GET", "/dev1/usage"},
	} {
		if a := s.do(t, c.method, c.path, ""); a.status != 503 {
			t.Errorf("%s %s: got %d; want 503", c.method, c.path, a.status)
		}
	}
}
