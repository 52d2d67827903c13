package sqlstore

import (
	"fmt"
	"testing"

	"go.uber.org/zap"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	dbtest "github.com/mogilefs/caddy-mogilefs/tests/database"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
)

// BenchmarkMySQL is what the hot commands ask of a server that syncs every commit.
func BenchmarkMySQL(b *testing.B) {
	server := dbtest.OwnMariaDB(b, "--innodb-flush-log-at-trx-commit=1", "--innodb-log-file-size=256M", "--innodb-buffer-pool-size=512M")
	s := mustMySQL(b, MySQL{DSN: server.MustCreate(b, "")})
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

func mustMySQL(t testing.TB, m MySQL) *Store {
	t.Helper()
	s, err := OpenMySQL(t.Context(), m, zap.NewNop())
	if err != nil {
		t.Fatalf("open: got %v; want nil", err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: got %v; want nil", err)
		}
	})
	return s
}
