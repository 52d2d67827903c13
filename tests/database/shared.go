package database

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync"
	"testing"
)

// shared is what the tests of this process have in common.
var shared struct {
	sync.Mutex          // guards all below
	main       bool     // Main runs, and will clean up
	scratch    *scratch // holds the data of all servers
	servers    map[string]*Server
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
	return errors.Join(append(errs, shared.scratch.remove())...)
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
	dir, err := scratchLocked()
	if err != nil {
		t.Fatal(err)
	}
	s, err := start(e, dir, nil)
	if err != nil {
		give(t, err)
	}
	shared.servers[e.name()] = s
	return s
}

// scratchLocked makes a directory for the data of a server; the caller holds the
// lock.
func scratchLocked() (string, error) {
	if shared.scratch == nil {
		s, err := newScratch()
		if err != nil {
			return "", fmt.Errorf("make a directory for databases: %w", err)
		}
		shared.scratch, shared.servers = s, map[string]*Server{}
	}
	return os.MkdirTemp(shared.scratch.dir, "server-")
}

// OwnMariaDB starts a server for one test alone, which may kill and freeze it; it
// ends with the test.
func OwnMariaDB(t testing.TB, options ...string) *Server {
	t.Helper()
	return own(t, mariaDB{}, options)
}

// OwnMariaDBAt does the same elsewhere.
func OwnMariaDBAt(t testing.TB, place Place, options ...string) *Server {
	t.Helper()
	s, err := startFirst(mariaDB{}, place, ownDir(t), append([]string{"--bind-address=" + place.Host}, options...), nil)
	if err != nil {
		give(t, err)
	}
	s.endWith(t)
	return s
}

// OwnPostgres does the same for PostgreSQL.
func OwnPostgres(t testing.TB, options ...string) *Server {
	t.Helper()
	return own(t, postgres{}, options)
}

func own(t testing.TB, e engine, options []string) *Server {
	t.Helper()
	s, err := start(e, ownDir(t), options)
	if err != nil {
		give(t, err)
	}
	s.endWith(t)
	return s
}

// ownDir makes a directory for servers of one test.
func ownDir(t testing.TB) string {
	t.Helper()
	shared.Lock()
	defer shared.Unlock()
	dir, err := scratchLocked()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// endWith ends a server with its test. Nobody looks at the data any more, so it need
// not be a clean end.
func (s *Server) endWith(t testing.TB) {
	s.doomed = true
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("end of the log of %s:\n%s", s.engine.name(), s.logTail())
		}
		if err := s.Kill(); err != nil {
			t.Error(err)
		}
	})
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
