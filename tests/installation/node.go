package installation

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/storage"
)

// Node is a storage node. What it stores is real; what it says of its disks may not be,
// and they are idle, as the side channel tells it.
type Node struct {
	// Port is where it listens, Root what holds its devices.
	Port uint16
	Root string

	host    Host
	node    *storage.Node
	server  *httptest.Server
	broken  atomic.Bool
	said    atomic.Pointer[string] // instead of usage files
	date    atomic.Pointer[string] // instead of the time
	talking sync.WaitGroup         // the side channel's conversations
}

func startNode(t testing.TB, h Host, management int) *Node {
	t.Helper()
	n := &Node{host: h, Root: t.TempDir()}
	var err error
	if n.node, err = storage.Open(storage.Config{Root: n.Root, Devices: h.Devices, Fast: true}); err != nil {
		t.Fatal(err)
	}
	n.server = httptest.NewUnstartedServer(n)
	n.server.Listener.Close()
	n.server.Listener = listen(t, h.IP+":0")
	n.Port = uint16(n.server.Listener.Addr().(*net.TCPAddr).Port)
	n.server.Start()
	channel := listen(t, fmt.Sprintf("%s:%d", h.IP, management))
	n.talking.Go(func() { n.serveChannel(channel) })
	t.Cleanup(func() {
		channel.Close()
		n.server.CloseClientConnections()
		n.server.Close()
		n.talking.Wait()
		if err := n.node.Close(); err != nil {
			t.Error(err)
		}
	})
	return n
}

func listen(t testing.TB, addr string) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	return ln
}

// Break has the node answer everything with 500 from now on, or no longer.
func (n *Node) Break(broken bool) { n.broken.Store(broken) }

// SayUsage has the node answer with a text of its own for usage files.
func (n *Node) SayUsage(text string) { n.said.Store(&text) }

// SayDate has the node date its answers as if its clock were wrong.
func (n *Node) SayDate(at time.Time) {
	text := at.UTC().Format(http.TimeFormat)
	n.date.Store(&text)
}

// ServeHTTP implements http.Handler.
func (n *Node) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if date := n.date.Load(); date != nil {
		w.Header().Set("Date", *date)
	}
	switch {
	case n.broken.Load():
		w.WriteHeader(http.StatusInternalServerError)
	case n.host.Usage != nil && n.isUsage(r.URL.Path):
		if text := n.said.Load(); text != nil {
			_, _ = io.WriteString(w, *text)
			return
		}
		u := n.host.Usage
		fmt.Fprintf(w, "available: %d\ndevice: /dev/vda\ndisk: %s\ntime: 1795344815\ntotal: %d\nuse: 18%%\nused: %d\n",
			u.Available, n.Root, u.Total, u.Used)
	default:
		n.node.ServeHTTP(w, r)
	}
}

func (n *Node) isUsage(path string) bool {
	return slices.ContainsFunc(n.host.Devices, func(dev mogile.DevID) bool { return path == "/dev"+dev.String()+"/usage" })
}

// serveChannel answers watch until the listener is closed.
func (n *Node) serveChannel(ln net.Listener) {
	var mu sync.Mutex // guards open
	open := []net.Conn{}
	for {
		conn, err := ln.Accept()
		if err != nil {
			mu.Lock()
			defer mu.Unlock()
			for _, c := range open {
				c.Close()
			}
			return
		}
		mu.Lock()
		open = append(open, conn)
		mu.Unlock()
		n.talking.Go(func() { n.talk(conn) })
	}
}

// talk says every second that all disks are idle.
func (n *Node) talk(conn net.Conn) {
	defer conn.Close()
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil || strings.TrimSpace(line) != "watch" {
		return
	}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for ; ; <-tick.C {
		if _, err := io.WriteString(conn, blocks(n.host.Devices)); err != nil {
			return
		}
	}
}

func blocks(devices []mogile.DevID) string {
	var b strings.Builder
	for _, dev := range devices {
		fmt.Fprintf(&b, "%d\t0.00\n", dev)
	}
	return b.String() + ".\n"
}
