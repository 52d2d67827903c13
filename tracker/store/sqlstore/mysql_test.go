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

func openMySQL(t testing.TB, m sqlstore.MySQL) store.Store {
	t.Helper()
	s, err := sqlstore.OpenMySQL(t.Context(), m, zap.NewNop())
	if err != nil {
		t.Fatalf("open: got %v; want nil", err)
	}
	return s
}

// onMySQL opens a store in a new database that was created so, over connections with
// the charset.
func onMySQL(how, charset string) func(t *testing.T) store.Store {
	return func(t *testing.T) store.Store {
		return openMySQL(t, sqlstore.MySQL{DSN: database.MariaDB(t).MustCreate(t, how), Charset: charset})
	}
}

func TestMySQLKeepsTheContract(t *testing.T) { storetest.Run(t, onMySQL("", "")) }

func TestKeysInMySQLAreBytewise(t *testing.T) {
	for name, open := range map[string]func(t *testing.T) store.Store{
		"utf8mb4":                  onMySQL("CHARACTER SET utf8mb4", ""),
		"latin1":                   onMySQL("CHARACTER SET latin1", "latin1"),
		"utf8mb4 in latin1 tables": onMySQL("CHARACTER SET latin1", "utf8mb4"),
		"latin1 in utf8mb4 tables": onMySQL("CHARACTER SET utf8mb4", "latin1"),
	} {
		t.Run(name, func(t *testing.T) { storetest.RunBytewise(t, open) })
	}
}

func TestMySQLOutlivesItsProcess(t *testing.T) {
	var mu sync.Mutex
	databases := map[string]string{} // DSN by place; guarded by mu
	storetest.RunPersistent(t, func(t *testing.T, place string) store.Store {
		mu.Lock()
		defer mu.Unlock()
		if databases[place] == "" {
			databases[place] = database.MariaDB(t).MustCreate(t, "")
		}
		return openMySQL(t, sqlstore.MySQL{DSN: databases[place]})
	})
}
