package client_test

import (
	"net"
	"testing"

	"github.com/mogilefs/caddy-mogilefs/tracker/client"
	"github.com/mogilefs/caddy-mogilefs/tracker/protocol"
)

// The fake's own work is in these figures.

func benchClient(b *testing.B) *client.Client {
	f := newFake(b)
	f.on("get_paths", func(net.Conn, string) bool { return true })
	f.on("file_info", say("OK paths=2&path1="+url1+"&path2="+url2, info7))
	c := newClient(b, addrs(f))
	b.ReportAllocs()
	return c
}

func BenchmarkNoop(b *testing.B) {
	c := benchClient(b)
	for b.Loop() {
		if _, err := c.Do(b.Context(), "noop", protocol.Pairs{}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkLocate(b *testing.B) {
	c := benchClient(b)
	b.SetParallelism(32)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := c.Locate(b.Context(), "images", "k", client.MainZone); err != nil {
				b.Error(err)
			}
		}
	})
}
