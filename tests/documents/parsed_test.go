package documents

import (
	"database/sql"
	"encoding/json"
	"strings"
	"testing"

	_ "github.com/go-sql-driver/mysql" // the driver
	"go.uber.org/zap"
	"go.yaml.in/yaml/v3"

	"github.com/mogilefs/caddy-mogilefs/tests/database"
	"github.com/mogilefs/caddy-mogilefs/tracker/store/sqlstore"
)

// TestEveryQueryOfThePagesRuns asks a MariaDB with the tables.
func TestEveryQueryOfThePagesRuns(t *testing.T) {
	dsn := database.MariaDB(t).MustCreate(t, "")
	store, err := sqlstore.OpenMySQL(t.Context(), sqlstore.MySQL{DSN: dsn}, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("mysql", dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	n := 0
	for _, b := range all(t, "sql") {
		if b.excuse != "" {
			continue
		}
		for _, statement := range strings.Split(withoutComments(b.text), ";") {
			if statement = strings.TrimSpace(statement); statement == "" {
				continue
			}
			n++
			rows, err := db.QueryContext(t.Context(), statement)
			if err != nil {
				t.Errorf("%s: %s: %v", b, statement, err)
				continue
			}
			rows.Close()
		}
	}
	if n == 0 {
		t.Error("got no statements; want those of all pages")
	}
}

func withoutComments(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		code, _, _ := strings.Cut(line, "--")
		b.WriteString(code + "\n")
	}
	return b.String()
}

func TestWhatIsJSONOrYAMLCanBeParsed(t *testing.T) {
	for _, b := range all(t, "json") {
		var v any
		if err := json.Unmarshal([]byte(b.text), &v); b.excuse == "" && err != nil {
			t.Errorf("%s: %v", b, err)
		}
	}
	for _, b := range all(t, "yaml") {
		var v any
		if err := yaml.Unmarshal([]byte(b.text), &v); b.excuse == "" && err != nil {
			t.Errorf("%s: %v", b, err)
		}
	}
}
