package conformance

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tests/process"
)

var (
	nodeFlag       = flag.String("node", "", "ask this node, http://host:port, instead of one of ours")
	managementFlag = flag.String("management", "", "its side channel, host:port; without it the rows about that are left out")
	deviceFlag     = flag.Uint("device", 1, "its device that files are put on")
)

// Files are put where no tracker's fids are: the last of those with ten digits, beyond
// which cmogstored takes none.
const (
	firstFID = 9_999_999_000
	fids     = 1_000
)

// node is a storage node under test.
type node struct {
	// addr is where it listens, management where its side channel does; empty for none.
	addr, management string
	dev              mogile.DevID
	// root is where its devices are; empty for a foreign node.
	root    string
	foreign bool
	// next is the fid to be tried next; put is the paths to be deleted.
	next        mogile.FID
	put         map[string]bool
	differences int
}

func TestNode(t *testing.T) {
	n := newNode(t)
	t.Cleanup(func() { n.clean(t) })
	for _, r := range allRows() {
		switch {
		case r.ask == nil, n.foreign && r.harmful:
			continue
		case n.management == "" && strings.HasPrefix(r.section, "3"):
			continue
		}
		t.Run(r.name(), func(t *testing.T) { r.ask(&probe{t, n, r}) })
	}
	if n.foreign {
		t.Logf("%s differs in %d answers from what ours does on purpose; what else is wrong has failed", n.addr, n.differences)
	}
}

// newNode is the node that the flags name, or one of ours.
func newNode(t *testing.T) *node {
	t.Helper()
	n := &node{
		dev: mogile.DevID(*deviceFlag), put: map[string]bool{}, foreign: *nodeFlag != "",
		next: firstFID + mogile.FID(rand.IntN(fids)), management: *managementFlag,
	}
	if !n.foreign {
		n.start(t)
		return n
	}
	base, err := url.Parse(*nodeFlag)
	if err != nil || base.Scheme != "http" || base.Host == "" || strings.Trim(base.Path, "/") != "" {
		t.Fatalf("-node %s: want http://host:port", *nodeFlag)
	}
	n.addr = base.Host
	if base.Port() == "" {
		n.addr = net.JoinHostPort(base.Hostname(), "80")
	}
	return n
}

// ownNode is a node of ours as one serves it.
const ownNode = `{
	mogilefs {
		storage node1 {
			root storage
			devices DEV
			address ADDRESS
			management MANAGEMENT
		}
	}
}

http://:PORT {
	bind 127.0.0.1
	mogilefs_storage
}
`

func (n *node) start(t *testing.T) {
	t.Helper()
	ports := process.FreePorts(t, 2)
	dir := t.TempDir()
	n.addr, n.management = loopback(ports[0]), loopback(ports[1])
	n.root = filepath.Join(dir, "storage")
	process.Start(t, process.Options{Dir: dir, Ready: []string{n.addr, n.management}, Caddyfile: strings.NewReplacer(
		"DEV", n.dev.String(), "ADDRESS", n.addr, "MANAGEMENT", n.management, "PORT", strconv.Itoa(ports[0]),
	).Replace(ownNode)})
}

func loopback(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }

// onDev is a path on the device.
func (n *node) onDev(name string) string { return "/dev" + n.dev.String() + "/" + name }

// fid is the path of a fid of which the node has no file.
func (p *probe) fid() string {
	p.t.Helper()
	for range fids {
		path := p.next.Path(p.dev)
		if p.next++; p.next == firstFID+fids {
			p.next = firstFID
		}
		if p.put[path] {
			continue
		}
		if got := p.do("HEAD", path, ""); got.status == 404 {
			p.put[path] = true
			return path
		}
	}
	p.t.Fatalf("the node has files for all fids from %d on, which is where this test puts its own", firstFID)
	return ""
}

// clean deletes what was put.
func (n *node) clean(t *testing.T) {
	p := &probe{t: t, node: n}
	for path := range n.put {
		if got := p.do("DELETE", path, ""); got.status/100 == 5 || got.err != nil {
			t.Logf("clean up: DELETE %s: got %s; it may be there still", path, got)
		}
	}
}
