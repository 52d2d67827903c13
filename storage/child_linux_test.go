package storage_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/mogilefs/caddy-mogilefs/storage"
)

// What a child process is told by its environment.
const (
	childRoot  = "MOGILEFS_TEST_CHILD_ROOT"  // the root of the node that it serves
	childUID   = "MOGILEFS_TEST_CHILD_UID"   // who it becomes; empty for nobody else
	childFiles = "MOGILEFS_TEST_CHILD_FILES" // how many descriptors it may have; empty for any number
)

// TestMain lets the binary be a node in a process of its own, for tests of what holds for a
// whole process.
func TestMain(m *testing.M) {
	root := os.Getenv(childRoot)
	if root == "" {
		os.Exit(m.Run())
	}
	if err := serveChild(root); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// serveChild serves a node until its input ends. It writes its address when it is ready.
func serveChild(root string) error {
	if uid, err := strconv.Atoi(os.Getenv(childUID)); err == nil {
		if err := syscall.Setgid(uid); err != nil {
			return err
		}
		if err := syscall.Setuid(uid); err != nil {
			return err
		}
	}
	log, err := zap.NewDevelopment()
	if err != nil {
		return err
	}
	n, err := storage.Open(storage.Config{Root: root, Logger: log, UsageInterval: 100 * time.Millisecond}.Looking(100 * time.Millisecond))
	if err != nil {
		return err
	}
	defer n.Close()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	if files, err := strconv.ParseUint(os.Getenv(childFiles), 10, 32); err == nil {
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: files, Max: files}); err != nil {
			return err
		}
	}
	s := http.Server{Handler: n}
	defer s.Close()
	go s.Serve(ln)
	fmt.Println(ln.Addr())
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// startChild serves a root in a process of its own.
func startChild(t *testing.T, root string, env ...string) server {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), append(env, childRoot+"="+root)...)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	addr, err := bufio.NewReader(out).ReadString('\n')
	t.Cleanup(func() {
		in.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("child: %v", err)
		}
	})
	if err != nil {
		t.Fatalf("child: %v", err)
	}
	addr = strings.TrimSpace(addr)
	return server{root: root, url: "http://" + addr, addr: addr}
}

// rootOnly reports whether the test may become somebody else. In continuous integration it
// must.
func rootOnly(t *testing.T) bool {
	t.Helper()
	if os.Geteuid() == 0 {
		return true
	}
	if os.Getenv("CI") == "true" {
		t.Fatal("root is needed in continuous integration")
	}
	t.Log("only root becomes somebody without rights: not tested here")
	return false
}

// nobody is a user who owns nothing.
const nobody = 65534

// TestRightsThatAreLostAndComeBack needs root, to become somebody who can lose them.
func TestRightsThatAreLostAndComeBack(t *testing.T) {
	if !rootOnly(t) {
		return
	}
	root := t.TempDir()
	if err := os.Chmod(filepath.Dir(root), 0o755); err != nil {
		t.Fatal(err)
	}
	dev := filepath.Join(root, "dev1")
	if err := os.Mkdir(dev, 0o755); err != nil {
		t.Fatal(err)
	}
	owned := func(uid int) {
		t.Helper()
		if out, err := exec.Command("chown", "-R", strconv.Itoa(uid), dev).CombinedOutput(); err != nil {
			t.Fatalf("chown: %v: %s", err, out)
		}
	}
	owned(nobody)
	s := startChild(t, root, childUID+"="+strconv.Itoa(nobody))
	s.mustPut(t, fidPath, "kept")

	owned(0)
	if a := s.do(t, "PUT", fidPath, "new"); a.status != 403 && a.status != 503 {
		t.Errorf("PUT: got %d %s; want 403, or 503", a.status, a.body)
	}
	eventually(t, "the device is taken out", func() bool {
		a := s.do(t, "PUT", fidPath, "new")
		usage := s.do(t, "GET", "/dev1/usage", "").body
		return a.status == 503 && strings.HasPrefix(usage, "available: 0\n")
	})
	if a := s.do(t, "DELETE", fidPath, ""); a.status != 503 {
		t.Errorf("DELETE: got %d %s; want 503", a.status, a.body)
	}
	if a := s.do(t, "GET", fidPath, ""); a.body != "kept" {
		t.Errorf("GET: got %d %q; want kept", a.status, a.body)
	}
	if err := os.Chmod(filepath.Join(root, fidPath), 0); err != nil {
		t.Fatal(err)
	}
	if a := s.do(t, "GET", fidPath, ""); a.status != 403 {
		t.Errorf("GET without the right: got %d %q; want 403", a.status, a.body)
	}

	owned(nobody)
	eventually(t, "the device is used again", func() bool { return s.do(t, "PUT", fidPath, "new").status == 201 })
	if a := s.do(t, "GET", fidPath, ""); a.body != "new" {
		t.Errorf("GET: got %d %q; want new", a.status, a.body)
	}
	if got := s.stored(t); len(got) != 1 {
		t.Errorf("stored: got %v; want the one file", got)
	}
}

// conn is a connection that is kept.
type conn struct {
	net.Conn
	in *bufio.Reader
}

// ask sends a request and reads the answer; a body comes with PUT.
func (c conn) ask(method, path string) (answer, error) {
	body := ""
	if method == "PUT" {
		body = "body"
	}
	fmt.Fprintf(c, "%s %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", method, path, len(body), body)
	resp, err := http.ReadResponse(c.in, &http.Request{Method: method})
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return answer{status: resp.StatusCode, body: string(b)}, err
}

func TestAProcessWithoutDescriptorsSaysSoAndRecovers(t *testing.T) {
	root := t.TempDir()
	if err := os.Mkdir(filepath.Join(root, "dev1"), 0o755); err != nil {
		t.Fatal(err)
	}
	s := startChild(t, root, childFiles+"=40")
	c := s.dial(t)
	first := conn{c, bufio.NewReader(c)}
	if a, err := first.ask("PUT", fidPath); a.status != 201 || err != nil {
		t.Fatalf("PUT: got %+v, %v; want 201", a, err)
	}
	// Connections that are kept use up what is left. Those beyond wait to be accepted.
	var others []net.Conn
	for range 50 {
		others = append(others, s.dial(t))
	}
	eventually(t, "no descriptor is left", func() bool {
		a, err := first.ask("PUT", fidPath)
		if err != nil {
			t.Fatalf("PUT: %v", err)
		}
		return a.status == 503 && strings.Contains(a.body, "Too many files")
	})
	// A read takes fewer than an upload.
	eventually(t, "none is left for a read", func() bool {
		a, err := first.ask("GET", fidPath)
		if err != nil {
			t.Fatalf("GET: %v", err)
		}
		return a.status == 503
	})
	if a, err := first.ask("DELETE", fidPath); a.status != 503 || err != nil {
		t.Errorf("DELETE: got %+v, %v; want 503", a, err)
	}
	// It is not the disk's fault, and trackers must not be told that it is.
	if a, err := first.ask("GET", "/dev1/usage"); a.status != 200 || err != nil || strings.HasPrefix(a.body, "available: 0\n") {
		t.Errorf("usage: got %+v, %v; want room", a, err)
	}
	for _, c := range others {
		c.Close()
	}
	eventually(t, "uploads work again", func() bool {
		a, err := first.ask("PUT", fidPath)
		if err != nil {
			t.Fatalf("PUT: %v", err)
		}
		return a.status == 201
	})
	if a, err := first.ask("GET", fidPath); a.body != "body" || err != nil {
		t.Errorf("GET: got %+v, %v; want the body", a, err)
	}
	if got := s.stored(t); len(got) != 1 {
		t.Errorf("stored: got %v; want the one file", got)
	}
}
