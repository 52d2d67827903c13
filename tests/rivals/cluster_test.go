package rivals

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/storage"
	"github.com/mogilefs/caddy-mogilefs/tracker"
)

// domain is where all keys are.
const domain = "images"

// devices is those of the one storage node; every file is to have a copy on both.
var devices = []mogile.DevID{1, 2}

// cluster is trackers on one database, and a storage node.
type cluster struct {
	tables   *sql.DB
	trackers []string // addresses
	root     string   // of the devices
}

// newCluster starts a cluster whose jobs rest.
func newCluster(t *testing.T, p place, trackers int) *cluster {
	t.Helper()
	c := &cluster{root: t.TempDir(), tables: p.open(t)}
	wanted := tracker.Declaration{
		Domains: []tracker.DeclaredDomain{{Name: domain}},
		Hosts:   []tracker.DeclaredHost{c.startNode(t)},
	}
	for _, dev := range devices {
		wanted.Devices = append(wanted.Devices, tracker.DeclaredDevice{DevID: dev, Host: wanted.Hosts[0].Name})
	}
	for range trackers {
		c.startTracker(t, p, wanted)
	}
	return c
}

// startNode starts the storage node. Its files need not survive the machine.
func (c *cluster) startNode(t *testing.T) tracker.DeclaredHost {
	t.Helper()
	node, err := storage.Open(storage.Config{Root: c.root, Devices: devices, Fast: true})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(node)
	t.Cleanup(func() {
		server.Close()
		if err := node.Close(); err != nil {
			t.Error(err)
		}
	})
	addr := server.Listener.Addr().(*net.TCPAddr)
	return tracker.DeclaredHost{Name: "node", IP: addr.IP.String(), Port: uint16(addr.Port)}
}

func (c *cluster) startTracker(t *testing.T, p place, wanted tracker.Declaration) {
	t.Helper()
	st, err := p.connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	// A tracker that had to tell its log of an error met a rival it could not stand.
	log := zaptest.NewLogger(t, zaptest.Level(zapcore.ErrorLevel), zaptest.WrapOptions(zap.Hooks(func(e zapcore.Entry) error {
		t.Errorf("a tracker logged: %s", e.Message)
		return nil
	})))
	tr, err := tracker.New(tracker.Config{
		Store: st, Workers: map[string]int{"replicate": 0, "delete": 0}, MinFreeMB: -1, Logger: log,
	})
	if err != nil {
		t.Fatal(err, st.Close())
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- tr.Serve(ln) }()
	t.Cleanup(func() {
		if err := tr.Close(); err != nil {
			t.Error(err)
		}
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	if err := tr.Declare(t.Context(), wanted); err != nil {
		t.Fatal(err)
	}
	c.trackers = append(c.trackers, ln.Addr().String())
}

// clients are connections to the trackers in turn; they end with the test.
func (c *cluster) clients(t *testing.T, n int) []*client {
	t.Helper()
	all := make([]*client, n)
	for i := range all {
		var err error
		if all[i], err = dial(c.trackers[i%len(c.trackers)]); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(all[i].close)
	}
	return all
}

// work sets the jobs going.
func (c *cluster) work(t *testing.T) {
	t.Helper()
	for _, client := range c.clients(t, len(c.trackers)) {
		for _, job := range []string{"replicate", "delete"} {
			answer, err := client.say("!want 2 " + job)
			if err == nil {
				_, err = client.hear() // the dot behind it
			}
			if err != nil || !strings.HasPrefix(answer, "Now desiring 2") {
				t.Fatalf("!want 2 %s: got %q, %v", job, answer, err)
			}
		}
	}
}

// stored lists the fids whose files are on a device.
func (c *cluster) stored(t *testing.T, dev mogile.DevID) []mogile.FID {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(c.root, "dev"+dev.String(), "0", "*", "*", "*.fid"))
	if err != nil {
		t.Fatal(err)
	}
	var fids []mogile.FID
	for _, name := range names {
		fid, err := mogile.ParseFID(strings.TrimLeft(strings.TrimSuffix(filepath.Base(name), ".fid"), "0"))
		if err != nil {
			t.Fatal(err)
		}
		fids = append(fids, fid)
	}
	return fids
}

// read is the content of a fid on a device.
func (c *cluster) read(t *testing.T, fid mogile.FID, dev mogile.DevID) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(c.root, fid.Path(dev)))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// put stores a content where a tracker said.
func put(ctx context.Context, url, content string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, url, strings.NewReader(content))
	if err != nil {
		return err
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if text, _ := io.ReadAll(resp.Body); resp.StatusCode != http.StatusCreated {
		return fmt.Errorf("put %s: %s %s", url, resp.Status, text)
	}
	return nil
}
