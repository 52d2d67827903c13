package caddymodule_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/mogilefs/caddy-mogilefs/caddymodule"
)

func TestMySQLIsKnownByItsServerAndDatabase(t *testing.T) {
	t.Setenv("DB_HOST", "db1")
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("hush"), 0o600); err != nil {
		t.Fatal(err)
	}
	for dsn, want := range map[string]string{
		"tcp({env.DB_HOST})/mogilefs":                       "mysql tcp db1:3306/mogilefs",
		"me:hush@tcp(db1:3307)/mogilefs":                    "mysql tcp db1:3307/mogilefs",
		"me:hush@tcp(db1)/mogilefs?tls=true&charset=latin1": "mysql tcp db1:3306/mogilefs",
		"unix(/run/mysqld/mysqld.sock)/mogilefs":            "mysql unix /run/mysqld/mysqld.sock/mogilefs",
		"DBI:mysql:mogilefs:host=db1;port=3307":             "mysql tcp db1:3307/mogilefs",
	} {
		m := &caddymodule.MySQL{DSN: dsn, User: "mogile", Password: "{file." + secret + "}"}
		if err := m.Provision(caddy.Context{}); err != nil {
			t.Errorf("provision %s: got %v; want nil", dsn, err)
		}
		if got := m.Identity(); got != want {
			t.Errorf("identity of %s: got %q; want %q", dsn, got, want)
		}
		if m.Password != "hush" {
			t.Errorf("password: got %q; want what is in the file", m.Password)
		}
	}
}

func TestMySQLRefusesWhatCannotWork(t *testing.T) {
	for want, m := range map[string]*caddymodule.MySQL{
		"dsn is missing":    {},
		"invalid DSN":       {DSN: "me:hush@tcp(db1"},
		"names no database": {DSN: "me:hush@tcp(db1)/"},
		"negative":          {DSN: "tcp(db1)/mogilefs", Connections: -1},
		"mysql_ssl":         {DSN: "DBI:mysql:mogilefs;host=db1;mysql_ssl=1"},
		"{env.":             {DSN: "tcp({env.THERE_IS_NONE})/mogilefs"},
	} {
		err := m.Provision(caddy.Context{})
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hush") {
			t.Errorf("provision %+v: got %v; want an error with %q, without the password", m, err, want)
		}
	}
}
