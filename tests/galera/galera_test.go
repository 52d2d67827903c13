// Package galera shows what a cluster of two MariaDB nodes promises to a client, and
// what it does not, on a real one: [database.StartGalera].
//
// A test writes on one node, reads on the other, kills one and looks at what the
// other still does. It speaks plain SQL and knows nothing of MogileFS.
package galera

import (
	"context"
	"database/sql"
	"errors"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"golang.org/x/sync/errgroup"

	"github.com/mogilefs/caddy-mogilefs/tests/database"
)

func TestMain(m *testing.M) { database.Main(m) }

// What a node answers.
const (
	deadlock   = 1213 // another node's commit was first
	notPrimary = 1047 // WSREP has not yet prepared node for application use
	fallingOut = 1180 // it was prepared when the statement began
)

// giveUpWithin bounds how long a node waits for one that is dead.
const giveUpWithin = 30 * time.Second

// cluster is two nodes with one database.
type cluster struct {
	a, b     *database.Server
	dsn      string // on a
	onA, onB *sql.DB
}

func startCluster(t *testing.T) cluster {
	t.Helper()
	a, b := database.OwnGalera(t)
	c := cluster{a: a, b: b, dsn: a.MustCreate(t, "")}
	c.onA, c.onB = open(t, c.dsn), open(t, c.dsnB())
	return c
}

// The tests share a cluster, as its start takes seconds. Each leaves it whole.
func TestACluster(t *testing.T) {
	c := startCluster(t)
	exec(t, c.onA, "CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY, n INT NOT NULL)")
	for _, test := range []struct {
		name string
		run  func(*testing.T, cluster)
	}{
		{"what is written on one node is read on the other", writtenAndRead},
		{"nodes give different numbers", differentNumbers},
		{"of two commits that conflict the later is a deadlock", conflict},
		{"named locks exclude nobody on another node", namedLocks},
		{"the heavier node goes on without the other", heavierAlone},
		{"the lighter node refuses to work without the other", lighterAlone},
	} {
		t.Run(test.name, func(t *testing.T) {
			exec(t, c.onA, "DELETE FROM t")
			test.run(t, c)
		})
	}
	must(t, c.b.Stop())
	must(t, c.a.Stop())
}

// open opens a database for reads that wait until the node has what was committed on
// the others before.
func open(t *testing.T, dsn string) *sql.DB {
	t.Helper()
	db, err := sql.Open("mysql", dsn+"?wsrep_sync_wait=1")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func exec(t *testing.T, db *sql.DB, statement string) sql.Result {
	t.Helper()
	result, err := db.ExecContext(t.Context(), statement)
	if err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
	return result
}

func ask(t *testing.T, db *sql.DB, query string) string {
	t.Helper()
	var answer string
	if err := db.QueryRowContext(t.Context(), query).Scan(&answer); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return answer
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// code is the number of a server's error, 0 for others.
func code(err error) uint16 {
	var e *mysql.MySQLError
	if errors.As(err, &e) {
		return e.Number
	}
	return 0
}

func writtenAndRead(t *testing.T, c cluster) {
	exec(t, c.onA, "INSERT INTO t (n) VALUES (7)")
	if n := ask(t, c.onB, "SELECT n FROM t"); n != "7" {
		t.Errorf("on b: got %s; want 7", n)
	}
	exec(t, c.onB, "UPDATE t SET n = 8")
	if n := ask(t, c.onA, "SELECT n FROM t"); n != "8" {
		t.Errorf("on a: got %s; want 8", n)
	}
}

func differentNumbers(t *testing.T, c cluster) {
	const each = 50
	ids := make(chan int64, 2*each)
	var g errgroup.Group
	for _, db := range []*sql.DB{c.onA, c.onB} {
		g.Go(func() error {
			for range each {
				result, err := db.ExecContext(t.Context(), "INSERT INTO t (n) VALUES (1)")
				if err != nil {
					return err
				}
				id, err := result.LastInsertId()
				if err != nil {
					return err
				}
				ids <- id
			}
			return nil
		})
	}
	must(t, g.Wait())
	close(ids)
	seen := map[int64]bool{}
	for id := range ids {
		if seen[id] {
			t.Errorf("got number %d twice", id)
		}
		seen[id] = true
	}
	if count := ask(t, c.onA, "SELECT COUNT(DISTINCT id) FROM t"); count != "100" {
		t.Errorf("got %s different numbers; want 100", count)
	}
}

func conflict(t *testing.T, c cluster) {
	exec(t, c.onA, "INSERT INTO t (id, n) VALUES (1, 0)")
	ask(t, c.onB, "SELECT n FROM t") // b has it
	tx, err := c.onB.BeginTx(t.Context(), nil)
	must(t, err)
	defer tx.Rollback()
	_, err = tx.ExecContext(t.Context(), "UPDATE t SET n = n + 10")
	must(t, err) // no lock of b keeps a from the row
	exec(t, c.onA, "UPDATE t SET n = n + 1")
	if err := tx.Commit(); code(err) != deadlock {
		t.Errorf("commit on b: got %v; want error %d", err, deadlock)
	}
	if n := ask(t, c.onB, "SELECT n FROM t"); n != "1" {
		t.Errorf("got %s; want 1, what a committed", n)
	}
}

func namedLocks(t *testing.T, c cluster) {
	for name, db := range map[string]*sql.DB{"a": c.onA, "b": c.onB} {
		conn, err := db.Conn(t.Context())
		must(t, err)
		defer conn.Close()
		var got sql.NullInt64
		if err := conn.QueryRowContext(t.Context(), "SELECT GET_LOCK('one', 0)").Scan(&got); err != nil || got.Int64 != 1 {
			t.Errorf("take the lock on %s: got %v, %v; want 1", name, got, err)
		}
	}
}

func heavierAlone(t *testing.T, c cluster) {
	must(t, c.b.Kill())
	exec(t, c.onA, "INSERT INTO t (n) VALUES (7)") // waits until b is given up
	if status := ask(t, c.a.Admin(), clusterStatus); status != "Primary" {
		t.Errorf("a alone: got status %s; want Primary", status)
	}
	must(t, c.b.Restart())
	if n := ask(t, c.onB, "SELECT n FROM t"); n != "7" {
		t.Errorf("on b after its return: got %s; want 7", n)
	}
}

const clusterStatus = "SELECT variable_value FROM information_schema.global_status WHERE variable_name = 'wsrep_cluster_status'"

func lighterAlone(t *testing.T, c cluster) {
	exec(t, c.onA, "INSERT INTO t (n) VALUES (7)")
	ask(t, c.onB, "SELECT n FROM t") // b has it
	must(t, c.a.Kill())
	ctx, cancel := context.WithTimeout(t.Context(), giveUpWithin)
	defer cancel()
	_, err := c.onB.ExecContext(ctx, "INSERT INTO t (n) VALUES (8)") // waits until a is given up
	if err == nil {
		t.Error("b alone took a write")
	}
	t.Logf("the write under way: %v", err)
	for _, statement := range []string{"INSERT INTO t (n) VALUES (9)", "SELECT n FROM t"} {
		_, err := c.onB.ExecContext(ctx, statement)
		for code(err) == fallingOut { // it is about to learn that it is alone
			_, err = c.onB.ExecContext(ctx, statement)
		}
		if code(err) != notPrimary {
			t.Errorf("%s on b alone: got %v; want error %d", statement, err, notPrimary)
		}
	}
	must(t, c.a.Restart())
	if n := ask(t, c.onB, "SELECT GROUP_CONCAT(n) FROM t"); n != "7" {
		t.Errorf("on b after a's return: got %s; want 7", n)
	}
	exec(t, c.onB, "INSERT INTO t (n) VALUES (10)")
	if n := ask(t, c.onA, "SELECT GROUP_CONCAT(n ORDER BY n) FROM t"); n != "7,10" {
		t.Errorf("on a after its return: got %s; want 7,10", n)
	}
}
