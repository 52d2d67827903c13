package caddymodule_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/mogilefs/caddy-mogilefs/caddymodule"
)

func TestPostgresIsKnownByItsServersAndDatabase(t *testing.T) {
	t.Setenv("DB_HOST", "db1")
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("hush"), 0o600); err != nil {
		t.Fatal(err)
	}
	for dsn, want := range map[string]string{
		"postgres://{env.DB_HOST}/mogilefs":              "postgres db1:5432/mogilefs",
		"postgres://me:hush@db1,db2:5433/mogilefs":       "postgres db1:5432,db2:5433/mogilefs",
		"host=db1 dbname=mogilefs password=hush":         "postgres db1:5432/mogilefs",
		"DBI:Pg:dbname=mogilefs;host=db1;port=5433":      "postgres db1:5433/mogilefs",
		"postgres://db1/mogilefs?sslmode=verify-full":    "postgres db1:5432/mogilefs",
		"postgres:///mogilefs?host=/run/postgresql":      "postgres /run/postgresql:5432/mogilefs",
		"postgres://db1/mogilefs?application_name=other": "postgres db1:5432/mogilefs",
	} {
		p := &caddymodule.Postgres{DSN: dsn, User: "mogile", Password: "{file." + secret + "}"}
		if err := p.Provision(caddy.Context{}); err != nil {
			t.Errorf("provision %s: got %v; want nil", dsn, err)
		}
		if got := p.Identity(); got != want {
			t.Errorf("identity of %s: got %q; want %q", dsn, got, want)
		}
		if p.Password != "hush" {
			t.Errorf("password: got %q; want what is in the file", p.Password)
		}
	}
}

func TestPostgresRefusesWhatCannotWork(t *testing.T) {
	for want, p := range map[string]*caddymodule.Postgres{
		"dsn is missing": {},
		"cannot parse":   {DSN: "postgres://db1:port/mogilefs"},
		"negative":       {DSN: "postgres://db1/mogilefs", Connections: -1},
		"{env.":          {DSN: "postgres://{env.THERE_IS_NONE}/mogilefs"},
	} {
		if err := p.Provision(caddy.Context{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("provision %+v: got %v; want an error with %q", p, err, want)
		}
	}
	p := &caddymodule.Postgres{DSN: "postgres://me:hush@db1:port/mogilefs"}
	if err := p.Provision(caddy.Context{}); err == nil || strings.Contains(err.Error(), "hush") {
		t.Errorf("provision: got %v; want an error without the password", err)
	}
}
