package sqlstore

import (
	"testing"

	"go.uber.org/zap"

	dbtest "github.com/mogilefs/caddy-mogilefs/tests/database"
)

// mustPostgres opens a store that ends with the test.
func mustPostgres(t testing.TB, p Postgres) *Store {
	t.Helper()
	s, err := OpenPostgres(t.Context(), p, zap.NewNop())
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

// newPostgres is where a new database on the shared server is.
func newPostgres(t testing.TB) Postgres {
	t.Helper()
	return Postgres{DSN: dbtest.Postgres(t).MustCreate(t, "")}
}

func TestRivalsForAKeyInPostgres(t *testing.T) { testRivals(t, mustPostgres(t, newPostgres(t))) }

func TestRivalsForAKeyInSQLite(t *testing.T) { testRivals(t, mustOpen(t, memory)) }
