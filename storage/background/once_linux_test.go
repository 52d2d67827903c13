package background

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/mogilefs/caddy-mogilefs/tests/mount"
)

func TestAFileThatIsReadOnceLeavesTheMemoryAsItWas(t *testing.T) {
	dir := t.TempDir()
	if !mount.Ext4(t, dir, 128<<20) {
		return
	}
	content := bytes.Repeat([]byte("0123456789abcdef"), (2*dropEvery+4096)/16)
	name := filepath.Join(dir, "large")
	if err := os.WriteFile(name, content, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := errors.Join(f.Sync(), unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED)); err != nil {
		t.Fatal(err)
	}
	read := func() {
		t.Helper()
		got, err := io.ReadAll(Once(f))
		if err != nil || !bytes.Equal(got, content) {
			t.Fatalf("got %d bytes, %v; want the %d that were written", len(got), err, len(content))
		}
	}
	if unix.Cachestat(uint(f.Fd()), new(unix.CachestatRange), new(unix.Cachestat_t), 0) == unix.ENOSYS {
		read() // a system that can't tell; nothing else is promised there
		return
	}

	if !cold(f) {
		t.Fatal("the file does not leave the memory")
	}
	read()
	if !cold(f) {
		t.Error("a file that was not in memory is there after it was read once")
	}
	if _, err := f.ReadAt(make([]byte, 1), 0); err != nil {
		t.Fatal(err)
	}
	if cold(f) {
		t.Fatal("what was just read is not in memory")
	}
	read()
	if cold(f) {
		t.Error("a file that others had in memory is gone from there")
	}
}
