package failover

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tests/process"
	"github.com/mogilefs/caddy-mogilefs/tracker/client"
)

// within bounds what takes its time: a start, replication.
const within = 2 * time.Minute

// nodes is how many storage nodes there are, each with one device.
const nodes = 3

// node is a storage node, with the relay before it.
type node struct {
	*process.Caddy
	*relay
	// device is where its files are; mounted is set when that is a file system of its own.
	device  string
	mounted bool
}

// site is all processes.
type site struct {
	t    *testing.T
	hub  *process.Caddy // tracker and edge
	node [nodes]*node
	// tracker is the tracker's address, url what keys follow.
	tracker, url string
	client       *client.Client
	http         *http.Client
}

const hubFile = `{
	mogilefs {
		tracker {
			listen TRACKER
			database sqlite data/mogilefs.db
			setting min_free_space 0
		}
		domain images {
			class default 2
		}
	}
}

http://SITE {
	bind 127.0.0.1
	handle_path /images/* {
		mogilefs images {
			methods GET PUT
		}
	}
}
`

const nodeFile = `{
	mogilefs {
		storage NAME {
			root data/storage
			devices DEVID
			address ADDRESS
			management off
			register TRACKER
		}
	}
}

http://:PORT {
	bind 127.0.0.1
	mogilefs_storage
}
`

// deviceSize is the size of a device's file system: enough for all files.
const deviceSize = "size=256m"

func newSite(t *testing.T) *site {
	t.Helper()
	ports := process.FreePorts(t, 2+2*nodes)
	loopback := func(host, port int) string { return fmt.Sprintf("127.0.0.%d:%d", host, port) }
	s := &site{t: t, tracker: loopback(1, ports[0]), url: "http://" + loopback(1, ports[1]) + "/images/"}
	s.http = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: clients, DisableCompression: true}, Timeout: within}
	t.Cleanup(s.http.CloseIdleConnections)
	binary := process.PlainBinary(t)
	s.hub = process.Start(t, process.Options{
		Caddyfile: strings.NewReplacer("TRACKER", s.tracker, "SITE", loopback(1, ports[1])).Replace(hubFile),
		Ready:     []string{s.tracker, loopback(1, ports[1])}, Binary: binary,
	})
	for i := range s.node {
		listens, public := ports[2+2*i], ports[3+2*i]
		dir := t.TempDir()
		n := &node{device: filepath.Join(dir, "data", "storage", "dev"+strconv.Itoa(i+1))}
		n.mount(t)
		n.relay = newRelay(t, loopback(2+i, public), loopback(1, listens))
		n.Caddy = process.Start(t, process.Options{
			Dir: dir, Ready: []string{loopback(1, listens)}, Binary: binary,
			Caddyfile: strings.NewReplacer("NAME", "node"+strconv.Itoa(i+1), "DEVID", strconv.Itoa(i+1),
				"ADDRESS", n.addr, "TRACKER", s.tracker, "PORT", strconv.Itoa(listens)).Replace(nodeFile),
		})
		s.node[i] = n
	}
	var err error
	if s.client, err = client.New(client.Config{Addresses: []string{s.tracker}}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.client.Close() })
	process.Eventually(t, within, "three writeable devices", s.writeable)
	return s
}

// mount gives the device a file system of its own, where that is permitted.
func (n *node) mount(t *testing.T) {
	t.Helper()
	if err := os.MkdirAll(n.device, 0o755); err != nil {
		t.Fatal(err)
	}
	err := unix.Mount("tmpfs", n.device, "tmpfs", 0, deviceSize)
	switch {
	case err == nil:
		n.mounted = true
		t.Cleanup(func() { unix.Unmount(n.device, unix.MNT_DETACH) })
	case os.Getenv("CI") == "true":
		t.Fatalf("mount tmpfs: %v; it must be permitted in continuous integration", err)
	default:
		t.Logf("mount tmpfs: %v; no disk gets full here", err)
	}
}

func (s *site) writeable() bool {
	devices, err := s.client.Devices(s.t.Context())
	n := 0
	for _, d := range devices {
		if d.Observed == "writeable" {
			n++
		}
	}
	return err == nil && n == nodes
}

// upload uploads through the edge, and reports whether that was acknowledged.
func (s *site) upload(key string, content []byte) (bool, error) {
	req, err := http.NewRequest(http.MethodPut, s.url+key, bytes.NewReader(content))
	if err != nil {
		return false, err
	}
	resp, err := s.http.Do(req)
	if err != nil {
		return false, err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode == http.StatusCreated, err
}

// fill uploads all files and waits for their second copies.
func (s *site) fill(files []file) {
	s.t.Helper()
	for _, f := range files {
		if ok, err := s.upload(f.key, f.content()); !ok || err != nil {
			s.t.Fatalf("upload %s: got %t, %v; want it stored", f.key, ok, err)
		}
	}
	for _, f := range files {
		process.Eventually(s.t, within, "second copy of "+f.key, func() bool {
			loc, err := s.client.Locate(s.t.Context(), "images", mogile.Key(f.key), "")
			return err == nil && len(loc.Copies) == 2
		})
	}
}
