package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"go.uber.org/zap"

	dbtest "github.com/mogilefs/caddy-mogilefs/tests/database"
)

// killMySQL ends the connections that the condition finds, but the one that it asks on.
func killMySQL(t *testing.T, s *Store, condition string) {
	t.Helper()
	err := s.db.read(t.Context(), func(tx *tx) error {
		ids, err := list(tx, single[int64], "SELECT id FROM information_schema.processlist WHERE id <> CONNECTION_ID() AND "+condition)
		for _, id := range ids {
			if _, err := tx.exec(fmt.Sprint("KILL ", id)); err != nil && mysqlCode(err) != 1094 { // ER_NO_SUCH_THREAD
				return err
			}
		}
		return err
	})
	if err != nil {
		t.Fatalf("kill connections: got %v; want nil", err)
	}
}

// global sets a variable of a whole server.
func global(t *testing.T, server *dbtest.Server, setting string) {
	t.Helper()
	if _, err := server.Admin().Exec("SET GLOBAL " + setting); err != nil {
		t.Fatal(err)
	}
}

func TestAReadOnlyMySQLIsReadAndThenWritten(t *testing.T) {
	server, s := serverKinds["MySQL"].ownStore(t, 0)
	l := startLoad(s, 8)
	for range 2 {
		l.more(t, 50)
		global(t, server, "read_only = 1")
		err := s.SetSetting(t.Context(), "f", "w")
		if err == nil || !strings.Contains(err.Error(), "read-only") {
			t.Errorf("write: got %v; want an error that says why", err)
		}
		if _, err := s.LoadTopology(t.Context()); err != nil {
			t.Errorf("read: got %v; want nil", err)
		}
		global(t, server, "read_only = 0")
		if err := s.SetSetting(t.Context(), "f", "x"); err != nil {
			t.Errorf("write again: got %v; want nil", err)
		}
		l.more(t, 50)
	}
	l.end(t)
}

func TestTooFewConnectionsOfMySQLAreNamed(t *testing.T) {
	server := dbtest.OwnMariaDB(t, "--max-connections=10") // the least there is
	dsn := server.MustCreate(t, "")
	db, err := sql.Open("mysql", dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	take := func() (err error) {
		for err == nil {
			_, err = db.Conn(t.Context())
		}
		return err
	}
	if code := mysqlCode(take()); code != 1040 {
		t.Fatalf("connections for all: got code %d; want 1040", code)
	}
	_, err = OpenMySQL(t.Context(), MySQL{DSN: dsn}, zap.NewNop())
	if err == nil || !strings.Contains(err.Error(), "max_connections") {
		t.Errorf("open: got %v; want an error that names max_connections", err)
	}
}

func TestTooFewConnectionsOfAUserAreNamed(t *testing.T) {
	server := dbtest.OwnMariaDB(t)
	dsn := server.MustCreate(t, "")
	config, err := mysql.ParseDSN(dsn)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := server.Admin().Exec(fmt.Sprintf("GRANT USAGE ON *.* TO '%s'@'%%' WITH MAX_USER_CONNECTIONS 1", config.User)); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("mysql", dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.Ping(); err != nil {
		t.Fatal(err)
	}
	_, err = OpenMySQL(t.Context(), MySQL{DSN: dsn}, zap.NewNop())
	if err == nil || !strings.Contains(err.Error(), "max_user_connections") {
		t.Errorf("open: got %v; want an error that names max_user_connections", err)
	}
}

// killLockHolder ends the connection that has the lock, and waits until it is free.
func killLockHolder(t *testing.T, s *Store, name string) {
	t.Helper()
	killMySQL(t, s, "id = IS_USED_LOCK('"+name+"')")
	eventually(t, "the lock of an ended connection is free", func() bool {
		return number(t, s, "SELECT IS_FREE_LOCK('"+name+"')") == 1
	})
}

func TestMySQLFreesTheLocksOfALostConnection(t *testing.T) {
	m := newMySQL(t)
	s := []*Store{mustMySQL(t, m), mustMySQL(t, m)}
	name := "test:" + t.Name()
	release, err := s[0].Lock(t.Context(), name, 0)
	if err != nil {
		t.Fatal(err)
	}
	if !locked(t, s[1], name) {
		t.Error("lock of another store: got it; want it held")
	}
	killLockHolder(t, s[1], name)
	second, err := s[1].Lock(t.Context(), name, 0)
	if err != nil {
		t.Fatalf("lock that was lost: got %v; want nil", err)
	}
	release() // takes nothing from the other one
	if !locked(t, s[0], name) {
		t.Error("lock of the second: got it free; want it held")
	}
	second()
	if locked(t, s[0], name) {
		t.Error("after the release: got it held; want it free")
	}
}

func TestMySQLTakesLostLocksAgain(t *testing.T) {
	m := newMySQL(t)
	s := []*Store{mustMySQL(t, m), mustMySQL(t, m)}
	name := "test:" + t.Name()
	release, err := s[0].Lock(t.Context(), name, 0)
	if err != nil {
		t.Fatal(err)
	}
	killLockHolder(t, s[1], name)
	if locked(t, s[0], name+"2") { // asks on a new connection
		t.Error("lock another name: got it held; want it free")
	}
	if !locked(t, s[1], name) {
		t.Error("lock that was lost: got it free; want it taken again")
	}
	release()
	if locked(t, s[1], name) {
		t.Error("after the release: got it held; want it free")
	}
}

func TestALockedRowInMySQLIsWaitedFor(t *testing.T) {
	m := newMySQL(t)
	m.Timeout = 2 * time.Second
	s := mustMySQL(t, m)
	raw(t, s, fileAs(7, 1))
	db, err := sql.Open("mysql", m.DSN)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	peer, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer peer.Rollback()
	if _, err := peer.Exec("SELECT fid FROM file WHERE fid = 7 FOR UPDATE"); err != nil {
		t.Fatal(err)
	}
	waits := func() (n int) {
		err := dbtest.MariaDB(t).Admin().QueryRow(`SELECT variable_value FROM information_schema.global_status
			WHERE variable_name = 'INNODB_ROW_LOCK_WAITS'`).Scan(&n)
		if err != nil {
			t.Error(err)
		}
		return n
	}
	before := waits()
	deleted := make(chan error, 1)
	go func() {
		_, err := s.Delete(context.Background(), 1, "k")
		deleted <- err
	}()
	// Each try waits for half the timeout.
	eventually(t, "the delete waits, is refused and waits again", func() bool { return waits() >= before+2 })
	if err := peer.Rollback(); err != nil {
		t.Fatal(err)
	}
	if err := <-deleted; err != nil {
		t.Errorf("delete: got %v; want nil", err)
	}
}

func TestErrorsOfMySQLAreToldApart(t *testing.T) {
	for code, want := range map[uint16]struct{ gone, conflict bool }{
		1047: {gone: true}, // a node of a cluster that is not part of it
		1180: {gone: true}, // one that falls out of it at this moment
		1290: {gone: true}, // read-only
		1213: {conflict: true},
		1205: {conflict: true},
		1062: {},
	} {
		err := fmt.Errorf("wrapped: %w", &mysql.MySQLError{Number: code})
		if gone, conflict := isMySQLGone(err), isMySQLConflict(err); gone != want.gone || conflict != want.conflict {
			t.Errorf("code %d: got gone %v, conflict %v; want %+v", code, gone, conflict, want)
		}
	}
	if isMySQLGone(errors.New("1047")) {
		t.Error("an error of somebody else: got gone; want it not known")
	}
}
