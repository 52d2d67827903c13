package sqlstore

import (
	"context"
	"database/sql"
	"os"
	"path/filepath"
	"testing"

	"go.uber.org/zap"
)

// These tests write what other programs and earlier times leave in a database.

func mustOpen(t *testing.T, path string) *Store {
	t.Helper()
	s, err := OpenSQLite(t.Context(), path, zap.NewNop())
	if err != nil {
		t.Fatalf("open %s: got %v; want nil", path, err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close %s: got %v; want nil", path, err)
		}
	})
	return s
}

// raw runs statements in a store's database.
func raw(t *testing.T, s *Store, texts ...string) {
	t.Helper()
	for _, text := range texts {
		err := s.db.write(context.Background(), func(tx *tx) error {
			_, err := tx.exec(text)
			return err
		})
		if err != nil {
			t.Fatalf("%s: got %v; want nil", text, err)
		}
	}
}

// number reads one number from a store's database.
func number(t *testing.T, s *Store, text string) (n int64) {
	t.Helper()
	err := s.db.read(context.Background(), func(tx *tx) error { return tx.row(text).Scan(&n) })
	if err != nil {
		t.Fatalf("%s: got %v; want nil", text, err)
	}
	return n
}

// foreign makes an SQLite file with other means than this package's.
func foreign(t *testing.T, texts ...string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "foreign.db")
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, text := range texts {
		if _, err := db.Exec(text); err != nil {
			t.Fatalf("%s: got %v; want nil", text, err)
		}
	}
	return path
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
