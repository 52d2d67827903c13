package caddymodule

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/mogilefs/caddy-mogilefs/caddymodule/metrics"
	"github.com/mogilefs/caddy-mogilefs/mogile"
)

func TestASiteMayServeReadersOnly(t *testing.T) {
	r := newRig(t)
	ln := listenLoopback(t)
	readers := ln.Addr().String()
	ln.Close()
	_, port, _ := strings.Cut(readers, ":")
	site := "http://:" + port + " {\n bind 127.0.0.1\n mogilefs_storage {\n methods GET\n }\n}\n\nhttp://PUBLIC {"
	r.run(changed("http://PUBLIC {", site, "register", "register\n get_port "+port))
	if got := r.say("get_hosts"); !strings.Contains(got, "http_get_port="+port) {
		t.Errorf("get_hosts: got %q; want the get port %s", got, port)
	}
	r.want(http.StatusCreated, http.MethodPut, "/images/k", "content")
	r.wantBody("/images/k", "content")
	paths, err := url.ParseQuery(strings.TrimSpace(strings.TrimPrefix(r.say("get_paths domain=images&key=k"), "OK ")))
	if err != nil {
		t.Fatal(err)
	}
	path, ok := strings.CutPrefix(paths.Get("path1"), "http://"+readers)
	if !ok {
		t.Fatalf("get_paths: got %v; want one at %s", paths, readers)
	}
	for _, c := range []struct {
		method string
		status int
	}{{"GET", 200}, {"HEAD", 200}, {"PUT", 405}, {"DELETE", 405}, {"MKCOL", 405}, {"POST", 405}} {
		got := exchange(t, readers, c.method+" "+path+" HTTP/1.1\r\nHost: node\r\nExpect: 100-continue\r\nContent-Length: 7\r\n\r\n")
		if got.StatusCode != c.status || c.status == 405 && (got.Header.Get("Allow") != "GET, HEAD" || !got.Close) {
			t.Errorf("%s at the readers' site: got %s, Allow %q, close %v; want %d, GET, HEAD, true", c.method,
				got.Status, got.Header.Get("Allow"), got.Close, c.status)
		}
	}
	if got := exchange(t, r.node, "MKCOL "+path+" HTTP/1.1\r\nHost: node\r\n\r\n"); got.StatusCode != http.StatusBadRequest {
		t.Errorf("MKCOL at the writers' site: got %s; want 400", got.Status)
	}
	if got := exchange(t, r.node, "DELETE "+path+" HTTP/1.1\r\nHost: node\r\n\r\n"); got.StatusCode != http.StatusNoContent {
		t.Errorf("DELETE at the writers' site: got %s; want 204", got.Status)
	}
}

// exchange sends one request on a connection of its own. The body is not read.
func exchange(t *testing.T, addr, request string) *http.Response {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(soon)); err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(conn, request)
	got, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: request[:strings.IndexByte(request, ' ')]})
	if err != nil {
		t.Fatalf("%q: %v", request, err)
	}
	got.Body.Close()
	return got
}

func TestANodeKnowsItsCopiesByBothPorts(t *testing.T) {
	n := &StorageNode{Root: "x", Address: "127.0.0.1:7500", GetPort: 7510, Management: managementOff}
	var r refs
	if err := n.provision(caddy.Context{}, "node1", &r, new(metrics.Tallies)); err != nil {
		t.Fatal(err)
	}
	defer r.release()
	var got []string
	for _, at := range []string{"127.0.0.1:7500", "127.0.0.1:7510", "127.0.0.1:751", "127.0.0.1:75100", "127.0.0.2:7500", "127.0.0.1"} {
		if n.holds(mogile.Copy{URL: "http://" + at + "/dev1/0/000/000/0000000001.fid"}) {
			got = append(got, at)
		}
	}
	if want := []string{"127.0.0.1:7500", "127.0.0.1:7510"}; !slices.Equal(got, want) {
		t.Errorf("got %v; want %v", got, want)
	}
	same := &StorageNode{Root: "x", Address: "127.0.0.1:7500", GetPort: 7500, Management: managementOff}
	if err := same.provision(caddy.Context{}, "node1", &r, new(metrics.Tallies)); err == nil || !strings.Contains(err.Error(), "get_port 7500") {
		t.Errorf("the port of address: got %v; want it refused", err)
	}
}
