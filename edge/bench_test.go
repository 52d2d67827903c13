package edge_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"

	"github.com/mogilefs/caddy-mogilefs/mogile"
)

// BenchmarkGet30KiB reads a file of the size of most images over a kept connection:
// from a local disk, from a node, and, to compare, through http.ServeFile.
func BenchmarkGet30KiB(b *testing.B) {
	const length = 30 << 10
	h := build(b)
	content := noise(length)
	n := newNode(b, 1)
	fid := h.tracker.add("remote.jpg", content, n)
	h.disks.put(b, fid, content)
	h.tracker.set("local.jpg", mogile.Location{FID: fid, Length: length, Copies: []mogile.Copy{h.disks.copyOf(fid)}})
	ours := h.srv.Config.Handler
	h.srv.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/peer.jpg" {
			http.ServeFile(w, r, h.disks.path(fid))
			return
		}
		ours.ServeHTTP(w, r)
	})
	for _, name := range []string{"local", "remote", "peer"} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(length)
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) { requests(b, pb, h.srv.Listener.Addr().String(), name+".jpg") })
		})
	}
}

// requests asks with as little of a client as possible.
func requests(b *testing.B, pb *testing.PB, addr, path string) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		b.Error(err)
		return
	}
	defer conn.Close()
	r := bufio.NewReader(conn)
	for pb.Next() {
		fmt.Fprintf(conn, "GET /%s HTTP/1.1\r\nHost: x\r\n\r\n", path)
		resp, err := http.ReadResponse(r, nil)
		if err != nil || resp.StatusCode != http.StatusOK {
			b.Errorf("got %+v, %v; want 200", resp, err)
			return
		}
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			b.Error(err)
			return
		}
	}
}
