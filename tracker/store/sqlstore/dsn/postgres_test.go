package dsn

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

// FuzzPostgresPerlDSN: whatever the attributes are, the driver gets the same values.
func FuzzPostgresPerlDSN(f *testing.F) {
	f.Add("mogilefs", "db1")
	f.Add(`a'b\c`, "x y")
	f.Add("", "=")
	f.Fuzz(func(t *testing.T, name, host string) {
		Libpq("DBI:Pg:" + name) // anything at all
		if strings.ContainsAny(name+host, ";\x00\"'") || strings.TrimSpace(name) != name || strings.TrimSpace(host) != host {
			return
		}
		if strings.ContainsAny(host, ",/") || name == "" || host == "" || strings.HasPrefix(host, "@") {
			return // several hosts, or a socket
		}
		config, err := pgx.ParseConfig(Libpq("DBI:Pg:dbname=" + name + ";host=" + host))
		if err != nil {
			return // no host has such a name
		}
		if config.Database != name || config.Host != host {
			t.Errorf("database %q on %q: got %q on %q", name, host, config.Database, config.Host)
		}
	})
}
