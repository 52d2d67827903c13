package takeover

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tests/database"
	"github.com/mogilefs/caddy-mogilefs/tests/legacy"
	"github.com/mogilefs/caddy-mogilefs/tracker"
	"github.com/mogilefs/caddy-mogilefs/tracker/client"
	"github.com/mogilefs/caddy-mogilefs/tracker/protocol"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
	"github.com/mogilefs/caddy-mogilefs/tracker/store/sqlstore"
)

func TestMain(m *testing.M) { database.Main(m) }

// kinds are a new installation on each kind of database.
var kinds = map[string]legacy.Variant{
	"MariaDB": {Kind: legacy.MySQL}, "PostgreSQL": {Kind: legacy.Postgres}, "SQLite": {Kind: legacy.SQLite},
}

// node is a storage node: what was put under a path is there until it is deleted.
type node struct {
	addr legacy.Node

	mu    sync.Mutex // guards the two below
	files map[string]string
	heard map[string]int // requests by method
}

// startNodes starts one for each host of package legacy that has any.
func startNodes(t *testing.T) (nodes []*node, at []legacy.Node) {
	t.Helper()
	for _, ip := range []string{"127.0.0.11", "127.0.0.12"} {
		ln, err := net.Listen("tcp", ip+":0")
		if err != nil {
			t.Fatal(err)
		}
		n := &node{files: map[string]string{}, heard: map[string]int{}, addr: legacy.Node{IP: ip, Port: ln.Addr().(*net.TCPAddr).Port}}
		server := httptest.NewUnstartedServer(n)
		if err := server.Listener.Close(); err != nil {
			t.Fatal(err)
		}
		server.Listener = ln
		server.Start()
		t.Cleanup(server.Close)
		nodes, at = append(nodes, n), append(at, n.addr)
	}
	return nodes, at
}

// ServeHTTP implements http.Handler.
func (n *node) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.heard[r.Method]++
	content, there := n.files[r.URL.Path]
	switch {
	case err != nil:
		w.WriteHeader(http.StatusBadRequest)
	case strings.HasSuffix(r.URL.Path, "/usage"):
		_, _ = io.WriteString(w, "total: 10485760\nused: 1048576\n")
	case r.Method == http.MethodPut:
		n.files[r.URL.Path] = string(body)
		w.WriteHeader(http.StatusCreated)
	case r.Method == http.MethodDelete && there:
		delete(n.files, r.URL.Path)
		w.WriteHeader(http.StatusNoContent)
	case there && r.Method == http.MethodGet || there && r.Method == http.MethodHead:
		w.Header().Set("Content-Length", fmt.Sprint(len(content)))
		_, _ = io.WriteString(w, content)
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

// put, get and remove are for those who play an old tracker, which has its own way there.
func (n *node) put(path, content string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.files[path] = content
}

func (n *node) get(path string) (content string, there bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	content, there = n.files[path]
	return content, there
}

func (n *node) remove(path string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.files, path)
}

// hears is how often it has heard a method.
func (n *node) hears(method string) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.heard[method]
}

// open takes a database over, with the charset of its old tracker.
func open(t *testing.T, d *legacy.Database) store.Store {
	t.Helper()
	s, err := connect(t.Context(), d)
	if err != nil {
		t.Fatalf("open: got %v; want nil", err)
	}
	return s
}

func connect(ctx context.Context, d *legacy.Database) (store.Store, error) {
	switch d.Kind {
	case legacy.MySQL:
		return sqlstore.OpenMySQL(ctx, sqlstore.MySQL{DSN: d.DSN, Charset: d.Session}, zap.NewNop())
	case legacy.Postgres:
		return sqlstore.OpenPostgres(ctx, sqlstore.Postgres{DSN: d.DSN}, zap.NewNop())
	}
	return sqlstore.OpenSQLite(ctx, d.DSN, zap.NewNop())
}

// resting are workers that leave everything as it is.
var resting = map[string]int{"replicate": 0, "delete": 0}

// newTracker starts a tracker on a store, and a client of it. It ends when stop is called,
// or with the test.
func newTracker(t *testing.T, s store.Store, workers map[string]int) (k talk, stop func()) {
	t.Helper()
	tr, err := tracker.New(tracker.Config{Store: s, Workers: workers, Logger: zap.NewNop()})
	if err != nil {
		t.Fatal(errors.Join(err, s.Close()))
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c, err := client.New(client.Config{Addresses: []string{ln.Addr().String()}, Timeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- tr.Serve(ln) }()
	stop = sync.OnceFunc(func() {
		if err := errors.Join(c.Close(), tr.Close(), <-served); err != nil {
			t.Errorf("close: got %v; want nil", err)
		}
	})
	t.Cleanup(stop)
	k = talk{c}
	k.ok(t, "noop")
	return k, stop
}

// talk is a client of a tracker.
type talk struct{ *client.Client }

// ask gives a command.
func (k talk) ask(ctx context.Context, command string, args ...string) (protocol.Values, error) {
	var pairs protocol.Pairs
	for i := 0; i < len(args); i += 2 {
		pairs.Add(args[i], args[i+1])
	}
	values, err := k.Do(ctx, command, pairs)
	if err != nil {
		return nil, fmt.Errorf("%s %q: %w", command, args, err)
	}
	return values, nil
}

// ok is ask where a refusal ends the test.
func (k talk) ok(t *testing.T, command string, args ...string) protocol.Values {
	t.Helper()
	values, err := k.ask(t.Context(), command, args...)
	if err != nil {
		t.Fatal(err)
	}
	return values
}

// refused is ask where the answer is to be a refusal.
func (k talk) refused(t *testing.T, want protocol.Code, command string, args ...string) {
	t.Helper()
	if _, err := k.ask(t.Context(), command, args...); !errors.Is(err, want) {
		t.Errorf("%s %q: got %v; want %s", command, args, err, want)
	}
}

// upload stores a content under a key.
func (k talk) upload(ctx context.Context, nodes []*node, domain mogile.DomainName, key mogile.Key) (mogile.FID, error) {
	opened, err := k.OpenUpload(ctx, client.Upload{Domain: domain, Key: key})
	if err != nil {
		return 0, fmt.Errorf("open %q: %w", key, err)
	}
	to := opened.Destinations[0]
	nodeOf(nodes, to.Dev).put(opened.FID.Path(to.Dev), contentOf(opened.FID))
	err = k.CloseUpload(ctx, client.Closing{Domain: domain, Key: key, FID: opened.FID, Copy: to, Size: int64(len(contentOf(opened.FID)))})
	if err != nil {
		return opened.FID, fmt.Errorf("close %q: %w", key, err)
	}
	return opened.FID, nil
}

// nodeOf: devices 1 and 3 are the first host's, the others in use the second's.
func nodeOf(nodes []*node, dev mogile.DevID) *node { return nodes[(dev-1)%2] }

func contentOf(fid mogile.FID) string { return fmt.Sprintf("content of %d", fid) }

// eventually waits until a condition holds, and reports how long that took.
func eventually(t *testing.T, what string, holds func() bool) time.Duration {
	t.Helper()
	began := time.Now()
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	for !holds() {
		if time.Since(began) > time.Minute {
			t.Fatalf("%s: got nothing for a minute; want it", what)
		}
		<-poll.C
	}
	return time.Since(began)
}
