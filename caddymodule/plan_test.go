package caddymodule

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mogilefs/caddy-mogilefs/cli/doctor"
)

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
