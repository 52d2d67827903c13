package storage_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/storage"
	"github.com/mogilefs/caddy-mogilefs/storage/disk"
)

const fidPath = "/dev1/0/000/000/0000000001.fid"

// server is a node with dev1 and dev2 behind a real HTTP server.
type server struct {
	*storage.Node
	root string
	url  string
	addr string
}

func newServer(t testing.TB) server {
	t.Helper()
	return serverWith(t, storage.Config{Root: t.TempDir(), Devices: []mogile.DevID{1, 2}}, nil)
}

func serverWith(t testing.TB, c storage.Config, open disk.Opener) server {
	t.Helper()
	if open == nil {
		open = disk.OpenFS
	}
	n, err := storage.OpenWith(c, open, time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Close() })
	s := httptest.NewServer(n)
	t.Cleanup(s.Close)
	return server{n, c.Root, s.URL, s.Listener.Addr().String()}
}

// answer is a response, read.
type answer struct {
	status int
	header http.Header
	body   string
	length int64
}

// do sends a request; headers are "Name: value".
func (s server) do(t testing.TB, method, path, body string, headers ...string) answer {
	t.Helper()
	r, err := http.NewRequest(method, s.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Add(name, value)
	}
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	return answer{resp.StatusCode, resp.Header, string(b), resp.ContentLength}
}

func (s server) mustPut(t testing.TB, path, body string) {
	t.Helper()
	if a := s.do(t, "PUT", path, body); a.status != http.StatusCreated {
		t.Fatalf("PUT %s: got %d %s; want 201", path, a.status, a.body)
	}
}

// wire sends bytes as they are and returns what comes back until the server is done:
// the last request must ask to close.
func (s server) wire(t *testing.T, text string) string {
	t.Helper()
	conn := s.dial(t)
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(conn)
	if err != nil {
		t.Fatalf("after %q: %v, got %q", text, err, b)
	}
	return string(b)
}

// wireTimeout only ends a test that hangs.
const wireTimeout = 20 * time.Second

func (s server) dial(t *testing.T) *net.TCPConn {
	t.Helper()
	conn, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(wireTimeout))
	return conn.(*net.TCPConn)
}

// stored lists files below the root, without usage files.
func (s server) stored(t *testing.T) []string {
	t.Helper()
	var list []string
	err := filepath.WalkDir(s.root, func(p string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() && e.Name() != "usage" && !strings.HasPrefix(e.Name(), "usage.c") {
			rel, _ := filepath.Rel(s.root, p)
			list = append(list, "/"+filepath.ToSlash(rel))
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil // a temporary that is renamed in this moment
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// eventually waits for what another goroutine or the kernel does.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(wireTimeout)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain: %s", what)
		}
		runtime.Gosched()
	}
}

func TestConfigIsValidated(t *testing.T) {
	for want, c := range map[string]storage.Config{
		"":                {Root: "x", Devices: []mogile.DevID{1, 16777215}},
		"root is empty":   {},
		"negative":        {Root: "x", UsageInterval: -1},
		"min free space":  {Root: "x", MinFreeSpace: -1},
		"device 0":        {Root: "x", Devices: []mogile.DevID{0}},
		"device 16777216": {Root: "x", Devices: []mogile.DevID{16777216}},
		"named twice":     {Root: "x", Devices: []mogile.DevID{3, 3}},
	} {
		err := c.Validate()
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: got %v; want %q", c, err, want)
		}
	}
	if _, err := storage.Open(storage.Config{}); err == nil {
		t.Error("open of an invalid config: got nil; want an error")
	}
}

func TestMissingRootTellsTheWayOut(t *testing.T) {
	_, err := storage.Open(storage.Config{Root: filepath.Join(t.TempDir(), "none")})
	if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "name devices") {
		t.Errorf("open: got %v; want not exist, and what to do", err)
	}
}

func TestCopiesOfTheSameProcess(t *testing.T) {
	s := newServer(t)
	if _, err := s.OpenCopy(1, 7); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("open of an absent copy: got %v; want not exist", err)
	}
	w, err := s.CreateCopy(1, 7, 2)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	io.WriteString(w, "hi")
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	if a := s.do(t, "GET", mogile.FID(7).Path(1), ""); a.body != "hi" {
		t.Errorf("over HTTP: got %d %q; want hi", a.status, a.body)
	}
	f, err := s.OpenCopy(1, 7)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if b, err := io.ReadAll(f); string(b) != "hi" || err != nil {
		t.Errorf("in process: got %q, %v; want hi", b, err)
	}
	if !s.OpensAtOnce(1) || s.OpensAtOnce(9) {
		t.Errorf("opens device 1, 9 at once: got %v, %v; want true, false", s.OpensAtOnce(1), s.OpensAtOnce(9))
	}
	for _, err := range []error{second(s.OpenCopy(9, 7)), second(s.CreateCopy(9, 7, -1))} {
		if !errors.Is(err, disk.ErrNoDevice) {
			t.Errorf("device 9: got %v; want ErrNoDevice", err)
		}
	}
}

func second[T any](_ T, err error) error { return err }

func TestDevicesComeAndGoWithoutARestart(t *testing.T) {
	root := t.TempDir()
	s := serverWith(t, storage.Config{Root: root, UsageInterval: time.Millisecond}, nil)
	path := strings.Replace(fidPath, "dev1", "dev5", 1)
	if a := s.do(t, "PUT", path, "x"); a.status != 404 || !strings.Contains(a.body, "Base directory does not exist") {
		t.Errorf("PUT before: got %d %s; want 404", a.status, a.body)
	}
	if err := os.Mkdir(filepath.Join(root, "dev5"), 0o755); err != nil {
		t.Fatal(err)
	}
	s.mustPut(t, path, "x")
	eventually(t, "usage file of the new device", func() bool {
		return s.do(t, "GET", "/dev5/usage", "").status == 200
	})
	if err := os.Rename(filepath.Join(root, "dev5"), filepath.Join(root, "away")); err != nil {
		t.Fatal(err)
	}
	if a := s.do(t, "GET", path, ""); a.status != 404 {
		t.Errorf("GET after: got %d; want 404", a.status)
	}
	eventually(t, "the device is forgotten", func() bool { return !s.OpensAtOnce(5) })
}

func TestOpenSweepsWhatACrashLeft(t *testing.T) {
	root := t.TempDir()
	left := filepath.Join(root, "dev1", "0", "000", "000", "0000000001.fid.c0123456789abcdef.tmp")
	if err := os.MkdirAll(filepath.Dir(left), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(left, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := serverWith(t, storage.Config{Root: root}, nil)
	eventually(t, "the temporary is removed", func() bool { return len(s.stored(t)) == 0 })
}

func TestUsageFile(t *testing.T) {
	got := string(storage.UsageText("/var/mogdata/dev1", "/dev/vda",
		disk.Space{Used: 16473452 << 10, Available: 79027812 << 10}, time.Unix(1795344815, 0)))
	want := `available: 79027812
device: /dev/vda
disk: /var/mogdata/dev1
time: 1795344815
total: 95501264
use: 18%
used: 16473452
`
	if got != want {
		t.Errorf("usage: got %s; want %s", got, want)
	}
	for _, s := range []disk.Space{{}, {Available: 10 << 20}, {Used: 10 << 20}} {
		text := string(storage.UsageText("/x", "y", s, time.Now()))
		if strings.Contains(text, "used: 0\n") || strings.Contains(text, "total: 0\n") {
			t.Errorf("usage of %+v: got %s; want used and total not zero", s, text)
		}
	}
}

func TestUsageIsWrittenAtOpenAndServedAsText(t *testing.T) {
	s := newServer(t)
	a := s.do(t, "GET", "/dev2/usage", "")
	if a.status != 200 || a.header.Get("Content-Type") != "text/plain" {
		t.Errorf("got %d, %s; want 200, text/plain", a.status, a.header.Get("Content-Type"))
	}
	values := make(map[string]string)
	var keys []string
	for line := range strings.Lines(a.body) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		values[key] = value
		keys = append(keys, key)
	}
	if want := []string{"available", "device", "disk", "time", "total", "use", "used"}; !slices.Equal(keys, want) {
		t.Errorf("keys: got %v; want %v", keys, want)
	}
	if want := filepath.Join(s.root, "dev2"); values["disk"] != want {
		t.Errorf("disk: got %s; want %s", values["disk"], want)
	}
	if values["device"] == "" || values["total"] == "0" {
		t.Errorf("got %v; want a device and a size", values)
	}
	for _, method := range []string{"PUT", "DELETE"} {
		if a := s.do(t, method, "/dev2/usage", "x"); a.status != 403 {
			t.Errorf("%s usage: got %d; want 403", method, a.status)
		}
	}
}

func TestADiskThatCannotBeWrittenHasNothingAvailable(t *testing.T) {
	root := t.TempDir()
	serverWith(t, storage.Config{Root: root, Devices: []mogile.DevID{1}}, nil).Close()
	before, err := os.ReadFile(filepath.Join(root, "dev1", "usage"))
	if err != nil {
		t.Fatal(err)
	}
	s := serverWith(t, storage.Config{Root: root}, readOnly)
	if got := s.do(t, "GET", "/dev1/usage", "").body; !strings.HasPrefix(got, "available: 0\n") || !strings.Contains(got, "use: 100%\n") {
		t.Errorf("usage: got %q; want nothing available", got)
	}
	if after, err := os.ReadFile(filepath.Join(root, "dev1", "usage")); string(after) != string(before) || err != nil {
		t.Errorf("the file: got %q, %v; want the old %q", after, err, before)
	}
}

func TestUsageIsRenewedOnAFullDisk(t *testing.T) {
	root := t.TempDir()
	serverWith(t, storage.Config{Root: root, Devices: []mogile.DevID{1}}, nil).Close()
	old := strings.Repeat("old line\n", 100)
	if err := os.WriteFile(filepath.Join(root, "dev1", "usage"), []byte(old), 0o644); err != nil {
		t.Fatal(err)
	}
	s := serverWith(t, storage.Config{Root: root}, full)
	if got := s.do(t, "GET", "/dev1/usage", "").body; strings.Contains(got, "old") {
		t.Errorf("usage: got %q; want a new one", got)
	}
	b, err := os.ReadFile(filepath.Join(root, "dev1", "usage"))
	if err != nil {
		t.Fatal(err)
	}
	got := string(b)
	if !strings.HasPrefix(got, "available: ") || strings.Contains(got, "old") || len(got) != len(old) {
		t.Errorf("usage: got %q; want a new one, filled up to %d bytes", got, len(old))
	}
}

func TestCloseWaitsForEverythingAndLeavesNothingOpen(t *testing.T) {
	root := t.TempDir()
	before := descriptors(t)
	n, err := storage.OpenWith(storage.Config{
		Root: root, Devices: []mogile.DevID{1, 2, 3}, UsageInterval: time.Millisecond,
	}, disk.OpenFS, time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- n.ServeManagement(ln) }()
	idle, watching := dialTCP(t, ln.Addr().String()), dialTCP(t, ln.Addr().String())
	fmt.Fprint(watching, "watch\n")
	if line, err := bufio.NewReader(watching).ReadString('\n'); err != nil {
		t.Fatalf("watch: got %q, %v", line, err)
	}
	for range 2 {
		if err := n.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	}
	if err := <-served; err != nil {
		t.Errorf("serve management: got %v; want nil", err)
	}
	for _, c := range []net.Conn{idle, watching} {
		if _, err := io.Copy(io.Discard, c); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error("a connection is open after Close")
		}
		c.Close()
	}
	stacks := make([]byte, 1<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	if strings.Contains(string(stacks), "storage.(*Node).keep") || strings.Contains(string(stacks), "sidechannel.") ||
		strings.Contains(string(stacks), "disk.(*Device)") {
		t.Errorf("goroutines after Close:\n%s", stacks)
	}
	if got := descriptors(t); len(got) > len(before) {
		t.Errorf("descriptors after Close: got %v; before it was %v", got, before)
	}
	w := httptest.NewRecorder()
	n.ServeHTTP(w, httptest.NewRequest("GET", fidPath, nil))
	if w.Code != http.StatusServiceUnavailable {
		t.Errorf("GET after Close: got %d; want 503", w.Code)
	}
}

func dialTCP(t *testing.T, addr string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(wireTimeout))
	return c
}

// descriptors lists what the process has open, where the system shows it.
func descriptors(t *testing.T) []string {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Logf("descriptors are not counted: %v", err)
		return nil
	}
	var list []string
	for _, e := range entries {
		to, err := os.Readlink("/proc/self/fd/" + e.Name())
		if err == nil && !strings.HasPrefix(to, "/proc/") && !strings.HasPrefix(to, "anon_inode:") {
			list = append(list, to)
		}
	}
	return list
}

func TestPartsOfACopyAreReadInTheSameProcess(t *testing.T) {
	s := newServer(t)
	path := mogile.FID(7).Path(1)
	read := func(n int, off int64) (string, int64, error) {
		p := make([]byte, n)
		length, modified, err := s.ReadCopy(1, 7, p, off)
		if err == nil && modified.IsZero() {
			t.Errorf("%d bytes at %d: got no time of modification", n, off)
		}
		return string(p), length, err
	}
	if _, _, err := read(1, 0); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("absent: got %v; want not exist", err)
	}
	for _, content := range []string{"content", "another"} { // written anew, as a fid's file never is
		s.mustPut(t, path, content)
		for range 3 {
			if got, length, err := read(3, 2); got != content[2:5] || length != 7 || err != nil {
				t.Errorf("got %q of %d bytes, %v; want %q of 7", got, length, err, content[2:5])
			}
		}
	}
	if got, length, err := read(8, 0); got != strings.Repeat("\x00", 8) || length != 7 || err != nil {
		t.Errorf("more than there is: got %q of %d bytes, %v; want nothing, and the length", got, length, err)
	}
	if a := s.do(t, "DELETE", path, ""); a.status != 204 {
		t.Fatalf("DELETE: got %d", a.status)
	}
	if _, _, err := read(1, 0); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("deleted: got %v; want not exist", err)
	}
	if _, _, err := s.ReadCopy(9, 7, nil, 0); !errors.Is(err, disk.ErrNoDevice) {
		t.Errorf("device 9: got %v; want ErrNoDevice", err)
	}
}
