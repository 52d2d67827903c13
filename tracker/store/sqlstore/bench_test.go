package sqlstore_test

import (
	"fmt"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
)

func uploadCycle(b *testing.B, s store.Store, key mogile.Key) {
	fid, err := s.OpenUpload(b.Context(), store.Upload{Domain: 1, Key: key, Devices: []mogile.DevID{1, 2}})
	if err == nil {
		_, err = s.CloseUpload(b.Context(), store.Closing{FID: fid, Dev: 1, Domain: 1, Key: key, Length: 1})
	}
	if err != nil {
		b.Fatalf("upload %q: got %v; want nil", key, err)
	}
}

// openForUploads has the domain that uploadCycle uses.
func openForUploads(b *testing.B) store.Store {
	s := openPath(b, filepath.Join(b.TempDir(), "mogilefs.db"))
	if _, err := s.CreateDomain(b.Context(), "d"); err != nil {
		b.Fatal(err)
	}
	return s
}

func BenchmarkLocate(b *testing.B) {
	s := openForUploads(b)
	defer s.Close()
	const files = 1000
	keys := make([]mogile.Key, files)
	for i := range keys {
		keys[i] = mogile.Key(fmt.Sprintf("images/%d.jpg", i))
		uploadCycle(b, s, keys[i])
	}
	var n atomic.Int64
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			key := keys[n.Add(1)%files]
			if _, _, _, err := s.Locate(b.Context(), 1, key); err != nil {
				b.Errorf("locate %q: got %v; want nil", key, err)
			}
		}
	})
}

// BenchmarkUploadCycle is an upload as the database sees it: opened and closed, each
// durable. Many at once share the commits.
func BenchmarkUploadCycle(b *testing.B) {
	for _, clients := range []int{1, 16, 64} {
		b.Run(fmt.Sprintf("clients=%d", clients), func(b *testing.B) {
			s := openForUploads(b)
			defer s.Close()
			var n atomic.Int64
			b.SetParallelism(clients)
			b.ReportAllocs()
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					uploadCycle(b, s, mogile.Key(fmt.Sprintf("images/%d.jpg", n.Add(1))))
				}
			})
		})
	}
}

// BenchmarkClaimNothing is a poll: nearly all that trackers ask.
func BenchmarkClaimNothing(b *testing.B) {
	s := openPath(b, ":memory:")
	defer s.Close()
	b.ReportAllocs()
	for b.Loop() {
		if items, err := s.Claim(b.Context(), store.ReplicateQueue, 100, time.Minute); err != nil || len(items) > 0 {
			b.Fatalf("got %v, %v; want none", items, err)
		}
	}
}
