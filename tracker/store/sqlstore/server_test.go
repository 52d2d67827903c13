package sqlstore

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	dbtest "github.com/mogilefs/caddy-mogilefs/tests/database"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
)

// serverKind is a kind of server that tests may do violence to.
type serverKind struct {
	own  func(t testing.TB, options ...string) *dbtest.Server
	open func(t testing.TB, dsn string, timeout time.Duration) *Store
	// endOthers ends all connections of the store's user but the one it is said on.
	endOthers func(t *testing.T, s *Store)
	// shortest is the least timeout that the server can be told.
	shortest time.Duration
}

var serverKinds = map[string]serverKind{
	"Postgres": {
		own: dbtest.OwnPostgres,
		open: func(t testing.TB, dsn string, timeout time.Duration) *Store {
			return mustPostgres(t, Postgres{DSN: dsn, Timeout: timeout})
		},
		endOthers: func(t *testing.T, s *Store) {
			raw(t, s, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
				WHERE pid <> pg_backend_pid() AND usename = current_user`)
		},
		shortest: 400 * time.Millisecond,
	},
	"MySQL": {
		own: dbtest.OwnMariaDB,
		open: func(t testing.TB, dsn string, timeout time.Duration) *Store {
			return mustMySQL(t, MySQL{DSN: dsn, Timeout: timeout})
		},
		endOthers: func(t *testing.T, s *Store) { killMySQL(t, s, "db = DATABASE()") },
		shortest:  400 * time.Millisecond,
	},
}

// ownStore opens a store on a server of the test's own.
func (k serverKind) ownStore(t *testing.T, timeout time.Duration) (*dbtest.Server, *Store) {
	t.Helper()
	server := k.own(t)
	dsn := server.MustCreate(t, "")
	before := runtime.NumGoroutine()
	t.Cleanup(func() { // the store is closed by then
		eventually(t, "no goroutine is left", func() bool { return runtime.NumGoroutine() <= before })
	})
	s := k.open(t, dsn, timeout)
	if _, err := s.CreateDomain(t.Context(), "images"); err != nil {
		t.Fatal(err)
	}
	return server, s
}

// onEachServer runs a test on a server of each kind.
func onEachServer(t *testing.T, test func(t *testing.T, k serverKind)) {
	for name, k := range serverKinds {
		t.Run(name, func(t *testing.T) { test(t, k) })
	}
}

func TestAKilledServerLosesNothingAndComesBack(t *testing.T) { onEachServer(t, testKilled) }

func TestAFrozenServerIsGivenUp(t *testing.T) { onEachServer(t, testFrozen) }

func TestAStoreOnAFrozenServerCloses(t *testing.T) { onEachServer(t, testClosesFrozen) }

func TestEndedConnectionsAreReplacedUnseen(t *testing.T) { onEachServer(t, testEnded) }

// load uploads all the time and remembers what was acknowledged.
type load struct {
	s    *Store
	stop chan struct{}
	wg   sync.WaitGroup
	acks atomic.Int64

	mu      sync.Mutex                // guards both below
	acked   map[mogile.Key]mogile.FID // the last of each key
	failure error                     // of the last upload
}

func startLoad(s *Store, workers int) *load {
	l := &load{s: s, stop: make(chan struct{}), acked: map[mogile.Key]mogile.FID{}}
	for i := range workers {
		l.wg.Go(func() { l.work(i) })
	}
	return l
}

func (l *load) work(worker int) {
	for i := 0; ; i++ {
		select {
		case <-l.stop:
			return
		default:
		}
		key := mogile.Key(fmt.Sprintf("%d/%d", worker, i%20))
		fid, err := l.s.OpenUpload(context.Background(), store.Upload{Domain: 1, Key: key})
		if err == nil {
			_, err = l.s.CloseUpload(context.Background(), store.Closing{FID: fid, Dev: 1, Domain: 1, Key: key})
		}
		l.mu.Lock()
		if l.failure = err; err == nil {
			l.acked[key] = fid
			l.acks.Add(1)
		}
		l.mu.Unlock()
	}
}

// more waits for as many acknowledgements.
func (l *load) more(t *testing.T, n int64) {
	t.Helper()
	from := l.acks.Load()
	defer func() {
		if t.Failed() {
			l.mu.Lock()
			defer l.mu.Unlock()
			t.Logf("the last upload: %v", l.failure)
		}
	}()
	eventually(t, fmt.Sprintf("%d uploads are acknowledged", n), func() bool { return l.acks.Load() >= from+n })
}

// end stops and checks that every key has the content last acknowledged, or a later
// one whose acknowledgement was lost.
func (l *load) end(t *testing.T) {
	t.Helper()
	close(l.stop)
	l.wg.Wait()
	for key, fid := range l.acked {
		f, devs, _, err := l.s.Locate(t.Context(), 1, key)
		if err != nil || f.FID < fid || len(devs) != 1 {
			t.Errorf("key %s: got fid %d on %v, error %v; want %d or a later one", key, f.FID, devs, err, fid)
		}
		q := store.ReplicateQueue
		if f.FID != fid {
			q = store.DeleteQueue
		}
		if _, err := l.s.Queued(t.Context(), q, fid); err != nil {
			t.Errorf("fid %d in %s: got %v; want a row", fid, q, err)
		}
	}
}

func testKilled(t *testing.T, k serverKind) {
	server, s := k.ownStore(t, 0)
	l := startLoad(s, 16)
	for range 2 {
		l.more(t, 100)
		if err := server.Kill(); err != nil {
			t.Fatal(err)
		}
		if _, err := s.FileByKey(t.Context(), 1, "k"); err == nil {
			t.Error("read from a killed server: got nil; want an error")
		}
		if err := server.Restart(); err != nil {
			t.Fatal(err)
		}
		back := time.Now()
		l.more(t, 100)
		if took := time.Since(back); took > 5*time.Second {
			t.Errorf("after a restart: got 100 uploads in %v; want it within 5s", took)
		}
	}
	l.end(t)
}

func testFrozen(t *testing.T, k serverKind) {
	timeout := k.shortest
	server, s := k.ownStore(t, timeout)
	l := startLoad(s, 8)
	l.more(t, 50)
	release, err := s.Lock(t.Context(), "held", 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Freeze(); err != nil {
		t.Fatal(err)
	}
	// A connection that had served, one that is new, and the one of the locks.
	for what, call := range map[string]func() error{
		"read":  func() error { _, err := s.FileByKey(t.Context(), 1, "k"); return err },
		"write": func() error { return s.SetSetting(t.Context(), "f", "v") },
		"lock":  func() error { _, err := s.Lock(t.Context(), "other", 0); return err },
	} {
		began := time.Now()
		err := call()
		if took := time.Since(began); err == nil || took > 10*timeout {
			t.Errorf("%s: got %v after %v; want an error within %v", what, err, took, 10*timeout)
		}
	}
	if err := server.Thaw(); err != nil {
		t.Fatal(err)
	}
	back := time.Now()
	l.more(t, 50)
	if took := time.Since(back); took > 5*time.Second {
		t.Errorf("after the thaw: got 50 uploads in %v; want it within 5s", took)
	}
	release()
	l.end(t)
}

func testClosesFrozen(t *testing.T, k serverKind) {
	server := k.own(t)
	s := k.open(t, server.MustCreate(t, ""), k.shortest) // there is no domain, so that uploads stay
	l := startLoad(s, 8)
	eventually(t, "connections are open", func() bool { return number(t, s, "SELECT COUNT(*) FROM tempfile") > 20 })
	if err := server.Freeze(); err != nil {
		t.Fatal(err)
	}
	close(l.stop)
	began := time.Now()
	if err := s.Close(); err != nil {
		t.Errorf("close: got %v; want nil", err)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("close: got %v; want it within 10s", took)
	}
	l.wg.Wait()
}

func testEnded(t *testing.T, k serverKind) {
	_, s := k.ownStore(t, 0)
	l := startLoad(s, 8)
	l.more(t, 50)
	close(l.stop)
	l.wg.Wait()
	l.stop = make(chan struct{})
	for range 3 {
		k.endOthers(t, s)
		if _, err := s.FileByKey(t.Context(), 1, "0/0"); err != nil {
			t.Errorf("read: got %v; want nil", err)
		}
		if err := s.SetSetting(t.Context(), "f", "v"); err != nil {
			t.Errorf("write: got %v; want nil", err)
		}
		if _, err := s.LoadTopology(t.Context()); err != nil {
			t.Errorf("load topology: got %v; want nil", err)
		}
	}
	l.end(t)
}
