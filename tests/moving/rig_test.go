package moving

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tests/database"
	"github.com/mogilefs/caddy-mogilefs/tests/legacy"
	"github.com/mogilefs/caddy-mogilefs/tests/process"
	"github.com/mogilefs/caddy-mogilefs/tracker/client"
)

func TestMain(m *testing.M) { database.Main(m) }

const (
	// within bounds what takes its time: a start, replication, a check.
	within = 2 * time.Minute
	// oldFiles is how many files there are from of old.
	oldFiles = 60
)

// installation is all there is, of old and of ours.
type installation struct {
	t       *testing.T
	db      *legacy.Database
	nodes   []*oldNode
	tracker *oldTracker
	// site is where the old site is, edge where ours is, and clients ask the balancer.
	site, edge string
	balancer   *balancer
	http       *http.Client

	load        *load
	binary      string // of ours
	trackerPort int
	ourTracker  *process.Caddy
	ourEdge     *process.Caddy
	ourNodes    map[mogile.DevID]*process.Caddy
}

func hostName(dev mogile.DevID) mogile.HostName { return mogile.HostName("store" + dev.String()) }

func oldKey(i int) string { return fmt.Sprintf("old/%03d.jpg", i) }

func content(key string) []byte {
	return bytes.Repeat([]byte(key+"\n"), 1+len(key)*int(key[len(key)-5])%500)
}

func newInstallation(t *testing.T) *installation {
	t.Helper()
	ports := process.FreePorts(t, 5)
	in := &installation{
		t: t, db: legacy.NewEmpty(t, legacy.Variant{Kind: legacy.MySQL}), trackerPort: ports[3], binary: process.Binary(t),
		edge: "http://127.0.0.1:" + strconv.Itoa(ports[4]), ourNodes: map[mogile.DevID]*process.Caddy{},
	}
	in.http = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16}, Timeout: time.Minute}
	t.Cleanup(in.http.CloseIdleConnections)
	for i := range 2 {
		in.nodes = append(in.nodes, newOldNode(t, "127.0.0.1"+strconv.Itoa(i+1), ports[i], mogile.DevID(i+1)))
	}
	in.fill()
	in.tracker = newOldTracker(t, in.db, ports[2], in.nodes)
	in.site = serve(t, in.oldSite())
	in.balancer = newBalancer(t, in.site)
	return in
}

func serve(t *testing.T, h http.Handler) (url string) {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

// fill makes the database and the files that the installation has had for years.
func (in *installation) fill() {
	in.t.Helper()
	in.db.Do(in.t, "INSERT INTO domain (dmid, namespace) VALUES (1, 'images')")
	for _, n := range in.nodes {
		in.db.Do(in.t, fmt.Sprintf("INSERT INTO host (hostid, hostname, status, http_port, hostip) VALUES (%d, '%s', 'alive', %d, '%s')",
			n.dev, hostName(n.dev), n.port, n.ip),
			fmt.Sprintf("INSERT INTO device (devid, hostid, status, weight, mb_total, mb_used, mb_asof) VALUES (%d, %[1]d, 'alive', 100, 10000, 1000, UNIX_TIMESTAMP())", n.dev))
	}
	for i := range oldFiles {
		fid, key := mogile.FID(i+1), oldKey(i)
		in.db.Do(in.t, fmt.Sprintf("INSERT INTO file (fid, dmid, dkey, length, classid, devcount) VALUES (%d, 1, '%s', %d, 0, 2)", fid, key, len(content(key))))
		for _, n := range in.nodes {
			n.put(in.t, fid, content(key))
			in.db.Do(in.t, fmt.Sprintf("INSERT INTO file_on (fid, devid) VALUES (%d, %d)", fid, n.dev))
		}
	}
	in.db.Do(in.t, fmt.Sprintf("ALTER TABLE tempfile AUTO_INCREMENT = %d", oldFiles+1))
}

// oldSite is nginx with its module: it asks a tracker, and then one copy after the other.
func (in *installation) oldSite() http.Handler {
	in.t.Helper()
	c := in.ask(in.tracker.addr)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		loc, err := c.Locate(r.Context(), "images", mogile.Key(strings.TrimPrefix(r.URL.Path, "/images/")), client.MainZone)
		if err != nil {
			http.Error(w, err.Error(), http.StatusNotFound)
			return
		}
		for _, at := range loc.Copies {
			if resp, err := in.http.Get(at.URL); err == nil {
				defer resp.Body.Close()
				if resp.StatusCode == http.StatusOK {
					_, _ = io.Copy(w, resp.Body)
					return
				}
			}
		}
		w.WriteHeader(http.StatusBadGateway)
	})
}

// ask is a client of one tracker.
func (in *installation) ask(tracker string) *client.Client {
	in.t.Helper()
	c, err := client.New(client.Config{Addresses: []string{tracker}})
	if err != nil {
		in.t.Fatal(err)
	}
	in.t.Cleanup(func() { _ = c.Close() })
	return c
}

// get reads a key from a site, and compares.
func (in *installation) get(site, key string) error {
	resp, err := in.http.Get(site + "/images/" + key)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return fmt.Errorf("get %s: %w", key, err)
	}
	if resp.StatusCode != http.StatusOK || !bytes.Equal(body, content(key)) {
		return fmt.Errorf("get %s from %s: got %s and %d bytes; want 200 and %d", key, site, resp.Status, len(body), len(content(key)))
	}
	return nil
}

// put uploads to the first of the destinations that takes it, as client libraries do.
func (in *installation) put(ctx context.Context, c *client.Client, key string) error {
	opened, err := c.OpenUpload(ctx, client.Upload{Domain: "images", Key: mogile.Key(key)})
	if err != nil {
		return fmt.Errorf("open %s: %w", key, err)
	}
	for _, at := range opened.Destinations {
		if err = in.putTo(ctx, at.URL, content(key)); err == nil {
			err = c.CloseUpload(ctx, client.Closing{Domain: "images", Key: mogile.Key(key), FID: opened.FID, Copy: at, Size: int64(len(content(key)))})
			break
		}
	}
	if err != nil {
		return fmt.Errorf("upload %s: %w", key, err)
	}
	return nil
}

func (in *installation) putTo(ctx context.Context, url string, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	resp, err := in.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("put %s: %s", url, resp.Status)
	}
	return nil
}

// startNode has ours serve what the old node has, at its address.
func (in *installation) startNode(n *oldNode) {
	in.t.Helper()
	in.ourNodes[n.dev] = process.Start(in.t, process.Options{
		Binary: in.binary, Ready: []string{n.addr()},
		Caddyfile: strings.NewReplacer("NAME", string(hostName(n.dev)), "ROOT", n.root, "ADDRESS", n.addr(), "IP", n.ip, "PORT", strconv.Itoa(n.port)).Replace(`{
	mogilefs {
		storage NAME {
			root       ROOT
			address    ADDRESS
			management off
			write_from cluster 127.0.0.0/8
		}
	}
}

http://:PORT {
	bind IP
	mogilefs_storage NAME
}
`),
	})
}

// edgeFile is our edge with trackers to ask, for each request anew.
func (in *installation) edgeFile(trackers ...string) string {
	return strings.NewReplacer("ADDRESS", in.edge, "TRACKERS", strings.Join(trackers, " ")).Replace(`ADDRESS {
	bind 127.0.0.1
	handle_path /images/* {
		mogilefs images {
			tracker TRACKERS
			location_cache off
		}
	}
}
`)
}

// trackerFile is our tracker on the same database.
func (in *installation) trackerFile(workers string) string {
	return strings.NewReplacer("LISTEN", in.ourTrackerAddr(), "DSN", in.db.DSN, "WORKERS", workers).Replace(`{
	mogilefs {
		tracker {
			listen   LISTEN
			setting  min_free_space 0
			database mysql DSN {
				charset utf8mb4
			}
			WORKERS
		}
	}
}
`)
}

func (in *installation) ourTrackerAddr() string {
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(in.trackerPort))
}

// mogadm runs a command of ours in its place, and returns what it prints.
func (in *installation) mogadm(args ...string) string {
	in.t.Helper()
	cmd := exec.CommandContext(in.t.Context(), in.binary, append([]string{"mogilefs", "--trackers=" + in.ourTrackerAddr()}, args...)...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		in.t.Fatalf("mogadm %q: %v\n%s", args, err, out)
	}
	return string(out)
}
