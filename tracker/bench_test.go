package tracker

import (
	"runtime"
	"testing"
)

// benchClients is a small front end's worth of connections.
const benchClients = 16

func BenchmarkGetPaths(b *testing.B) {
	c := newCluster(b, limits{})
	setup := c.dial(b)
	setup.send("create_open domain=images&key=k\n")
	setup.line()
	if _, err := c.node.do(b.Context(), "PUT", "http://10.0.0.1:7500/dev1/0/000/000/0000000001.fid", "hello"); err != nil {
		b.Fatal(err)
	}
	setup.want("create_close domain=images&key=k&fid=1&devid=1&path=http://10.0.0.1:7500/dev1/0/000/000/0000000001.fid", "OK ")

	b.ReportAllocs()
	b.SetParallelism(max(benchClients/runtime.GOMAXPROCS(0), 1))
	b.RunParallel(func(pb *testing.PB) {
		client := c.dial(b)
		for pb.Next() {
			client.want("get_paths domain=images&key=k&noverify=1", "OK paths=1&path1=http://10.0.0.1:7500/dev1/0/000/000/0000000001.fid")
		}
	})
}

// BenchmarkAnswer is what the tracker itself does for the cheapest of requests, between
// the system calls that read and write it.
func BenchmarkAnswer(b *testing.B) {
	c := newCluster(b, limits{}).server.conversation()
	line, answer := []byte("noop"), make([]byte, 0, keepAnswer)
	b.ReportAllocs()
	for b.Loop() {
		if got, _ := c.answer(answer, line); len(got) != len("OK \r\n") {
			b.Fatalf("got %q; want OK", got)
		}
	}
}
