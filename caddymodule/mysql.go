package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"go.uber.org/zap"

	"github.com/mogilefs/caddy-mogilefs/tracker/store"
	"github.com/mogilefs/caddy-mogilefs/tracker/store/sqlstore"
)

// MySQL keeps the metadata in a MySQL or MariaDB database, which several trackers may use
// at the same time, those of the Perl MogileFS among them. The tables are created when
// the database is empty. Placeholders such as `{env.MYSQL_PASSWORD}` and
// `{file./run/secrets/db}` are replaced in all texts when the config is loaded.
type MySQL struct {
	// Where the database is: `mogile@tcp(db1:3306)/mogilefs`,
	// `mogile@unix(/run/mysqld/mysqld.sock)/mogilefs`, or what stands in a
	// mogilefsd.conf, `DBI:mysql:mogilefs:host=db1`. Options of the Go driver may follow
	// the first two, such as `?tls=true`.
	DSN string `json:"dsn,omitempty"`

	// Who connects. Default: the user in the DSN.
	User string `json:"user,omitempty"`

	// The user's password. Default: the one in the DSN.
	Password string `json:"password,omitempty"`

	// The character set of the connection. In a database that a Perl tracker has filled
	// it must be that tracker's, or keys beyond ASCII are not found: `utf8mb4` where it
	// ran with MariaDB's client library, `latin1` with old ones of MySQL. In a database
	// that this tracker has created it does not matter. Default: `utf8mb4`.
	Charset string `json:"charset,omitempty"`

	// How many connections the tracker opens at most, besides the one that holds its
	// locks. Default: 32.
	Connections int `json:"connections,omitempty"`

	// How long the server may take for one statement. Default: `10s`.
	Timeout caddy.Duration `json:"timeout,omitempty"`

	// Bring the tables of an older MogileFS (schema versions 10 to 16) up to date, and
	// add what is missing in one of version 17. Old trackers that want another version
	// don't start any more then. Default: such a database is refused.
	Upgrade bool `json:"upgrade,omitempty"`

	identity string
}

// CaddyModule returns the Caddy module information.
func (MySQL) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "mogilefs.database.mysql",
		New: func() caddy.Module { return new(MySQL) },
	}
}

// Provision replaces placeholders and checks the DSN; nothing is connected yet.
func (m *MySQL) Provision(caddy.Context) (err error) {
	replacer := caddy.NewReplacer()
	for _, text := range []*string{&m.DSN, &m.User, &m.Password, &m.Charset} {
		if *text, err = replacer.ReplaceOrErr(*text, true, true); err != nil {
			return err
		}
	}
	switch {
	case m.DSN == "":
		return errors.New("dsn is missing: want one such as mogile@tcp(db1:3306)/mogilefs")
	case m.Connections < 0 || m.Timeout < 0:
		return errors.New("connections and timeout can't be negative")
	}
	m.identity, err = m.settings().Identity()
	return err
}

func (m *MySQL) settings() sqlstore.MySQL {
	return sqlstore.MySQL{
		DSN: m.DSN, User: m.User, Password: m.Password, Charset: m.Charset,
		Connections: m.Connections, Timeout: time.Duration(m.Timeout), Upgrade: m.Upgrade,
	}
}

// Identity is the server and the database.
func (m *MySQL) Identity() string { return m.identity }

// Open connects to the database.
func (m *MySQL) Open(ctx context.Context, log *zap.Logger) (store.Store, error) {
	s, err := sqlstore.OpenMySQL(ctx, m.settings(), log)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", m.identity, err)
	}
	return s, nil
}

// UnmarshalCaddyfile reads
//
//	mysql <dsn> {
//		user        <name>
//		password    <word>
//		charset     <name>
//		connections <count>
//		timeout     <duration>
//		upgrade
//	}
func (m *MySQL) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the module's name
	if !d.AllArgs(&m.DSN) {
		return d.ArgErr()
	}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		if err := m.parseOption(d); err != nil {
			return err
		}
	}
	return nil
}

func (m *MySQL) parseOption(d *caddyfile.Dispenser) error {
	switch d.Val() {
	case "user":
		return oneArg(d, &m.User)
	case "password":
		return oneArg(d, &m.Password)
	case "charset":
		return oneArg(d, &m.Charset)
	case "connections":
		return oneCount(d, &m.Connections)
	case "timeout":
		return oneDuration(d, &m.Timeout)
	case "upgrade":
		return oneFlag(d, &m.Upgrade)
	}
	return d.Errf("unrecognized subdirective: %s", d.Val())
}

var (
	_ Database              = (*MySQL)(nil)
	_ caddy.Provisioner     = (*MySQL)(nil)
	_ caddyfile.Unmarshaler = (*MySQL)(nil)
)
