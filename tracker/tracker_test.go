package tracker_test

import (
	"bufio"
	"context"
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
	"github.com/mogilefs/caddy-mogilefs/tracker"
	"github.com/mogilefs/caddy-mogilefs/tracker/command"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
	"github.com/mogilefs/caddy-mogilefs/tracker/store/sqlstore"
	"github.com/mogilefs/caddy-mogilefs/tracker/topology"
)

// patience is when a test gives up waiting for what should have happened.
const patience = 20 * time.Second

// newTracker has an empty database.
func newTracker(t *testing.T, config tracker.Config) (*tracker.Tracker, store.Store) {
	t.Helper()
	db, err := sqlstore.OpenSQLite(t.Context(), ":memory:", zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	config.Store, config.Logger = db, zap.NewNop()
	tr, err := tracker.New(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tr.Close() })
	return tr, db
}

// storageNode keeps files in memory.
type storageNode struct {
	mu    sync.Mutex // guards files
	files map[string][]byte
}

func (n *storageNode) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	n.mu.Lock()
	defer n.mu.Unlock()
	switch content, there := n.files[r.URL.Path]; {
	case strings.HasSuffix(r.URL.Path, "/usage"):
		_, _ = io.WriteString(w, "total: 10485760\nused: 1048576\n")
	case r.Method == http.MethodPut:
		n.files[r.URL.Path] = body
		w.WriteHeader(http.StatusCreated)
	case r.Method == http.MethodDelete && there:
		delete(n.files, r.URL.Path)
	case (r.Method == http.MethodGet || r.Method == http.MethodHead) && there:
		w.Header().Set("Content-Length", fmt.Sprint(len(content)))
		_, _ = w.Write(content)
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

// startNode listens on an address of the loopback network.
func startNode(t *testing.T, ip string) (port uint16) {
	t.Helper()
	ln, err := net.Listen("tcp", ip+":0")
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewUnstartedServer(&storageNode{files: map[string][]byte{}})
	_ = srv.Listener.Close()
	srv.Listener = ln
	srv.Start()
	t.Cleanup(srv.Close)
	return uint16(ln.Addr().(*net.TCPAddr).Port)
}

// twoNodes is a declaration with a host for each, and device 1 and 2.
func twoNodes(t *testing.T) tracker.Declaration {
	t.Helper()
	return tracker.Declaration{
		Domains: []tracker.DeclaredDomain{{Name: "images", Classes: []tracker.DeclaredClass{{Name: "original", MinDevCount: 2}}}},
		Hosts: []tracker.DeclaredHost{
			{Name: "one", IP: "127.0.0.1", Port: startNode(t, "127.0.0.1")},
			{Name: "two", IP: "127.0.0.2", Port: startNode(t, "127.0.0.2")},
		},
		Devices: []tracker.DeclaredDevice{{DevID: 1, Host: "one"}, {DevID: 2, Host: "two"}},
	}
}

func TestAnUploadIsReplicatedAndDeleted(t *testing.T) {
	changes := make(chan mogile.Key, 10)
	tr, db := newTracker(t, tracker.Config{Changed: func(_ mogile.DomainName, key mogile.Key) { changes <- key }})
	if err := tr.Declare(t.Context(), twoNodes(t)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	fid := upload(t, tr, "a", "some bytes")
	for range 2 { // the close, and the copy
		select {
		case <-changes:
		case <-ctx.Done():
			t.Fatal("nobody was told that the key changed")
		}
	}
	at, err := tr.Commands().Locate(ctx, "images", "a", topology.Zone{})
	if err != nil || at.FID != fid || len(at.Copies) != 2 {
		t.Fatalf("got location %+v, %v; want fid %d with 2 copies", at, err, fid)
	}
	if err := tr.Commands().Delete(ctx, "images", "a"); err != nil {
		t.Fatal(err)
	}
	for on := at.Copies; len(on) > 0; {
		devs, err := db.Devices(ctx, fid)
		if err != nil {
			t.Fatalf("copies are still on %v: %v", on, err)
		}
		if len(devs) == 0 {
			break
		}
	}
	for _, c := range at.Copies {
		resp, err := http.Get(c.URL)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusNotFound {
			t.Errorf("got %s for %s; want it gone", resp.Status, c.URL)
		}
	}
}

// upload does what a client does, with the typed commands.
func upload(t *testing.T, tr *tracker.Tracker, key mogile.Key, content string) mogile.FID {
	t.Helper()
	opened, err := tr.Commands().Open(t.Context(), command.OpenArgs{Domain: "images", Key: key, Class: "original"})
	if err != nil {
		t.Fatal(err)
	}
	to := opened.Destinations[0]
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, to.URL, strings.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	err = tr.Commands().Close(t.Context(), command.CloseArgs{
		Domain: "images", Key: key, FID: opened.FID, Dev: to.Dev, URL: to.URL, Size: int64(len(content)),
	})
	if err != nil {
		t.Fatal(err)
	}
	return opened.FID
}

func TestCloseEndsServingAndClosesTheStore(t *testing.T) {
	tr, db := newTracker(t, tracker.Config{})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- tr.Serve(ln) }()
	conn, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	lines := bufio.NewReader(conn)
	if _, err := io.WriteString(conn, "!jobs\r\n"); err != nil {
		t.Fatal(err)
	}
	if line, err := lines.ReadString('\n'); line != "delete count 16\r\n" || err != nil {
		t.Errorf("got %q, %v; want delete count 16", line, err)
	}
	for range 2 {
		if err := tr.Close(); err != nil {
			t.Errorf("close: got error %v", err)
		}
	}
	if err := <-served; err != nil {
		t.Errorf("serve: got error %v; want none", err)
	}
	if _, err := db.LoadTopology(t.Context()); err == nil {
		t.Error("store after Close: got an answer; want an error")
	}
	if err := tr.Declare(t.Context(), tracker.Declaration{}); err == nil {
		t.Error("Declare after Close: got no error")
	}
}

func TestConfigIsCheckedByName(t *testing.T) {
	if err := (tracker.Config{}).Validate(); err != nil {
		t.Errorf("defaults: got error %v; want none", err)
	}
	if _, err := tracker.New(tracker.Config{Logger: zap.NewNop()}); err == nil {
		t.Error("New without a store: got no error")
	}
	for want, spoil := range map[string]func(c *tracker.Config){
		"default mindevcount is 256": func(c *tracker.Config) { c.DefaultMinDevCount = 256 },
		"default mindevcount is -1":  func(c *tracker.Config) { c.DefaultMinDevCount = -1 },
		"-1 copies per device":       func(c *tracker.Config) { c.CopiesPerDevice = -1 },
		"501 copies per device":      func(c *tracker.Config) { c.CopiesPerDevice = 501 },
		"conn timeout is -1s":        func(c *tracker.Config) { c.ConnTimeout = -time.Second },
		"node timeout is -1s":        func(c *tracker.Config) { c.NodeTimeout = -time.Second },
		`no job is called "cook"`:    func(c *tracker.Config) { c.Workers = map[string]int{"cook": 1} },
		"501 workers for replicate":  func(c *tracker.Config) { c.Workers = map[string]int{"replicate": 501} },
		"0 workers for queryworker":  func(c *tracker.Config) { c.Workers = map[string]int{"queryworker": 0} },
	} {
		bad := tracker.Config{Store: struct{ store.Store }{}, Logger: zap.NewNop()}
		spoil(&bad)
		if err := bad.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got error %v; want one with %q", err, want)
		}
		if _, err := tracker.New(bad); err == nil {
			t.Errorf("%s: New: got no error", want)
		}
	}
}

func TestMinFreeSpaceKeepsNewFilesAway(t *testing.T) {
	for _, c := range []struct {
		minFreeMB int64
		want      bool // an upload finds a device; 9216 MB are free
	}{{0, true}, {9000, true}, {9500, false}, {-1, true}} {
		tr, _ := newTracker(t, tracker.Config{MinFreeMB: c.minFreeMB})
		if err := tr.Declare(t.Context(), twoNodes(t)); err != nil {
			t.Fatal(err)
		}
		_, err := tr.Commands().Open(t.Context(), command.OpenArgs{Domain: "images", Class: "original"})
		if (err == nil) != c.want {
			t.Errorf("%d MB must be free: got error %v; want success %v", c.minFreeMB, err, c.want)
		}
	}
}
