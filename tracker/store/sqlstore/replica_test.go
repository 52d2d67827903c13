package sqlstore

import (
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	dbtest "github.com/mogilefs/caddy-mogilefs/tests/database"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
	"github.com/mogilefs/caddy-mogilefs/tracker/store/sqlstore/recent"
)

// clock is one that tests turn.
type clock struct{ ahead atomic.Int64 }

func (c *clock) now() time.Time           { return time.Now().Add(time.Duration(c.ahead.Load())) }
func (c *clock) turn(by time.Duration)    { c.ahead.Add(int64(by)) }
func onClock(s *Store) (c *clock)         { c = &clock{}; s.replicas.now = c.now; return c }
func fileAs(fid int, length int64) string { return fileRow(fid, "k", length) }

func fileRow(fid int, key string, length int64) string {
	return fmt.Sprintf("INSERT INTO file (fid, dmid, dkey, length, classid, devcount) VALUES (%d, 1, '%s', %d, 0, 1)", fid, key, length)
}

// perlSource is a database as the peer's settings name it.
func perlSource(t *testing.T, dsn string) string {
	t.Helper()
	c, err := mysql.ParseDSN(dsn)
	if err != nil {
		t.Fatal(err)
	}
	host, port, _ := strings.Cut(c.Addr, ":")
	return fmt.Sprintf("DBI:mysql:%s:host=%s;port=%s|%s|%s", c.DBName, host, port, c.User, c.Passwd)
}

// onReplica is a store with a file "k" of one byte, and a replica on the server where it has
// two, so that it shows who was asked. Nothing has changed of late.
func onReplica(t *testing.T, server *dbtest.Server) (*Store, *clock, MySQL) {
	t.Helper()
	s := mustMySQL(t, newMySQL(t))
	c := onClock(s)
	raw(t, s, "INSERT INTO domain (dmid, namespace) VALUES (1, 'images')", fileAs(7, 1))
	r := peerMySQL(t, server, "", append(mysqlPeerTables(), fileAs(7, 2))...)
	useReplica(t, s, r)
	c.turn(2 * recent.Kept)
	return s, c, r
}

func useReplica(t *testing.T, s *Store, r MySQL) {
	t.Helper()
	setAll(t, s, map[string]string{"slave_keys": "one=2", "slave_one": perlSource(t, r.DSN)})
}

// setAll sets settings and has the store learn them.
func setAll(t *testing.T, s *Store, settings map[string]string) {
	t.Helper()
	for field, value := range settings {
		if err := s.SetSetting(t.Context(), field, value); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.LoadTopology(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// wantLength locates a key; a length below 0 means that there is none.
func wantLength(t *testing.T, s *Store, key mogile.Key, want int64, when string) {
	t.Helper()
	f, _, _, err := s.Locate(t.Context(), 1, key)
	switch {
	case want < 0 && !errors.Is(err, store.ErrNotFound):
		t.Errorf("%s: locate %q: got %+v, error %v; want %v", when, key, f, err, store.ErrNotFound)
	case want >= 0 && (err != nil || f.Length != want):
		t.Errorf("%s: locate %q: got %+v, error %v; want length %d", when, key, f, err, want)
	}
}

func TestAReplicaIsReadUntilItIsUnset(t *testing.T) {
	s, _, _ := onReplica(t, dbtest.MariaDB(t))
	wantLength(t, s, "k", 2, "with a replica")
	if f, err := s.FileByKey(t.Context(), 1, "k"); err != nil || f.Length != 1 {
		t.Errorf("find by key: got %+v, error %v; want the master's", f, err)
	}
	if err := s.UnsetSetting(t.Context(), "slave_keys"); err != nil {
		t.Fatal(err)
	}
	setAll(t, s, nil)
	wantLength(t, s, "k", 1, "without replicas")
	if s.replicas.set.Load() != nil {
		t.Error("replicas: got some; want none")
	}
}

func TestWhatAReplicaLacksIsReadFromTheMaster(t *testing.T) {
	s, _, _ := onReplica(t, dbtest.MariaDB(t))
	raw(t, s, fileRow(8, "new", 3))
	wantLength(t, s, "new", 3, "a key that the replica lacks")
	wantLength(t, s, "none", -1, "a key that nobody has")
}

func TestWhatWasChangedHereIsReadFromTheMaster(t *testing.T) {
	s, c, _ := onReplica(t, dbtest.MariaDB(t))
	must := func(what string, err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: got %v; want nil", what, err)
		}
	}
	must("rename", s.Rename(t.Context(), 1, "k", "away"))
	wantLength(t, s, "k", -1, "after the rename")
	wantLength(t, s, "away", 1, "after the rename")
	must("rename back", s.Rename(t.Context(), 1, "away", "k"))
	wantLength(t, s, "k", 1, "after the rename back")
	c.turn(2 * recent.Kept)
	wantLength(t, s, "k", 2, "long after")
	must("set class", s.SetClass(t.Context(), 7, 3))
	wantLength(t, s, "k", 1, "after the change of class")
	c.turn(2 * recent.Kept)
	wantLength(t, s, "k", 2, "long after")
	fid, err := s.OpenUpload(t.Context(), store.Upload{Domain: 1, Key: "k"})
	if err == nil {
		_, err = s.CloseUpload(t.Context(), store.Closing{FID: fid, Dev: 1, Domain: 1, Key: "k", Length: 9})
	}
	must("upload", err)
	wantLength(t, s, "k", 9, "after an upload")
	wantLength(t, s, "K", -1, "another key") // it may be the same to a collation
	_, err = s.Delete(t.Context(), 1, "k")
	must("delete", err)
	wantLength(t, s, "k", -1, "after the delete")
	c.turn(2 * recent.Kept)
	wantLength(t, s, "k", 2, "where the replica stands still for long")
}

func TestTheFirstMinuteWithReplicasIsTheMasters(t *testing.T) {
	s := mustMySQL(t, newMySQL(t))
	c := onClock(s)
	raw(t, s, "INSERT INTO domain (dmid, namespace) VALUES (1, 'images')", fileAs(7, 1))
	useReplica(t, s, peerMySQL(t, dbtest.MariaDB(t), "", append(mysqlPeerTables(), fileAs(7, 2))...))
	wantLength(t, s, "k", 1, "nobody remembers what changed before")
	c.turn(2 * recent.Kept)
	wantLength(t, s, "k", 2, "a minute later")
}

func TestWhatWasStoredHereIsReadFromAReplicaThatHasIt(t *testing.T) {
	s, _, r := onReplica(t, dbtest.MariaDB(t))
	upload := func(length int64) mogile.FID {
		t.Helper()
		fid, err := s.OpenUpload(t.Context(), store.Upload{Domain: 1, Key: "stored"})
		if err == nil {
			_, err = s.CloseUpload(t.Context(), store.Closing{FID: fid, Dev: 1, Domain: 1, Key: "stored", Length: length})
		}
		if err != nil {
			t.Fatal(err)
		}
		return fid
	}
	fid := upload(9)
	wantLength(t, s, "stored", 9, "before the replica has it")
	db, err := sql.Open("mysql", r.DSN)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(fileRow(int(fid), "stored", 10)); err != nil {
		t.Fatal(err)
	}
	wantLength(t, s, "stored", 10, "once the replica has it")
	upload(11)
	wantLength(t, s, "stored", 11, "overwritten a moment later")
}

func TestADeadReplicaIsLeftAsideAndComesBack(t *testing.T) {
	server := dbtest.OwnMariaDB(t)
	s, c, _ := onReplica(t, server)
	wantLength(t, s, "k", 2, "alive")
	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}
	wantLength(t, s, "k", 1, "killed")
	if err := server.Restart(); err != nil {
		t.Fatal(err)
	}
	c.turn(time.Hour)
	eventually(t, "it is back", func() bool {
		f, _, _, err := s.Locate(t.Context(), 1, "k")
		return err == nil && f.Length == 2
	})
}

func TestAFrozenReplicaCostsSecondsAndOnce(t *testing.T) {
	server := dbtest.OwnMariaDB(t)
	s, _, _ := onReplica(t, server)
	wantLength(t, s, "k", 2, "alive")
	if err := server.Freeze(); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	wantLength(t, s, "k", 1, "frozen")
	if took := time.Since(began); took > 3*(replicaTimeout+replicaConnect) {
		t.Errorf("locate: got %v; want it within %v", took, 3*(replicaTimeout+replicaConnect))
	}
	began = time.Now()
	for range 20 {
		wantLength(t, s, "k", 1, "left aside")
	}
	if took := time.Since(began); took > replicaTimeout {
		t.Errorf("20 more: got %v; want it at once", took)
	}
	if err := server.Thaw(); err != nil {
		t.Fatal(err)
	}
}

func TestReplicasReplaceOneAnotherUnderLoad(t *testing.T) {
	s, _, r := onReplica(t, dbtest.MariaDB(t))
	stop, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		for {
			select {
			case <-stop:
				ended <- nil
				return
			default:
			}
			if _, _, _, err := s.Locate(t.Context(), 1, "k"); err != nil {
				ended <- err
				return
			}
		}
	}()
	for version := range 10 {
		before := s.replicas.set.Load()
		setAll(t, s, map[string]string{"slave_version": fmt.Sprint(version)})
		if after := s.replicas.set.Load(); after == before {
			t.Errorf("version %d: got the same connections; want others", version)
		}
		setAll(t, s, map[string]string{"case_sensitive_list_keys": "1"})
	}
	close(stop)
	if err := <-ended; err != nil {
		t.Errorf("locate: got %v; want nil", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("mysql", r.DSN)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	eventually(t, "all connections to the replica are closed", func() bool {
		var n int
		err := db.QueryRow("SELECT COUNT(*) FROM information_schema.processlist WHERE db = DATABASE()").Scan(&n)
		return err == nil && n == 1
	})
}

func TestASettingThatNamesNoReplicaIsReported(t *testing.T) {
	core, logs := observer.New(zapcore.WarnLevel)
	s, err := OpenMySQL(t.Context(), newMySQL(t), zap.New(core))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	setAll(t, s, map[string]string{"slave_keys": "bad,none,,ssl", "slave_bad": "DBI:Pg:dbname=x|me|hush", "slave_ssl": "DBI:mysql:x;mysql_ssl=1|me|hush"})
	var told []string
	for _, entry := range logs.FilterMessageSnippet("replica left out").All() {
		told = append(told, fmt.Sprint(entry.ContextMap()))
	}
	all := strings.Join(told, "\n")
	if len(told) != 2 || strings.Contains(all, "hush") || !strings.Contains(all, "slave_bad") || !strings.Contains(all, "slave_ssl") {
		t.Errorf("log: got %q; want both settings named, and no password", told)
	}
	if s.replicas.set.Load() != nil {
		t.Error("replicas: got some; want none")
	}
}

func TestReplicaSettingsAreRead(t *testing.T) {
	got := readReplicaSettings(map[string]string{
		"slave_keys": " a, b=3,,c", "slave_a": "A", "slave_b": "B", "slave_connect_timeout": "3", "slave_dead_retry_timeout": "x", "slave_version": "4",
	})
	want := replicaSettings{version: "4", sources: "a\x00A\x00b\x00B\x00", connect: 3 * time.Second, retry: replicaRetry}
	if got != want {
		t.Errorf("got %+v; want %+v", got, want)
	}
}

// FuzzReplicaSettings: whatever operators set, connections are made ready or refused.
func FuzzReplicaSettings(f *testing.F) {
	for _, seed := range [][2]string{
		{"a,b=2", "DBI:mysql:m:host=h;port=1|me|pw"}, {"a", "me:pw@tcp(h:1)/m?charset=latin1,utf8||"}, {"=,a", "|||"}, {"a", "x\x00y"}, {"a", "DBI:mysql:m;mysql_socket=/s"},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, keys, source string) {
		r := newReplicas(MySQL{DSN: "me@tcp(h)/m"}, zap.NewNop())
		r.learn(map[string]string{"slave_keys": keys, "slave_a": source, "slave_b": source, "slave_connect_timeout": keys})
		if set := r.set.Load(); set != nil && set.Len() == 0 {
			t.Errorf("keys %q, source %q: got a set of no replicas; want none", keys, source)
		}
		r.learn(nil)
		if r.set.Load() != nil {
			t.Errorf("keys %q, source %q: got replicas after they were unset; want none", keys, source)
		}
		if err := r.close(); err != nil {
			t.Errorf("close: got %v; want nil", err)
		}
	})
}
