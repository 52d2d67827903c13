package sqlstore

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"go.uber.org/zap"

	dbtest "github.com/mogilefs/caddy-mogilefs/tests/database"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
)

// ownPostgres opens a store on a server of the test's own.
func ownPostgres(t *testing.T, timeout time.Duration, options ...string) (*dbtest.Server, *Store) {
	t.Helper()
	server := dbtest.OwnPostgres(t, options...)
	s := mustPostgres(t, Postgres{DSN: server.MustCreate(t, ""), Timeout: timeout})
	if _, err := s.CreateDomain(t.Context(), "images"); err != nil {
		t.Fatal(err)
	}
	return server, s
}

// load uploads all the time and remembers what was acknowledged.
type load struct {
	s    *Store
	stop chan struct{}
	wg   sync.WaitGroup
	acks atomic.Int64

	mu    sync.Mutex
	acked map[mogile.Key]mogile.FID // the last of each key; guarded by mu
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
		if err == nil {
			l.mu.Lock()
			l.acked[key] = fid
			l.mu.Unlock()
			l.acks.Add(1)
		}
	}
}

// more waits for as many acknowledgements.
func (l *load) more(t *testing.T, n int64) {
	t.Helper()
	from := l.acks.Load()
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

func TestAKilledPostgresLosesNothingAndComesBack(t *testing.T) {
	server, s := ownPostgres(t, 0)
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

func TestAFrozenPostgresIsGivenUp(t *testing.T) {
	const timeout = 400 * time.Millisecond
	server, s := ownPostgres(t, timeout)
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

func TestAStoreOnAFrozenPostgresCloses(t *testing.T) {
	server := dbtest.OwnPostgres(t)
	s := mustPostgres(t, Postgres{DSN: server.MustCreate(t, ""), Timeout: 400 * time.Millisecond})
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

func TestEndedConnectionsAreReplacedUnseen(t *testing.T) {
	_, s := ownPostgres(t, 0)
	l := startLoad(s, 8)
	l.more(t, 50)
	close(l.stop)
	l.wg.Wait()
	l.stop = make(chan struct{})
	for range 3 {
		raw(t, s, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
			WHERE pid <> pg_backend_pid() AND usename = current_user`)
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

// asAdmin runs statements on one connection, also where a server is read-only.
func asAdmin(t *testing.T, server *dbtest.Server, texts ...string) {
	t.Helper()
	conn, err := server.Admin().Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for _, text := range append([]string{"SET default_transaction_read_only = off"}, texts...) {
		if _, err := conn.ExecContext(t.Context(), text); err != nil {
			t.Fatalf("%s: got %v; want nil", text, err)
		}
	}
}

// readOnly switches a whole server.
func readOnly(t *testing.T, server *dbtest.Server, state string) {
	t.Helper()
	asAdmin(t, server, "ALTER SYSTEM SET default_transaction_read_only = "+state, "SELECT pg_reload_conf()")
}

func TestAReadOnlyPostgresIsReadAndThenWritten(t *testing.T) {
	server, s := ownPostgres(t, 0)
	if err := s.SetSetting(t.Context(), "f", "v"); err != nil {
		t.Fatal(err)
	}
	readOnly(t, server, "on")
	var refused error
	eventually(t, "a write is refused", func() bool {
		refused = s.SetSetting(t.Context(), "f", "w")
		return refused != nil
	})
	if !strings.Contains(refused.Error(), "read-only") {
		t.Errorf("write: got %v; want an error that says why", refused)
	}
	if v, err := s.Setting(t.Context(), "f"); err != nil || v == "" {
		t.Errorf("read: got %q, error %v; want the value", v, err)
	}
	readOnly(t, server, "off")
	eventually(t, "writes go on", func() bool { return s.SetSetting(t.Context(), "f", "x") == nil })
}

func TestOfSeveralPostgresTheOneThatTakesWritesIsUsed(t *testing.T) {
	standby, primary := dbtest.OwnPostgres(t), dbtest.OwnPostgres(t)
	readOnly(t, standby, "on")
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone.Close()
	dsn, err := url.Parse(primary.MustCreate(t, ""))
	if err != nil {
		t.Fatal(err)
	}
	name := strings.Trim(dsn.Path, "/")
	asAdmin(t, standby, "CREATE DATABASE "+name+" OWNER mogile")
	dsn.Host = gone.Addr().String() + "," + standby.Addr() + "," + primary.Addr()
	s := mustPostgres(t, Postgres{DSN: dsn.String()})
	if err := s.SetSetting(t.Context(), "f", "v"); err != nil {
		t.Errorf("write: got %v; want nil", err)
	}
	_, port, _ := net.SplitHostPort(primary.Addr())
	if got := number(t, s, "SELECT inet_server_port()"); fmt.Sprint(got) != port {
		t.Errorf("port of the server: got %d; want %s", got, port)
	}
}

func TestTooFewConnectionsAreNamed(t *testing.T) {
	server := dbtest.OwnPostgres(t)
	dsn := server.MustCreate(t, "CONNECTION LIMIT 1")
	_, err := OpenPostgres(t.Context(), Postgres{DSN: dsn}, zap.NewNop())
	if err == nil || !strings.Contains(err.Error(), "max_connections") {
		t.Errorf("open: got %v; want an error that names max_connections", err)
	}
}

func TestALockedRowIsWaitedFor(t *testing.T) {
	p := newPostgres(t)
	p.Timeout = 200 * time.Millisecond
	s := mustPostgres(t, p)
	raw(t, s, "INSERT INTO file (fid, dmid, dkey, classid, devcount) VALUES (7, 1, 'k', 0, 1)")
	peer := peerOn(t, p)
	for _, text := range []string{"BEGIN", "SELECT fid FROM file WHERE fid = 7 FOR UPDATE"} {
		if _, err := peer.ExecContext(t.Context(), text); err != nil {
			t.Fatal(err)
		}
	}
	deleted := make(chan error, 1)
	go func() {
		_, err := s.Delete(context.Background(), 1, "k")
		deleted <- err
	}()
	for range 2 { // each try waits for half the timeout
		for _, want := range []int64{1, 0} {
			eventually(t, "the delete waits and is refused", func() bool {
				return number(t, s, `SELECT COUNT(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()`) == want
			})
		}
	}
	if _, err := peer.ExecContext(t.Context(), "ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	if err := <-deleted; err != nil {
		t.Errorf("delete: got %v; want nil", err)
	}
}
