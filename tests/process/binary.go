package process

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"testing"
)

// binaryVariable names a ready binary that is used instead of building one.
const binaryVariable = "MOGILEFS_TEST_CADDY"

// Binary builds cmd/caddy with the race detector and returns its path.
func Binary(t testing.TB) string {
	t.Helper()
	return build(t, "caddy-race", "-race")
}

// PlainBinary builds cmd/caddy as users do, for tests that measure memory, which the
// race detector multiplies, or start many short commands.
func PlainBinary(t testing.TB) string {
	t.Helper()
	return build(t, "caddy-plain")
}

// built is the binaries that this process has built, by name: to find that there is
// nothing left to do takes go a second, too.
var built = struct {
	mu    sync.Mutex // guards paths, and held while one is built
	paths map[string]string
}{paths: map[string]string{}}

// build builds into bin/ at the root of the repository. All test packages share
// the result: one builds while the others wait for the lock, and find that there
// is nothing left to do. Caddy's own package list makes a first build long; go's
// build cache makes the next ones short.
func build(t testing.TB, name string, flags ...string) string {
	t.Helper()
	built.mu.Lock()
	defer built.mu.Unlock()
	if path := built.paths[name]; path != "" {
		return path
	}
	if ready := os.Getenv(binaryVariable); ready != "" {
		return ready
	}
	root := repository(t)
	bin := filepath.Join(root, "bin")
	if err := os.MkdirAll(bin, 0o755); err != nil {
		t.Fatalf("make %s: %v", bin, err)
	}
	defer lock(t, filepath.Join(bin, name+".lock"))()
	out := filepath.Join(bin, name)
	args := append([]string{"build", "-ldflags=-w", "-o", out}, flags...) // nobody debugs it: half of the linking is for that
	cmd := exec.CommandContext(t.Context(), "go", append(args, "./cmd/caddy")...)
	cmd.Dir = root
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build cmd/caddy: %v\n%s", err, text)
	}
	built.paths[name] = out
	return out
}

// repository is the root of the source tree, found from this file.
func repository(t testing.TB) string {
	t.Helper()
	_, self, _, ok := runtime.Caller(0)
	if !ok {
		t.Fatal("the test binary does not know its source")
	}
	return filepath.Join(filepath.Dir(self), "..", "..")
}

// lock takes a file lock that excludes other processes, and returns its release.
func lock(t testing.TB, path string) func() {
	t.Helper()
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		t.Fatalf("open lock: %v", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatalf("lock %s: %v", path, err)
	}
	return func() { f.Close() } // closing releases it
}
