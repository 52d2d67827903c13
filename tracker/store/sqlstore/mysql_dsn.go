package sqlstore

import (
	"cmp"
	"fmt"
	"net"
	"strings"

	"github.com/go-sql-driver/mysql"
)

// perlMySQL begins the DSN of a Perl tracker, in any case.
const perlMySQL = "dbi:mysql:"

// goDSN turns a Perl DSN (docs/spec/schema.md §2.4), "DBI:mysql:mogilefs:host=db1", into
// the Go driver's words. Any other is returned as it is.
func goDSN(dsn string) (string, error) {
	if len(dsn) < len(perlMySQL) || !strings.EqualFold(dsn[:len(perlMySQL)], perlMySQL) {
		return dsn, nil
	}
	config := mysql.NewConfig()
	var host, port string
	for i, attribute := range strings.FieldsFunc(dsn[len(perlMySQL):], func(r rune) bool { return r == ':' || r == ';' }) {
		name, value, ok := strings.Cut(strings.TrimSpace(attribute), "=")
		switch {
		case !ok && i == 0:
			config.DBName = name
		case !ok:
			return "", fmt.Errorf("the Perl DSN has %q, which is no name=value", attribute)
		case name == "database" || name == "dbname" || name == "db":
			config.DBName = value
		case name == "host" || name == "hostname":
			host = value
		case name == "port":
			port = value
		case name == "mysql_socket":
			config.Net, config.Addr = "unix", value
		}
		// The others are the Perl driver's own.
	}
	if config.Net != "unix" {
		// The Perl driver means a socket by localhost, wherever its library looks for it.
		config.Net, config.Addr = "tcp", net.JoinHostPort(cmp.Or(host, "localhost"), cmp.Or(port, "3306"))
	}
	return config.FormatDSN(), nil
}
