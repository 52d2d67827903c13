package dsn

import (
	"strings"
	"testing"

	"github.com/go-sql-driver/mysql"
)

func TestADSNOfMySQLIsUnderstood(t *testing.T) {
	for dsn, want := range map[string]string{
		"DBI:mysql:mogilefs":                                      "tcp localhost:3306/mogilefs",
		"DBI:mysql:mogilefs:host=db1":                             "tcp db1:3306/mogilefs",
		"DBI:mysql:mogilefs:host=db1;port=3307":                   "tcp db1:3307/mogilefs",
		"dbi:mysql:database=mogilefs;hostname=db1":                "tcp db1:3306/mogilefs",
		"DBI:mysql:dbname=mogilefs:host=10.0.0.1:port=3307":       "tcp 10.0.0.1:3307/mogilefs",
		"DBI:mysql:mogilefs:db1:3307":                             "tcp db1:3307/mogilefs",
		"DBI:mysql:mogilefs;host=[2001:db8::1];port=3307":         "tcp [2001:db8::1]:3307/mogilefs",
		"DBI:mysql:mogilefs;mysql_socket=/run/mysqld/mysqld.sock": "unix /run/mysqld/mysqld.sock/mogilefs",
		"DBI:mysql:mogilefs;host=db1;mysql_auto_reconnect=1":      "tcp db1:3306/mogilefs",
		"DBI:mysql:mogilefs;host=db1;mysql_enable_utf8=1":         "tcp db1:3306/mogilefs utf8",
		"DBI:mysql:mogilefs;host=db1;mysql_enable_utf8mb4=1":      "tcp db1:3306/mogilefs utf8mb4",
		"DBI:mysql:mogilefs;host=db1;mysql_ssl=0":                 "tcp db1:3306/mogilefs",
		"tcp(db1)/mogilefs?tls=true&charset=latin1":               "tcp db1:3306/mogilefs latin1",
		"me:p/ss?charset=@unix(/run/db.sock)/mogilefs":            "unix /run/db.sock/mogilefs",
	} {
		config, charset, err := MySQL(dsn)
		if err != nil {
			t.Errorf("%s: got %v; want nil", dsn, err)
			continue
		}
		if got := strings.TrimSpace(config.Net + " " + config.Addr + "/" + config.DBName + " " + charset); got != want {
			t.Errorf("%s: got %q; want %q", dsn, got, want)
		}
	}
}

func TestAPerlDSNThatMeansMoreIsRefused(t *testing.T) {
	for _, dsn := range []string{
		"DBI:mysql:mogilefs;host=db1;mysql_ssl=1",
		"DBI:mysql:mogilefs;host=db1;mysql_ssl_ca_file=/etc/ca.pem",
		"DBI:mysql:mogilefs;mysql_read_default_file=/etc/my.cnf",
	} {
		if _, _, err := MySQL(dsn); err == nil || !strings.Contains(err.Error(), "tls=true") {
			t.Errorf("%s: got %v; want an error with the way out", dsn, err)
		}
	}
}

// FuzzPerlDSNOfMySQL: what is understood names a server and nothing else.
func FuzzPerlDSNOfMySQL(f *testing.F) {
	for _, seed := range []string{
		"mogilefs:host=db1;port=3306", "a;mysql_socket=/x", "[::1]", "database=a?b=c/d", "=;:;=", "mysql_enable_utf8mb4=1", "0;@(0",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, rest string) {
		got, charset, err := MySQL("DBI:mysql:" + rest)
		if err != nil {
			return
		}
		want := mysql.NewConfig()
		want.Net, want.Addr, want.DBName = got.Net, got.Addr, got.DBName
		if charset != "" {
			if err := want.Apply(mysql.Charset(charset, "")); err != nil {
				t.Fatal(err)
			}
		}
		if got.FormatDSN() != want.FormatDSN() || got.Addr == "" {
			t.Errorf("%q: got %q; want a server and a database only", rest, got.FormatDSN())
		}
	})
}
