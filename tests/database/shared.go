package database

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync"
	"testing"
)

// shared is the servers that all tests of this process use.
var shared struct {
	sync.Mutex
	main    bool   // Main runs, and will stop them
	dir     string // of all of them, made for the first
	servers map[string]*Server
}

// Main is for a package's TestMain: it runs the tests, stops the shared servers and
// exits.
func Main(m *testing.M) {
	shared.Lock()
	shared.main = true
	shared.Unlock()
	code := m.Run()
	if err := stopShared(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = max(code, 1)
	}
	os.Exit(code)
}

func stopShared() error {
	shared.Lock()
	defer shared.Unlock()
	var errs []error
	for _, s := range shared.servers {
		errs = append(errs, s.Stop())
	}
	if shared.dir != "" {
		errs = append(errs, os.RemoveAll(shared.dir))
	}
	return errors.Join(errs...)
}

// MariaDB is the one MariaDB of this test process, started at the first call and
// stopped by [Main]. It is not for killing and freezing.
func MariaDB(t testing.TB) *Server {
	t.Helper()
	return share(t, mariaDB{})
}

// Postgres is the one PostgreSQL of this test process.
func Postgres(t testing.TB) *Server {
	t.Helper()
	return share(t, postgres{})
}

func share(t testing.TB, e engine) *Server {
	t.Helper()
	shared.Lock()
	defer shared.Unlock()
	if !shared.main {
		t.Fatal("nobody would stop the shared server: add func TestMain(m *testing.M) { database.Main(m) } to the package")
	}
	if s := shared.servers[e.name()]; s != nil {
		return s
	}
	s, err := startShared(e)
	if err != nil {
		give(t, err)
	}
	return s
}

// startShared starts a server below the directory that they share; the caller holds
// the lock.
func startShared(e engine) (*Server, error) {
	if shared.dir == "" {
		dir, err := os.MkdirTemp("", "mogilefs-databases-")
		if err != nil {
			return nil, err
		}
		shared.dir, shared.servers = dir, map[string]*Server{}
	}
	// A failed start may have left data; the next test gets another directory.
	dir, err := os.MkdirTemp(shared.dir, e.name()+"-")
	if err != nil {
		return nil, err
	}
	s, err := start(e, dir, nil)
	if err == nil {
		shared.servers[e.name()] = s
	}
	return s, err
}

// OwnMariaDB starts a server for one test alone, which may kill and freeze it; it
// ends with the test.
func OwnMariaDB(t testing.TB, options ...string) *Server {
	t.Helper()
	return own(t, mariaDB{}, options)
}

// OwnPostgres does the same for PostgreSQL.
func OwnPostgres(t testing.TB, options ...string) *Server {
	t.Helper()
	return own(t, postgres{}, options)
}

func own(t testing.TB, e engine, options []string) *Server {
	t.Helper()
	s, err := start(e, t.TempDir(), options)
	if err != nil {
		give(t, err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("end of the log of %s:\n%s", e.name(), s.logTail())
		}
		// What a test wanted to know of a clean end, it has looked at.
		if err := s.Kill(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// give ends a test that has no server. A server that is not installed is a reason
// to skip where a developer works, but not where everything has to be proven.
func give(t testing.TB, err error) {
	t.Helper()
	ci, _ := strconv.ParseBool(os.Getenv("CI"))
	if errors.Is(err, errMissing) && !ci {
		t.Skip(err)
	}
	t.Fatal(err)
}
