package sqlstore

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	dbtest "github.com/mogilefs/caddy-mogilefs/tests/database"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
)

// benchClients is how many wait for the database at the same time.
const benchClients = 64

// BenchmarkPostgres is what the hot commands ask of a server that syncs every commit.
func BenchmarkPostgres(b *testing.B) {
	server := dbtest.OwnPostgres(b, "-c", "fsync=on")
	s := mustPostgres(b, Postgres{DSN: server.MustCreate(b, "")})
	if _, err := s.CreateDomain(b.Context(), "images"); err != nil {
		b.Fatal(err)
	}
	key := func(kind string, i int64) mogile.Key { return mogile.Key(fmt.Sprintf("%s/%d.jpg", kind, i)) }
	open := func(k mogile.Key) (mogile.FID, error) {
		return s.OpenUpload(b.Context(), store.Upload{Domain: 1, Key: k, Devices: []mogile.DevID{1, 2}})
	}
	closeAs := func(fid mogile.FID, k mogile.Key) error {
		_, err := s.CloseUpload(b.Context(), store.Closing{FID: fid, Dev: 1, Domain: 1, Key: k, Length: 1})
		return err
	}
	put := func(k mogile.Key) error {
		fid, err := open(k)
		if err == nil {
			err = closeAs(fid, k)
		}
		return err
	}
	const files = 1000
	b.Run("Locate", func(b *testing.B) {
		inParallel(b, files, func(i int64) error { return put(key("read", i)) }, int64(b.N), func(i int64) error {
			_, _, _, err := s.Locate(b.Context(), 1, key("read", i%files))
			return err
		})
	})
	b.Run("OpenUpload", func(b *testing.B) {
		inParallel(b, 0, nil, int64(b.N), func(i int64) error {
			_, err := open(key("open", i))
			return err
		})
	})
	b.Run("CloseUpload", func(b *testing.B) {
		fids := make([]mogile.FID, b.N)
		inParallel(b, int64(b.N), func(i int64) (err error) {
			fids[i], err = open(key(b.Name(), i))
			return err
		}, int64(b.N), func(i int64) error { return closeAs(fids[i], key(fmt.Sprint("close", b.N), i)) })
	})
	b.Run("Delete", func(b *testing.B) {
		name := fmt.Sprint("delete", b.N)
		inParallel(b, int64(b.N), func(i int64) error { return put(key(name, i)) }, int64(b.N), func(i int64) error {
			_, err := s.Delete(b.Context(), 1, key(name, i))
			return err
		})
	})
}

// inParallel does first things, then n that are measured, by benchClients at once.
func inParallel(b *testing.B, first int64, prepare func(i int64) error, n int64, do func(i int64) error) {
	b.Helper()
	run := func(n int64, do func(i int64) error) {
		var next atomic.Int64
		done := make(chan error, benchClients)
		for range benchClients {
			go func() {
				for {
					i := next.Add(1) - 1
					if i >= n {
						done <- nil
						return
					}
					if err := do(i); err != nil {
						done <- err
						return
					}
				}
			}()
		}
		for range benchClients {
			if err := <-done; err != nil {
				b.Error(err)
			}
		}
	}
	run(first, prepare)
	b.ResetTimer()
	run(n, do)
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "ops/s")
}
