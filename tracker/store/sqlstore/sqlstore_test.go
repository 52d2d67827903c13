package sqlstore_test

import (
	"path/filepath"
	"testing"

	"go.uber.org/zap"

	"github.com/mogilefs/caddy-mogilefs/tracker/store"
	"github.com/mogilefs/caddy-mogilefs/tracker/store/sqlstore"
	"github.com/mogilefs/caddy-mogilefs/tracker/store/storetest"
)

func openPath(t testing.TB, path string) store.Store {
	t.Helper()
	s, err := sqlstore.OpenSQLite(t.Context(), path, zap.NewNop())
	if err != nil {
		t.Fatalf("open %s: got %v; want nil", path, err)
	}
	return s
}

func openFile(t *testing.T) store.Store {
	return openPath(t, filepath.Join(t.TempDir(), "new", "mogilefs.db"))
}

func openMemory(t *testing.T) store.Store { return openPath(t, ":memory:") }

func TestFileStoreKeepsTheContract(t *testing.T) { storetest.Run(t, openFile) }

func TestMemoryStoreKeepsTheContract(t *testing.T) { storetest.Run(t, openMemory) }

func TestNumbersAreWide(t *testing.T) { storetest.RunWide(t, openFile) }

func TestKeysAreBytewise(t *testing.T) { storetest.RunBytewise(t, openFile) }

func TestFileStoreOutlivesItsProcess(t *testing.T) {
	storetest.RunPersistent(t, func(t *testing.T, place string) store.Store {
		return openPath(t, filepath.Join(place, "mogilefs.db"))
	})
}
