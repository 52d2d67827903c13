package sqlstore_test

import (
	"sync"
	"testing"

	"go.uber.org/zap"

	"github.com/mogilefs/caddy-mogilefs/tests/database"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
	"github.com/mogilefs/caddy-mogilefs/tracker/store/sqlstore"
	"github.com/mogilefs/caddy-mogilefs/tracker/store/storetest"
)

// sqlASCII is a database that takes every byte for what it is.
const sqlASCII = "ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"

func openPostgres(t testing.TB, p sqlstore.Postgres) store.Store {
	t.Helper()
	s, err := sqlstore.OpenPostgres(t.Context(), p, zap.NewNop())
	if err != nil {
		t.Fatalf("open: got %v; want nil", err)
	}
	return s
}

// onPostgres opens a store in a new database that was created so.
func onPostgres(how string) func(t *testing.T) store.Store {
	return func(t *testing.T) store.Store {
		return openPostgres(t, sqlstore.Postgres{DSN: database.Postgres(t).MustCreate(t, how)})
	}
}

func TestPostgresKeepsTheContract(t *testing.T) { storetest.Run(t, onPostgres("")) }

func TestNumbersInPostgresAreWide(t *testing.T) { storetest.RunWide(t, onPostgres("")) }

func TestKeysInPostgresAreBytewise(t *testing.T) {
	for name, how := range map[string]string{
		"UTF8": "", "SQL_ASCII": sqlASCII,
		"LATIN1": "ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0",
		"ICU":    "ENCODING 'UTF8' LOCALE_PROVIDER icu ICU_LOCALE 'en-US' TEMPLATE template0",
	} {
		t.Run(name, func(t *testing.T) { storetest.RunBytewise(t, onPostgres(how)) })
	}
}

func TestPostgresOutlivesItsProcess(t *testing.T) {
	var mu sync.Mutex
	databases := map[string]string{} // DSN by place; guarded by mu
	storetest.RunPersistent(t, func(t *testing.T, place string) store.Store {
		mu.Lock()
		defer mu.Unlock()
		if databases[place] == "" {
			databases[place] = database.Postgres(t).MustCreate(t, "")
		}
		return openPostgres(t, sqlstore.Postgres{DSN: databases[place]})
	})
}
