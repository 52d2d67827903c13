package storage_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/mogilefs/caddy-mogilefs/storage"
)

// admits asks a fence about a request from one address to another.
func admits(t *testing.T, f *storage.Fence, method string, from, to net.Addr) bool {
	t.Helper()
	r := httptest.NewRequest(method, fidPath, nil)
	r = r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, to))
	r.RemoteAddr = from.String()
	w := httptest.NewRecorder()
	ok := f.Admits(w, r)
	if !ok && w.Code != 403 || ok && w.Body.Len() > 0 {
		t.Errorf("%s from %s: got admitted %v and %d %q; want an answer of 403 with a refusal alone", method, from, ok, w.Code, w.Body)
	}
	return ok
}

func tcp(addr string) net.Addr { return net.TCPAddrFromAddrPort(netip.MustParseAddrPort(addr)) }

func TestAFenceLetsInWhomItNames(t *testing.T) {
	cluster := storage.Peers{Cluster: true}
	known := func(a netip.Addr) bool { return a == netip.MustParseAddr("10.0.0.7") }
	ranges := func(list ...string) (p storage.Peers) {
		for _, r := range list {
			p.Ranges = append(p.Ranges, netip.MustParsePrefix(r))
		}
		return p
	}
	socket := &net.UnixAddr{Name: "/run/node.sock", Net: "unix"}
	here := tcp("10.0.0.5:7500")
	for _, c := range []struct {
		name     string
		peers    storage.Peers
		from, to net.Addr
		want     bool
	}{
		{"anybody", storage.Peers{Anybody: true}, tcp("203.0.113.9:1"), here, true},
		{"nobody", storage.Peers{}, tcp("127.0.0.1:1"), here, false},
		{"this machine", cluster, tcp("127.0.0.9:1"), here, true},
		{"this machine over IPv6", cluster, tcp("[::1]:1"), here, true},
		{"this machine under its own address", cluster, tcp("10.0.0.5:1"), here, true},
		{"a known host", cluster, tcp("10.0.0.7:1"), here, true},
		{"a known host in IPv6's clothes", cluster, tcp("[::ffff:10.0.0.7]:1"), here, true},
		{"a stranger", cluster, tcp("10.0.0.8:1"), here, false},
		{"a socket of this machine", cluster, &net.UnixAddr{Name: "@", Net: "unix"}, socket, true},
		{"the same, not asked for", ranges("10.0.0.0/8"), &net.UnixAddr{Name: "@", Net: "unix"}, socket, false},
		{"a name where an address should be", cluster, &net.UnixAddr{Name: "nonsense", Net: "unix"}, here, false},
		{"in a range", ranges("192.168.0.0/16", "10.0.0.0/8"), tcp("10.9.9.9:1"), here, true},
		{"in a range of IPv6, with a zone", ranges("fe80::/10"), tcp("[fe80::1%eth0]:1"), here, true},
		{"out of all ranges", ranges("192.168.0.0/16"), tcp("10.9.9.9:1"), here, false},
		{"ranges do not mean this machine", ranges("192.168.0.0/16"), tcp("127.0.0.1:1"), here, false},
	} {
		writes := &storage.Fence{Write: c.peers, Known: known}
		reads := &storage.Fence{Read: c.peers, Known: known}
		for _, method := range []string{"PUT", "DELETE", "MKCOL"} {
			if got := admits(t, writes, method, c.from, c.to); got != c.want {
				t.Errorf("%s: %s: got %v; want %v", c.name, method, got, c.want)
			}
			if admits(t, reads, method, c.from, c.to) {
				t.Errorf("%s: %s: who may read may write", c.name, method)
			}
		}
		for _, method := range []string{"GET", "HEAD", "POST", "OPTIONS"} {
			if got := admits(t, reads, method, c.from, c.to); got != c.want {
				t.Errorf("%s: %s: got %v; want %v", c.name, method, got, c.want)
			}
		}
	}
}

func TestRefusalsAreLoggedNowAndThenWithTheWayOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zapcore.DebugLevel)
		f := &storage.Fence{Log: zap.New(core)}
		for range 100 {
			admits(t, f, "PUT", tcp("203.0.113.9:1"), tcp("10.0.0.5:7500"))
		}
		<-time.After(11 * time.Second) // of the bubble's clock
		admits(t, f, "GET", tcp("203.0.113.9:1"), tcp("10.0.0.5:7500"))
		lines := logs.All()
		if len(lines) != 2 {
			t.Fatalf("got %d lines; want 2", len(lines))
		}
		for i, word := range []string{"write_from", "read_from"} {
			fields := lines[i].ContextMap()
			if way, _ := fields["way out"].(string); !strings.Contains(way, word) || fields["client"] != "203.0.113.9:1" {
				t.Errorf("line %d: got %v; want the client, and %s as the way out", i, fields, word)
			}
		}
		if got := lines[1].ContextMap()["others before"]; got != int64(99) {
			t.Errorf("got %v refusals that were not logged; want 99", got)
		}
	})
}

// TestNoEncodingLeadsOutOfTheDevices sends paths as they are over a connection, so that
// nothing tidies them up before.
func TestNoEncodingLeadsOutOfTheDevices(t *testing.T) {
	s := newServer(t)
	secret := filepath.Join(t.TempDir(), "secret")
	mustWriteFile(t, secret, "secret")
	mustWriteFile(t, filepath.Join(s.root, "beside"), "secret")
	mustWriteFile(t, filepath.Join(s.root, ".dev3.mounted"), "secret")
	mustSymlink(t, secret, filepath.Join(s.root, "dev1", "link"))
	mustSymlink(t, filepath.Dir(secret), filepath.Join(s.root, "dev1", "out"))
	mustSymlink(t, "../..", filepath.Join(s.root, "dev1", "up"))
	mustSymlink(t, "/proc/self/root", filepath.Join(s.root, "dev1", "magic"))
	before := tree(t, s.root, filepath.Dir(secret))
	for _, path := range []string{
		"/../beside", "/dev1/../beside", "/dev1/../../etc/passwd", "/dev1/%2e%2e/beside", "/dev1/%2E%2E/beside",
		"/dev1/.%2e/beside", "/dev1/%2e./beside", "/dev1%2f..%2fbeside", "/dev1/..%2fbeside", "/dev1/%2e%2e%2fbeside",
		"/dev1/%252e%252e/beside", "/dev1/%c0%ae%c0%ae/beside", "/dev1/%e0%80%ae%e0%80%ae/beside",
		"/dev1/..%5cbeside", `/dev1/..\beside`, "/dev1/%00/../beside", "/dev1/x%00", "/dev1/beside%00.fid", "/dev1/%2fetc%2fpasswd",
		"//beside", "/beside", "/./beside", "/.dev3.mounted", "/dev3/../.dev3.mounted", "/%2edev3.mounted",
		"/dev1/link", "/dev1/out/secret", "/dev1/out/new", "/dev1/up/beside", "/dev1/up/new", "/dev1/magic/etc/passwd",
		"/dev1/out/../link", "/dev01/x", "/dev1//etc/passwd", "/dev1/;/../beside", "/dev1/..;/beside", "http://x/dev1/../beside",
		"/dev1/0/000/000/0000000001.fid/../../../../../beside",
	} {
		for _, method := range []string{"GET", "HEAD", "PUT", "MKCOL", "DELETE"} {
			if path == "/dev1/link" && (method == "PUT" || method == "DELETE") {
				continue // replaces the link itself, which is on the device
			}
			got := s.wire(t, method+" "+path+" HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 4\r\n\r\nbody")
			if !strings.HasPrefix(got, "HTTP/1.1 4") {
				t.Errorf("%s %s: got %q; want it refused", method, path, got)
			}
			if strings.Contains(got, "secret") || strings.Contains(got, "root:") {
				t.Errorf("%s %s: got %q, which is outside", method, path, got)
			}
		}
		if after := tree(t, s.root, filepath.Dir(secret)); after != before {
			t.Fatalf("%s: got\n%s\nwant\n%s", path, after, before)
		}
	}
}

func TestWhoIsRefusedWaitsForNoBody(t *testing.T) {
	f := &storage.Fence{Read: storage.Peers{Anybody: true}}
	n := newServer(t)
	fenced := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = struct{ io.ReadCloser }{r.Body} // as Caddy does
		if f.Admits(w, r) {
			n.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(fenced.Close)
	n.addr = fenced.Listener.Addr().String()
	conn := n.dial(t)
	fmt.Fprint(conn, "PUT "+fidPath+" HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 1000\r\n\r\n")
	if line, err := bufio.NewReader(conn).ReadString('\n'); line != "HTTP/1.1 403 Forbidden\r\n" {
		t.Errorf("got %q, %v; want 403 at once", line, err)
	}
}
