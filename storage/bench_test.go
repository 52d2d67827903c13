package storage_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// client keeps enough connections for a benchmark.
func client() *http.Client {
	return &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 128}}
}

func BenchmarkGet30KiB(b *testing.B) {
	s := newServer(b)
	const size = 30 << 10
	s.mustPut(b, fidPath, strings.Repeat("x", size))
	c := client()
	b.SetBytes(size)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			resp, err := c.Get(s.url + fidPath)
			if err != nil {
				b.Error(err)
				return
			}
			if n, err := io.Copy(io.Discard, resp.Body); n != size || err != nil {
				b.Errorf("got %d bytes, %v; want %d", n, err, size)
			}
			resp.Body.Close()
		}
	})
}

func BenchmarkDurablePut4KiB(b *testing.B) {
	s := newServer(b)
	body := bytes.Repeat([]byte("x"), 4<<10)
	c := client()
	var fid atomic.Int64
	b.SetBytes(int64(len(body)))
	b.SetParallelism(16)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			path := fmt.Sprintf("/dev1/0/000/%03d/x%d", fid.Add(1)%8, fid.Load())
			r, err := http.NewRequest("PUT", s.url+path, bytes.NewReader(body))
			if err != nil {
				b.Error(err)
				return
			}
			resp, err := c.Do(r)
			if err != nil {
				b.Error(err)
				return
			}
			resp.Body.Close()
			if resp.StatusCode != http.StatusCreated {
				b.Errorf("got %d; want 201", resp.StatusCode)
			}
		}
	})
}

// discard is a ResponseWriter that costs nothing, to count what the handler costs.
type discard struct{ h http.Header }

func (d discard) Header() http.Header         { return d.h }
func (d discard) Write(p []byte) (int, error) { return len(p), nil }
func (d discard) WriteHeader(int)             {}
func (d discard) ReadFrom(io.Reader) (int64, error) {
	return 1, nil // the whole file
}

// settled is after what time a file that is read over and over is kept open.
const settled = 1500 * time.Millisecond

func BenchmarkGetHandler(b *testing.B) {
	s := newServer(b)
	s.mustPut(b, fidPath, "x")
	r, err := http.NewRequest("GET", fidPath, nil)
	if err != nil {
		b.Fatal(err)
	}
	for began := time.Now(); time.Since(began) < settled; {
		s.ServeHTTP(discard{make(http.Header)}, r)
	}
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		w := discard{make(http.Header)}
		for pb.Next() {
			s.ServeHTTP(w, r)
		}
	})
}
