package storage_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
	"golang.org/x/sys/unix"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/storage"
	"github.com/mogilefs/caddy-mogilefs/tests/mount"
)

// onExt4 is a node that looks at its devices when it is told to: dev1 is an ext4 of its
// own, dev2 a plain directory. It reports false without the right to mount.
func onExt4(t *testing.T, config storage.Config) (s server, logs *observer.ObservedLogs, ok bool) {
	t.Helper()
	root := t.TempDir()
	for _, name := range []string{"dev1", "dev2"} {
		if err := os.Mkdir(filepath.Join(root, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if !mount.Ext4(t, filepath.Join(root, "dev1"), 32<<20) {
		return s, nil, false
	}
	core, logs := observer.New(zapcore.InfoLevel)
	config.Root, config.Logger = root, zap.New(core)
	if config.UsageInterval == 0 {
		config.UsageInterval = time.Hour
	}
	s = serverWith(t, config.Looking(time.Hour), nil)
	<-s.Swept() // it would keep the disk busy
	return s, logs, true
}

// file2 is on the plain device.
const file2 = "/dev2/0/000/000/0000000001.fid"

// chunked uploads without saying how much comes.
func chunked(t *testing.T, s server, path, body string) int {
	t.Helper()
	r, err := http.NewRequest("PUT", s.url+path, struct{ io.Reader }{strings.NewReader(body)})
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatalf("PUT %s: %v", path, err)
	}
	defer resp.Body.Close()
	return resp.StatusCode
}

// TestARealDiskThatIsFull needs root.
func TestARealDiskThatIsFull(t *testing.T) {
	s, _, ok := onExt4(t, storage.Config{UsageInterval: 20 * time.Millisecond})
	if !ok {
		return
	}
	s.mustPut(t, fidPath, "kept")
	fill := filepath.Join(s.root, "dev1", "fill")
	if out, err := exec.Command("dd", "if=/dev/zero", "of="+fill, "bs=64k").CombinedOutput(); err == nil {
		t.Fatalf("got a file larger than its disk: %s", out)
	}
	for name, status := range map[string]int{
		"small":   s.do(t, "PUT", fidPath, "new").status,
		"large":   s.do(t, "PUT", fidPath, strings.Repeat("x", 2<<20), "Expect: 100-continue").status,
		"chunked": chunked(t, s, fidPath, strings.Repeat("x", 256<<10)),
	} {
		if status != 507 {
			t.Errorf("%s: got %d; want 507", name, status)
		}
	}
	eventually(t, "a usage file without room", func() bool {
		return strings.HasPrefix(s.do(t, "GET", "/dev1/usage", "").body, "available: 0\n")
	})
	if a := s.do(t, "GET", fidPath, ""); a.body != "kept" {
		t.Errorf("GET: got %d %q; want kept", a.status, a.body)
	}
	s.mustPut(t, file2, "the other disk has room")
	// Deleting makes room, and must work on a disk that has none.
	if a := s.do(t, "DELETE", fidPath, ""); a.status != 204 {
		t.Errorf("DELETE: got %d; want 204", a.status)
	}
	if err := os.Remove(fill); err != nil {
		t.Fatal(err)
	}
	s.mustPut(t, fidPath, strings.Repeat("x", 2<<20))
	if got := s.stored(t); len(got) != 3 { // with the record of the mount
		t.Errorf("stored: got %v; want the two files and the record", got)
	}
}

// TestUsageAgreesWithDf needs root: it wants a file system that nobody else writes to, with
// blocks reserved.
func TestUsageAgreesWithDf(t *testing.T) {
	s, _, ok := onExt4(t, storage.Config{UsageInterval: 20 * time.Millisecond})
	if !ok {
		return
	}
	for _, size := range []int{0, 1, 3 << 20, 15 << 20} {
		s.mustPut(t, fidPath, strings.Repeat("x", size))
		eventually(t, fmt.Sprintf("usage as df has it, with %d bytes", size), func() bool {
			got := values(s.do(t, "GET", "/dev1/usage", "").body)
			want := df(t, filepath.Join(s.root, "dev1"))
			return got["device"] == want.device && got["used"] == want.used && got["available"] == want.available &&
				got["use"] == want.use && number(t, got["total"]) == number(t, got["used"])+number(t, got["available"])
		})
		file, err := os.ReadFile(filepath.Join(s.root, "dev1", "usage"))
		if served := s.do(t, "GET", "/dev1/usage", "").body; err != nil || values(string(file))["used"] != values(served)["used"] {
			t.Errorf("the file: got %s, %v; served is %s", file, err, served)
		}
	}
}

func values(text string) map[string]string {
	m := make(map[string]string)
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		m[key] = value
	}
	return m
}

func number(t *testing.T, text string) (n int64) {
	t.Helper()
	if _, err := fmt.Sscan(text, &n); err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return n
}

type dfLine struct{ device, used, available, use string }

func df(t *testing.T, dir string) dfLine {
	t.Helper()
	out, err := exec.Command("df", "-P", "-k", dir).Output()
	if err != nil {
		t.Fatal(err)
	}
	_, line, _ := bytes.Cut(out, []byte("\n"))
	fields := strings.Fields(string(line))
	if len(fields) < 6 {
		t.Fatalf("df: got %q", out)
	}
	return dfLine{fields[0], fields[2], fields[3], fields[4]}
}

// TestARealDiskThatGoesReadOnly needs root.
func TestARealDiskThatGoesReadOnly(t *testing.T) {
	s, logs, ok := onExt4(t, storage.Config{})
	if !ok {
		return
	}
	dev := filepath.Join(s.root, "dev1")
	s.mustPut(t, fidPath, "kept")
	mount.Remount(t, dev, "ro")
	for range 3 {
		if a := s.do(t, "PUT", fidPath, "new"); a.status != 503 {
			t.Errorf("PUT: got %d %s; want 503, also for the first", a.status, a.body)
		}
	}
	for _, method := range []string{"PUT", "DELETE"} {
		if a := s.do(t, method, fidPath, "new"); a.status != 503 {
			t.Errorf("%s: got %d %s; want 503", method, a.status, a.body)
		}
	}
	if got := s.do(t, "GET", "/dev1/usage", "").body; !strings.HasPrefix(got, "available: 0\n") {
		t.Errorf("usage: got %s; want nothing available, at once", got)
	}
	if a := s.do(t, "GET", fidPath, ""); a.body != "kept" {
		t.Errorf("GET: got %d %q; want kept", a.status, a.body)
	}
	s.mustPut(t, file2, "the other disk is well")
	for range 5 {
		s.Tick()
	}
	if n := logs.FilterMessageSnippet("takes no writes").Len(); n != 1 {
		t.Errorf("got %d lines of log; want one", n)
	}
	mount.Remount(t, dev, "rw")
	for range 3 {
		s.Tick()
	}
	s.mustPut(t, fidPath, "new")
	if got := s.do(t, "GET", "/dev1/usage", "").body; strings.HasPrefix(got, "available: 0\n") {
		t.Errorf("usage after that: got %s; want room", got)
	}
}

// TestADiskThatGoesReadOnlyIsNoticedWithoutAWrite needs root.
func TestADiskThatGoesReadOnlyIsNoticedWithoutAWrite(t *testing.T) {
	s, _, ok := onExt4(t, storage.Config{})
	if !ok {
		return
	}
	mount.Remount(t, filepath.Join(s.root, "dev1"), "ro")
	s.Tick()
	if got := s.do(t, "GET", "/dev1/usage", "").body; !strings.HasPrefix(got, "available: 0\n") {
		t.Errorf("usage: got %s; want nothing available", got)
	}
}

// freeze makes all who write to a file system wait.
func freeze(t *testing.T, dir string) (thaw func()) {
	t.Helper()
	const fifreeze, fithaw = 0xC0045877, 0xC0045878
	f, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetInt(int(f.Fd()), fifreeze, 0); err != nil {
		t.Fatalf("freeze %s: %v", dir, err)
	}
	thawed := false
	thaw = func() {
		if !thawed {
			thawed = true
			if err := unix.IoctlSetInt(int(f.Fd()), fithaw, 0); err != nil {
				t.Errorf("thaw %s: %v", dir, err)
			}
			f.Close()
		}
	}
	t.Cleanup(thaw)
	return thaw
}

// TestADiskThatHangsKeepsNobodyElse needs root: the disk is a frozen file system.
func TestADiskThatHangsKeepsNobodyElse(t *testing.T) {
	s, logs, ok := onExt4(t, storage.Config{})
	if !ok {
		return
	}
	s.mustPut(t, fidPath, "kept")
	thaw := freeze(t, filepath.Join(s.root, "dev1"))
	const hanging = 3
	answers := make(chan int, hanging)
	for i := range hanging {
		go func() { answers <- s.do(t, "PUT", fmt.Sprintf("/dev1/0/000/000/x%d", i), "x").status }()
	}
	eventually(t, "uploads that hang", func() bool { return s.Running(1) == hanging })
	for range 11 {
		s.Tick()
	}
	if len(answers) != 0 {
		t.Fatalf("an upload to a frozen disk was answered: %d", <-answers)
	}
	for _, method := range []string{"PUT", "DELETE"} {
		if a := s.do(t, method, fidPath, "new"); a.status != 503 || !strings.Contains(a.body, "does not answer") {
			t.Errorf("%s while others hang: got %d %s; want 503 at once", method, a.status, a.body)
		}
	}
	if got := s.do(t, "GET", "/dev1/usage", "").body; !strings.HasPrefix(got, "available: 0\n") {
		t.Errorf("usage: got %s; want nothing available", got)
	}
	if a := s.do(t, "GET", fidPath, ""); a.body != "kept" {
		t.Errorf("GET: got %d %q; want kept: reading does not hang", a.status, a.body)
	}
	s.mustPut(t, file2, "the other disk is well")
	thaw()
	// Before the next look the device is still refused, for what remains of them, too.
	for range hanging {
		if got := <-answers; got != 503 {
			t.Errorf("an upload that had to wait: got %d; want 503", got)
		}
	}
	s.Tick()
	s.mustPut(t, fidPath, "new")
	if got := s.stored(t); len(got) != 3 { // with the record of the mount
		t.Errorf("stored: got %v; want the two files and the record, and nothing of the uploads", got)
	}
	for _, text := range []string{"does not answer", "answers again"} {
		if n := logs.FilterMessageSnippet(text).Len(); n != 1 {
			t.Errorf("got %d lines of log with %q; want one", n, text)
		}
	}
}

// TestADiskThatIsUnmountedAndMountedAgain needs root.
func TestADiskThatIsUnmountedAndMountedAgain(t *testing.T) {
	s, _, ok := onExt4(t, storage.Config{})
	if !ok {
		return
	}
	dev := filepath.Join(s.root, "dev1")
	s.mustPut(t, fidPath, "x")
	mount.Unmount(t, dev) // nothing of the node's keeps it busy
	s.Tick()
	for _, method := range []string{"PUT", "GET", "DELETE"} {
		if a := s.do(t, method, fidPath, "new"); a.status != 503 {
			t.Errorf("%s: got %d %s; want 503", method, a.status, a.body)
		}
	}
	if a := s.do(t, "GET", "/dev1/usage", ""); a.status != 503 {
		t.Errorf("usage: got %d %s; want 503", a.status, a.body)
	}
	if entries, err := os.ReadDir(dev); err != nil || len(entries) != 0 {
		t.Errorf("the bare directory: got %v, %v; want nothing in it", entries, err)
	}
	if !mount.Tmpfs(t, dev, "1m") {
		return
	}
	s.Tick()
	s.mustPut(t, fidPath, "x")
}

// TestADirectoryThatIsReplacedUnderUploads needs no root.
func TestADirectoryThatIsReplacedUnderUploads(t *testing.T) {
	s := newServer(t)
	dev, away := filepath.Join(s.root, "dev1"), filepath.Join(s.root, "away")
	s.mustPut(t, fidPath, "old")
	conn := s.dial(t)
	fmt.Fprintf(conn, "PUT %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 4\r\n\r\nha", fidPath)
	eventually(t, "the upload has begun", func() bool { return len(s.stored(t)) == 2 })
	if err := os.Rename(dev, away); err != nil {
		t.Fatal(err)
	}
	if a := s.do(t, "PUT", fidPath, "x"); a.status != 404 {
		t.Errorf("PUT without a directory: got %d; want 404", a.status)
	}
	if err := os.Mkdir(dev, 0o755); err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(conn, "lf")
	answer, err := io.ReadAll(conn)
	if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 503 ") {
		t.Errorf("the upload that lost its directory: got %q, %v; want 503", answer, err)
	}
	if a := s.do(t, "GET", fidPath, ""); a.status != 404 {
		t.Errorf("GET from the new directory: got %d %q; want 404", a.status, a.body)
	}
	s.mustPut(t, fidPath, "new")
	if a := s.do(t, "GET", fidPath, ""); a.body != "new" {
		t.Errorf("GET: got %d %q; want new", a.status, a.body)
	}
	if entries, err := filepath.Glob(filepath.Join(away, "0/000/000/*.tmp")); err != nil || len(entries) != 0 {
		t.Errorf("left in the old directory: %v, %v", entries, err)
	}
}

func TestMinFreeSpaceIsLeft(t *testing.T) {
	s := serverWith(t, storage.Config{Root: t.TempDir(), Devices: []mogile.DevID{1}, MinFreeSpace: 1 << 60}, nil)
	for name, status := range map[string]int{
		"known":   s.do(t, "PUT", fidPath, "x").status,
		"chunked": chunked(t, s, fidPath, "x"),
	} {
		if status != 507 {
			t.Errorf("%s length: got %d; want 507", name, status)
		}
	}
	if got := s.do(t, "GET", "/dev1/usage", "").body; strings.HasPrefix(got, "available: 0\n") {
		t.Errorf("usage: got %s; want the truth", got)
	}
}
