package sqlstore

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	dbtest "github.com/mogilefs/caddy-mogilefs/tests/database"
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
