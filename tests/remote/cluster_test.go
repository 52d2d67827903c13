package remote

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/mogilefs/caddy-mogilefs/tests/process"
	"github.com/mogilefs/caddy-mogilefs/tracker/client"
)

// within bounds what takes its time: a start, a monitor's look at a device.
const within = 60 * time.Second

// cluster is a tracker, a storage node and an edge, each a process of its own.
type cluster struct {
	t                   *testing.T
	tracker, node, edge *process.Caddy
	// The tracker's address, one where nobody listens, those of the node and of the
	// public site.
	live, dead, nodeAddr, site string

	client *client.Client
	http   *http.Client
}

// options is what a test changes.
type options struct {
	// tracker and asked are more lines in the tracker's block, and behind the
	// addresses that the edge and the node are given.
	tracker, asked string
	// scheme stands before the tracker's address.
	scheme string
	// edge is more lines in the block of the edge.
	edge string
}

const trackerFile = `{
	mogilefs {
		tracker {
			listen LISTEN
			database sqlite data/mogilefs.db
			MORE
		}
		domain images
	}
}
`

const nodeFile = `{
	mogilefs {
		storage node1 {
			root data/storage
			devices 1 2
			address NODE
			management off
			register DEAD TRACKER ASKED
		}
	}
}

http://:NODEPORT {
	bind 127.0.0.1
	mogilefs_storage
}
`

const edgeFile = `http://SITE {
	bind 127.0.0.1
	handle_path /images/* {
		mogilefs images {
			methods GET PUT DELETE
			tracker DEAD TRACKER ASKED
			MORE
		}
	}
	handle_path /second/* {
		mogilefs images {
			methods GET PUT DELETE
			tracker TRACKER ASKED
			location_cache off
		}
	}
}
`

// start starts the node first, whose trackers are not there yet; then the others.
func start(t *testing.T, o options) *cluster {
	t.Helper()
	var addrs []string
	for _, port := range process.FreePorts(t, 4) {
		addrs = append(addrs, fmt.Sprintf("127.0.0.1:%d", port))
	}
	c := &cluster{t: t, live: addrs[0], dead: addrs[1], nodeAddr: addrs[2], site: addrs[3]}
	_, nodePort, _ := strings.Cut(c.nodeAddr, ":")
	listen := o.scheme + c.live
	fill := func(file, more string) string {
		return strings.NewReplacer(
			"LISTEN", listen, "TRACKER", listen, "DEAD", c.dead, "ASKED", o.asked, "NODEPORT", nodePort, "NODE", c.nodeAddr,
			"SITE", c.site, "MORE", more,
		).Replace(file)
	}
	c.http = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}, Timeout: within}
	t.Cleanup(c.http.CloseIdleConnections)
	c.node = process.Start(t, process.Options{Caddyfile: fill(nodeFile, ""), Ready: []string{c.nodeAddr}})
	c.tracker = process.Start(t, process.Options{Caddyfile: fill(trackerFile, o.tracker), Ready: []string{c.live}})
	c.edge = process.Start(t, process.Options{Caddyfile: fill(edgeFile, o.edge), Ready: []string{c.site}})
	return c
}

// connect is a client of the tracker's own.
func (c *cluster) connect(config client.Config) {
	c.t.Helper()
	var err error
	if c.client, err = client.New(config); err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { c.client.Close() })
}

// awaitWriteable waits until the node has entered itself and takes files.
func (c *cluster) awaitWriteable() {
	c.t.Helper()
	process.Eventually(c.t, within, "two writeable devices", func() bool {
		devices, err := c.client.Devices(c.t.Context())
		writeable := 0
		for _, d := range devices {
			if d.Observed == "writeable" {
				writeable++
			}
		}
		return err == nil && writeable == 2
	})
}

// plain starts a cluster without TLS and waits until it takes files.
func plain(t *testing.T, o options) *cluster {
	t.Helper()
	c := start(t, o)
	c.connect(client.Config{Addresses: []string{c.live}})
	c.awaitWriteable()
	return c
}

// do sends a request to the edge; any goroutine may call it.
func (c *cluster) do(method, path string, body []byte) (int, []byte, error) {
	req, err := http.NewRequestWithContext(c.t.Context(), method, "http://"+c.site+path, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	return resp.StatusCode, got, err
}

// want sends a request and wants a status.
func (c *cluster) want(status int, method, path, body string) string {
	c.t.Helper()
	got, text, err := c.do(method, path, []byte(body))
	if err != nil || got != status {
		c.t.Fatalf("%s %s: got %d %q (%v); want %d\nedge:\n%s\ntracker:\n%s", method, path, got, text, err, status, c.edge.Tail(), c.tracker.Tail())
	}
	return string(text)
}

func (c *cluster) wantBody(path, want string) {
	c.t.Helper()
	if got := c.want(http.StatusOK, http.MethodGet, path, ""); got != want {
		c.t.Errorf("GET %s: got %.100q; want %.100q", path, got, want)
	}
}

// nobodyAt makes sure that the dead address is dead.
func (c *cluster) nobodyAt(addr string) {
	c.t.Helper()
	if conn, err := net.Dial("tcp", addr); err == nil {
		conn.Close()
		c.t.Fatalf("somebody listens at %s", addr)
	}
}
