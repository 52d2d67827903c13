// Package dsn understands what says where a database is, in the words of the Go drivers and
// in those of a Perl tracker (docs/spec/schema.md §2.4). It connects to nothing.
package dsn

import (
	"cmp"
	"fmt"
	"net"
	"net/url"
	"strings"

	"github.com/go-sql-driver/mysql"
)

// perlMySQL begins the DSN of a Perl tracker, in any case.
const perlMySQL = "dbi:mysql:"

// MySQL understands the Go driver's DSN and a Perl tracker's (docs/spec/schema.md
// §2.4), "DBI:mysql:mogilefs:host=db1". charset is the one that it names, or empty.
func MySQL(dsn string) (config *mysql.Config, charset string, err error) {
	if len(dsn) >= len(perlMySQL) && strings.EqualFold(dsn[:len(perlMySQL)], perlMySQL) {
		p := perlAttributes{}
		for _, attribute := range splitPerl(dsn[len(perlMySQL):]) {
			p.set(attribute)
		}
		if config, err = p.config(); err == nil && p.charset() != "" {
			err = config.Apply(mysql.Charset(p.charset(), ""))
		}
		return config, p.charset(), err
	}
	if config, err = mysql.ParseDSN(dsn); err != nil {
		return nil, "", err
	}
	// The driver keeps it to itself.
	if _, options, ok := strings.Cut(dsn[strings.LastIndexByte(dsn, '/')+1:], "?"); ok {
		values, err := url.ParseQuery(options)
		return config, values.Get("charset"), err
	}
	return config, "", nil
}

// splitPerl splits at colons and semicolons, but for those in brackets, which an IPv6
// address has.
func splitPerl(text string) []string {
	var inside bool
	return strings.FieldsFunc(text, func(r rune) bool {
		switch r {
		case '[':
			inside = true
		case ']':
			inside = false
		case ':', ';':
			return !inside
		}
		return false
	})
}

// perlAttributes are those of a Perl DSN by name.
type perlAttributes map[string]string

// perlPlaces are what values without a name mean, in their order.
var perlPlaces = []string{"database", "host", "port"}

func (p perlAttributes) set(attribute string) {
	name, value, named := strings.Cut(strings.TrimSpace(attribute), "=")
	switch {
	case !named:
		for _, place := range perlPlaces {
			if _, taken := p[place]; !taken {
				p[place] = name
				return
			}
		}
		return
	case name == "db" || name == "dbname":
		name = "database"
	case name == "hostname":
		name = "host"
	}
	p[name] = value
}

// config refuses what would connect to another server than the Perl driver does, or less
// safely. Other attributes are between that driver and its caller.
func (p perlAttributes) config() (*mysql.Config, error) {
	for name, value := range p {
		if strings.HasPrefix(name, "mysql_read_default_") || strings.HasPrefix(name, "mysql_ssl") && value != "0" {
			return nil, fmt.Errorf("the Perl DSN has %s, which is not read: write the DSN as "+
				"user:password@tcp(host:port)/database?tls=true, with what that attribute means", name)
		}
	}
	config := mysql.NewConfig()
	config.DBName = p["database"]
	if socket := p["mysql_socket"]; socket != "" {
		config.Net, config.Addr = "unix", socket
		return config, nil
	}
	// The Perl driver means a socket by localhost, wherever its library looks for it.
	host := strings.Trim(cmp.Or(p["host"], "localhost"), "[]")
	config.Net, config.Addr = "tcp", net.JoinHostPort(host, cmp.Or(p["port"], "3306"))
	return config, nil
}

// charset is what the Perl driver asks the server for when it is to know characters.
func (p perlAttributes) charset() string {
	switch {
	case p["mysql_enable_utf8mb4"] == "1":
		return "utf8mb4"
	case p["mysql_enable_utf8"] == "1":
		return "utf8"
	}
	return ""
}
