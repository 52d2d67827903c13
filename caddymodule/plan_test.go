package caddymodule

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mogilefs/caddy-mogilefs/cli"
	"github.com/mogilefs/caddy-mogilefs/cli/doctor"
	"github.com/mogilefs/caddy-mogilefs/tests/database"
)

func TestMain(m *testing.M) { database.Main(m) }

func planOf(t *testing.T, text string) *doctor.Plan {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "Caddyfile")
	if err := os.WriteFile(file, []byte(strings.ReplaceAll(text, "DIR", dir)), 0o644); err != nil {
		t.Fatal(err)
	}
	plan, err := readPlan(t.Context(), file, "")
	if err != nil {
		t.Fatal(err)
	}
	return plan
}

func TestAConfigurationBecomesAPlan(t *testing.T) {
	p := planOf(t, `{
	admin off
	mogilefs {
		tracker {
			listen   127.0.0.1:7001 10.0.0.5:7001
			allow    10.0.0.0/24
			database sqlite DIR/mogilefs.db
		}
		storage node1 {
			root       DIR/storage
			devices    1 2
			address    10.0.0.5:7500
			management 10.0.0.5:7501
			write_from cluster 10.1.0.0/16
			durable    off
		}
		storage node2 {
			root       DIR/more
			address    10.0.0.5:7600
			management off
			read_from  private_ranges
		}
	}
}
http://:7500 {
	bind 10.0.0.5
	mogilefs_storage node1
}
http://store.example:7600 {
	bind 127.0.0.1
	mogilefs_storage node2 {
		methods GET
	}
}
http://:8080 {
	basic_auth /private/* {
		me $2a$14$Zkx19XLiW6VYouLHR5NmfOFU0z2GTNmpkT/5qqR7hx4IjWJPDhjvG
	}
	mogilefs images {
		methods GET PUT
	}
}
http://:8081 {
	mogilefs images {
		methods GET DELETE
	}
}
http://:8082 {
	mogilefs images
}
`)
	if p.Refused != nil {
		t.Fatalf("got %v; want that it is taken", p.Refused)
	}
	tr := p.Tracker
	if len(tr.Listen) != 2 || tr.Listen[0].Beyond || !tr.Listen[1].Beyond || len(tr.Allow) != 1 || tr.Database.Engine != "sqlite" {
		t.Errorf("got %+v; want a tracker with two listeners and a range", tr)
	}
	got, err := tr.Database.Vitals(t.Context())
	if err != nil || got["missing"] != "yes" {
		t.Errorf("got %v, %v; want that there is no database yet", got, err)
	}
	one, two := p.Nodes[0], p.Nodes[1]
	if one.Durable || !one.ReadAll || len(one.WriteFrom) != 1 || !one.Management.Beyond || len(one.Declared) != 2 {
		t.Errorf("got %+v; want node1 as it was written", one)
	}
	if !two.Durable || two.ReadAll || two.Management.Address != "" {
		t.Errorf("got %+v; want node2 as it was written", two)
	}
	type kind struct {
		node             string
		beyond           bool
		changes, guarded bool
		hosts            int
	}
	var kinds []kind
	for _, s := range p.Sites {
		kinds = append(kinds, kind{s.Node, s.Listen[0].Beyond, s.Changes, s.Guarded, len(s.Hosts)})
	}
	for _, want := range []kind{
		{"node1", true, false, false, 0}, {"node2", false, false, false, 1},
		{"", true, true, true, 0}, {"", true, true, false, 0}, {"", true, false, false, 0},
	} {
		if !slices.Contains(kinds, want) {
			t.Errorf("got sites %+v; want %+v among them", kinds, want)
		}
	}
}

func TestAConfigurationThatCaddyRefusesIsAPlanThatSaysSo(t *testing.T) {
	p := planOf(t, `{
	mogilefs {
		storage node1 {
			root DIR/storage
			address nowhere
		}
	}
}
`)
	if p.Refused == nil || !strings.Contains(p.Refused.Error(), "address nowhere") {
		t.Errorf("got %v; want that the address is refused", p.Refused)
	}
	if _, err := readPlan(t.Context(), filepath.Join(t.TempDir(), "none"), ""); err == nil {
		t.Error("a file that is not there: got nil; want an error")
	}
}

func TestAJSONConfigurationIsReadAsItIs(t *testing.T) {
	p := planOf(t, `{"admin": {"listen": "0.0.0.0:2019"}, "apps": {"mogilefs": {"tracker": {"listen": ["tls://0.0.0.0:7002"], "database": {"engine": "mysql", "dsn": "mogile:hush@tcp(db1:3306)/mogilefs"}}}}}`)
	if !p.Admin.Beyond || !p.Tracker.Listen[0].TLS || p.Tracker.Database.Connections != 32 || strings.Contains(p.Tracker.Database.Name, "hush") {
		t.Errorf("got %+v and %+v; want an open admin endpoint, TLS, and a name without the password", p.Admin, p.Tracker)
	}
	if p.Refused == nil {
		t.Error("TLS without a certificate: got nil; want a refusal")
	}
}

// examine has doctor look at a Caddyfile whose tracker has a database, and returns what it
// writes.
func examine(t *testing.T, line string) (text string, code int) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "Caddyfile")
	if err := os.WriteFile(file, []byte("{\n\tmogilefs {\n\t\ttracker {\n\t\t\t"+line+"\n\t\t}\n\t}\n}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	env := cli.Env{Stdout: &out, Stderr: &errs, Program: "caddy mogilefs"}
	code = cli.Run(t.Context(), env, cli.Root(readPlan), []string{"doctor", "--config=" + file})
	if errs.Len() > 0 {
		t.Errorf("got %q on stderr; want nothing", errs.String())
	}
	return out.String(), code
}

func TestDoctorFindsWhatIsWrongWithARealDatabase(t *testing.T) {
	maria := database.OwnMariaDB(t, "--innodb-flush-log-at-trx-commit=2", "--max-connections=40", "--wait-timeout=33",
		"--log-bin=bin", "--server-id=1", "--binlog-format=STATEMENT", "--sync-binlog=0", "--max-allowed-packet=1048576")
	postgres := database.OwnPostgres(t, "-c", "fsync=off", "-c", "full_page_writes=off", "-c", "max_connections=30",
		"-c", "default_transaction_isolation=serializable")
	for line, want := range map[string][]string{
		`database mysql "` + maria.MustCreate(t, "") + `"`: {
			"fail  database innodb_flush_log_at_trx_commit: 2, want 1", "warn  database sync_binlog: 0, want 1", "warn  database binlog_format: STATEMENT",
			"warn  database max_connections: 40, want 43", "warn  database max_allowed_packet: 1048576", "warn  database wait_timeout: 33", "ok    clock of the database",
		},
		`database postgres "` + postgres.MustCreate(t, "") + `"`: {
			"fail  database fsync: off", "warn  database full_page_writes: off", "warn  database max_connections: 30", "warn  database default_transaction_isolation: serializable",
		},
		"database mysql mogile@tcp(127.0.0.1:1)/mogilefs": {"fail  database: mysql tcp 127.0.0.1:1/mogilefs: "},
	} {
		text, code := examine(t, line)
		for _, w := range want {
			if !strings.Contains(text, w) {
				t.Errorf("%s: got %s; want %q in it", line, text, w)
			}
		}
		if code != 2 {
			t.Errorf("%s: got exit code %d; want 2", line, code)
		}
	}
}
